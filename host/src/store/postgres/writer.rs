//! The task that writes: it collects what waits, sends it as one transaction, and answers each caller after the commit.
//!
//! It has a thread and a runtime of its own, with the [`Heart`] beside it, so that it gets on whatever the process is busy with. A connection that is lost is made anew. What
//! was asked for and not sent to be committed by then is answered as not written; where the answer to a commit was lost, the database is
//! asked whether it has happened, for as long as that takes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use sqlx::Connection as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use tokio::sync::{mpsc, oneshot, watch};

use super::super::writer::{
    CAREFUL_GROUPS, Counters, Failure, GROUP_UNITS, Life, NOTE_EVERY, QUEUE_UNITS, QUEUE_WAIT, Tail, Undoing, WriterState,
};
use super::super::{KeysOf, StoreError};
use super::columns::{micros, time_of};
use super::heart::Heart;
use super::membership::Membership;
use super::owner;
use super::unit::{About, Call, Unit, UnitError, Verdict, Writing, sql};
use crate::clock::Clock;
use crate::crash_point;

/// How long nothing is written before a sign of life is.
const RENEW_EVERY: Duration = Duration::from_secs(1);
/// How long a transaction, or making a connection, may take. A server that says nothing for longer is as good as gone.
const LIMIT: Duration = Duration::from_secs(20);
/// Wait between two attempts to find out what became of a commit.
const ASK_EVERY: Duration = Duration::from_millis(250);

/// A database that is open for writing.
pub(super) struct Opened {
    pub(super) connection: PgConnection,
    /// How it is connected to.
    pub(super) options: PgConnectOptions,
    pub(super) epoch: i64,
    pub(super) tail: Tail,
    pub(super) membership: Arc<Membership>,
}

enum Message {
    Write(Box<dyn Unit>),
    /// Whether it gets on.
    Ask(oneshot::Sender<()>),
    Close,
}

/// The callers' side: hands units to the task.
pub(super) struct WriterHandle {
    queue: mpsc::Sender<Message>,
    pub(super) state: WriterState,
}

impl std::fmt::Debug for WriterHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WriterHandle").field("state", &self.state).finish_non_exhaustive()
    }
}

/// What becomes the writer once its thread runs.
pub(super) struct Starting {
    inbox: mpsc::Receiver<Message>,
    life: watch::Sender<Life>,
    counters: Arc<Counters>,
    clock: Clock,
    specs: Arc<[KeysOf]>,
}

impl WriterHandle {
    /// The callers' side and the other one.
    pub(super) fn new(clock: Clock, specs: Arc<[KeysOf]>) -> (Self, Starting) {
        let (queue, inbox) = mpsc::channel(QUEUE_UNITS);
        let (state, life_of, counters) = WriterState::new();
        (Self { queue, state }, Starting { inbox, life: life_of, counters, clock, specs })
    }

    /// Runs `work` in a transaction and answers after it is durable. Once queued it happens even if the caller is dropped. It may be run
    /// again after what it wrote was rolled back, and then writes the same.
    pub(super) async fn write<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'a> FnMut(&'a mut Writing) -> BoxFuture<'a, Result<T, UnitError>> + Send + 'static,
    {
        self.send(work, true).await
    }

    /// The same of work that can be done once.
    pub(super) async fn write_once<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'a> FnMut(&'a mut Writing) -> BoxFuture<'a, Result<T, UnitError>> + Send + 'static,
    {
        self.send(work, false).await
    }

    async fn send<T, W>(&self, work: W, is_repeatable: bool) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'a> FnMut(&'a mut Writing) -> BoxFuture<'a, Result<T, UnitError>> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let call = Call { work, is_repeatable, result: None, reply };
        self.state.written(&self.queue, (Message::Write(Box::new(call)), QUEUE_WAIT), answer).await
    }

    /// Waits until the writer has come to this question, or has ended. Nothing is written.
    pub(super) async fn answers(&self) {
        let (reply, answer) = oneshot::channel();
        if self.queue.send(Message::Ask(reply)).await.is_ok() {
            let _ = answer.await;
        }
    }

    /// Asks the writer to finish what is queued and waits until it has ended.
    pub(super) async fn close(&self) {
        // An error means that it has ended already.
        let _ = self.queue.send(Message::Close).await;
        self.state.ended().await;
    }
}

impl Starting {
    /// Writes until it is closed or cannot go on.
    pub(super) async fn run(self, opened: Opened) {
        let Self { mut inbox, life, counters, clock, specs } = self;
        let Opened { connection, options, epoch, tail, membership } = opened;
        let heart = Heart::new(options.clone(), epoch, Arc::clone(&membership));
        let writing = Writing { connection, epoch, date: 0, tail, specs, is_changed: false, moved: Vec::new(), membership };
        let writer = Writer { writing, is_connected: true, options, transactions: 0, careful: 0, clock, counters };
        let beating = async {
            heart.beat().await;
            std::future::pending().await
        };
        let ended = tokio::select! {
            ended = writer.run(&mut inbox) => ended,
            ended = beating => ended,
        };
        life.send_replace(ended);
    }
}

/// Why a transaction was not committed.
enum Broken {
    /// A unit of it has to be undone alone.
    Alone,
    /// It failed for all; nothing of it was written.
    All(Failure, About),
    /// The answer to its commit was lost.
    Unknown(String),
}

struct Writer {
    writing: Writing,
    is_connected: bool,
    options: PgConnectOptions,
    /// Transactions that this process has committed, as the database counts them.
    transactions: i64,
    /// Groups that are still to be written with savepoints.
    careful: u32,
    clock: Clock,
    counters: Arc<Counters>,
}

type Group = Vec<Box<dyn Unit>>;

impl Writer {
    async fn run(mut self, inbox: &mut mpsc::Receiver<Message>) -> Life {
        let mut group: Group = Vec::with_capacity(GROUP_UNITS);
        loop {
            // Once it is closed, what was asked for before comes first, and then nothing.
            let mut next = match tokio::time::timeout(RENEW_EVERY, inbox.recv()).await {
                Ok(Some(message)) => Some(message),
                Ok(None) => break,
                Err(_) => None,
            };
            let is_idle = next.is_none();
            while let Some(message) = next.take() {
                match message {
                    Message::Write(unit) => group.push(unit),
                    // Whoever asked may be gone.
                    Message::Ask(reply) => drop(reply.send(())),
                    Message::Close => inbox.close(),
                }
                if group.len() < GROUP_UNITS {
                    next = inbox.try_recv().ok();
                }
            }
            if group.is_empty() && !is_idle {
                continue;
            }
            if let Err(reason) = self.commit_group(&mut group, inbox).await {
                inbox.close();
                refuse_the_rest(inbox, &Failure::Final(reason.clone()));
                return Life::Failed(reason);
            }
        }
        self.leave().await;
        Life::Closed
    }

    /// Commits a group, or a sign of life if it is empty, and answers its callers. An error means that nothing can be written any more.
    async fn commit_group(&mut self, group: &mut Group, inbox: &mut mpsc::Receiver<Message>) -> Result<(), String> {
        let started = Instant::now();
        let before = self.writing.tail;
        crash_point!("before-begin");
        let outcome = self.transact(group, inbox).await;
        match &outcome {
            Ok(()) => {
                crash_point!("committed-not-answered");
                if !group.is_empty() {
                    self.counters.count(group.len(), started.elapsed());
                }
            }
            Err(failure) => {
                self.writing.tail = before;
                // Known before the callers are told, so that whoever asks after a refusal finds it.
                if let Failure::Passing(reason) = failure {
                    self.counters.refuse(reason, self.clock.steady());
                }
            }
        }
        for unit in group.drain(..) {
            unit.answer(outcome.as_ref().copied());
        }
        crash_point!("answered");
        match outcome {
            Err(Failure::Final(reason)) => {
                tracing::error!(%reason, "the store cannot go on");
                Err(reason)
            }
            Err(Failure::Passing(reason)) => {
                tracing::debug!(%reason, "a group of writes was not committed");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Writes a group in one transaction, without savepoints if it can do without: each is a round trip.
    async fn transact(&mut self, group: &mut Group, inbox: &mut mpsc::Receiver<Message>) -> Result<(), Failure> {
        self.connect().await?;
        let before = self.writing.tail;
        let mut undoing = Undoing::Unit;
        if self.careful == 0 && group.iter().all(|unit| unit.is_repeatable()) {
            undoing = Undoing::Group;
        }
        self.careful = self.careful.saturating_sub(1);
        loop {
            let begun = Instant::now();
            match self.attempt(group, undoing).await {
                Ok(()) => {
                    self.transactions += 1;
                    // It was a sign of life, too.
                    self.writing.membership.renew(begun);
                    return Ok(());
                }
                Err(Broken::Alone) => {
                    self.writing.tail = before;
                    self.careful = CAREFUL_GROUPS;
                    undoing = Undoing::Unit;
                }
                Err(Broken::All(failure, about)) => {
                    self.is_connected &= about != About::Connection;
                    return Err(failure);
                }
                Err(Broken::Unknown(error)) => {
                    self.is_connected = false;
                    tracing::warn!(error, "the answer to a commit was lost; the database is asked whether it has happened");
                    return if self.was_committed(inbox).await? {
                        self.transactions += 1;
                        Ok(())
                    } else {
                        Err(Failure::Passing(format!("the database server cannot be reached: {error}")))
                    };
                }
            }
        }
    }

    /// One transaction; nothing of it is left unless it answers that all was written.
    async fn attempt(&mut self, group: &mut Group, undoing: Undoing) -> Result<(), Broken> {
        let run = match tokio::time::timeout(LIMIT, self.run_units(group, undoing)).await {
            Ok(run) => run,
            Err(_) => Err(Broken::All(Failure::Passing(format!("the database server has not answered for {LIMIT:?}")), About::Connection)),
        };
        match run {
            Ok(()) => {
                crash_point!("before-commit");
                match tokio::time::timeout(LIMIT, sqlx::raw_sql("COMMIT").execute(&mut self.writing.connection)).await {
                    Ok(Ok(_)) => Ok(()),
                    // It says so itself: the transaction was rolled back.
                    Ok(Err(error)) if super::unit::about(&error) == About::Database => {
                        Err(Broken::All(Failure::from(&error), About::Database))
                    }
                    Ok(Err(error)) => Err(Broken::Unknown(error.to_string())),
                    Err(_) => Err(Broken::Unknown(format!("no answer for {LIMIT:?}"))),
                }
            }
            Err(Broken::All(failure, About::Connection)) => Err(Broken::All(failure, About::Connection)),
            Err(broken) => {
                let rolled_back = tokio::time::timeout(LIMIT, sqlx::raw_sql("ROLLBACK").execute(&mut self.writing.connection)).await;
                match (rolled_back, broken) {
                    (Ok(Ok(_)), broken) => Err(broken),
                    (_, Broken::All(failure, _)) => Err(Broken::All(failure, About::Connection)),
                    _ => Err(Broken::All(Failure::Passing("the database server cannot be reached".into()), About::Connection)),
                }
            }
        }
    }

    /// All of the transaction but its end.
    async fn run_units(&mut self, group: &mut Group, undoing: Undoing) -> Result<(), Broken> {
        let broken = |error: sqlx::Error| Broken::All(Failure::from(&error), super::unit::about(&error));
        let writing = &mut self.writing;
        let begun = sqlx::raw_sql(owner::begin(writing.epoch)).fetch_all(&mut writing.connection).await.map_err(broken)?;
        let Some(tail) = owner::begun(&begun).map_err(broken)? else {
            return Err(Broken::All(Failure::Final(owner::REPLACED.into()), About::Database));
        };
        // Others may have written since, and their steady time may be ahead: it is one for all.
        self.clock.go_on_from(time_of(tail.written_at).map_err(broken)?);
        let written_at = tail.written_at.max(writing.tail.written_at).max(self.clock.steady().as_microsecond());
        writing.tail = Tail { written_at, ..tail };
        writing.date = micros(self.clock.now());
        writing.moved.clear();
        if writing.tail.written_at - writing.tail.noted_at >= NOTE_EVERY {
            note(writing).await.map_err(broken)?;
        }
        for unit in group {
            let (before, moved) = (writing.tail, writing.moved.len());
            writing.is_changed = false;
            if undoing == Undoing::Unit {
                sqlx::raw_sql("SAVEPOINT unit").execute(&mut writing.connection).await.map_err(broken)?;
            }
            match (unit.run(writing).await, undoing) {
                (Verdict::Keep, Undoing::Group) => {}
                (Verdict::Keep, Undoing::Unit) => {
                    sqlx::raw_sql("RELEASE SAVEPOINT unit").execute(&mut writing.connection).await.map_err(broken)?;
                }
                (Verdict::Broken(failure, about), _) => return Err(Broken::All(failure, about)),
                (Verdict::Undo | Verdict::Spoilt, Undoing::Unit) => {
                    sqlx::raw_sql("ROLLBACK TO SAVEPOINT unit; RELEASE SAVEPOINT unit")
                        .execute(&mut writing.connection)
                        .await
                        .map_err(broken)?;
                    writing.tail = before;
                    writing.moved.truncate(moved);
                }
                // It was refused before it had written anything.
                (Verdict::Undo, Undoing::Group) if !writing.is_changed => writing.tail = before,
                (Verdict::Undo | Verdict::Spoilt, Undoing::Group) => return Err(Broken::Alone),
            }
        }
        super::told::tell(writing).await.map_err(broken)
    }

    /// Makes the connection anew if it was lost.
    async fn connect(&mut self) -> Result<(), Failure> {
        if self.is_connected {
            return Ok(());
        }
        let connected = tokio::time::timeout(LIMIT, async {
            let mut connection = PgConnection::connect_with(&self.options).await?;
            owner::note_session(&mut connection, self.writing.epoch).await?;
            Ok::<_, sqlx::Error>(connection)
        });
        match connected.await {
            Ok(Ok(connection)) => {
                // The old one is of no use, and says no farewell.
                let _lost = std::mem::replace(&mut self.writing.connection, connection);
                self.is_connected = true;
                tracing::info!("the database server is reached again");
                Ok(())
            }
            Ok(Err(error)) => Err(Failure::from(&error)),
            Err(_) => Err(Failure::Passing(format!("the database server cannot be reached: no answer for {LIMIT:?}"))),
        }
    }

    /// Finds out whether the last transaction was committed. What is asked for meanwhile is refused.
    async fn was_committed(&mut self, inbox: &mut mpsc::Receiver<Message>) -> Result<bool, Failure> {
        loop {
            match self.connect().await {
                Ok(()) => {
                    let asked = tokio::time::timeout(LIMIT, owner::transactions(&mut self.writing.connection, self.writing.epoch)).await;
                    match asked {
                        Ok(Ok(Some(transactions))) => return Ok(transactions > self.transactions),
                        Ok(Ok(None)) => return Err(Failure::Final(owner::REPLACED.into())),
                        Ok(Err(_)) | Err(_) => self.is_connected = false,
                    }
                }
                Err(failure) => tell_those_who_ask(inbox, &failure),
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    /// Says that this process has ended, so that the next one need not wait for it.
    async fn leave(mut self) {
        let writing = &mut self.writing;
        writing.tail.written_at = writing.tail.written_at.max(self.clock.steady().as_microsecond());
        let left = tokio::time::timeout(LIMIT, async {
            note(writing).await?;
            owner::end(&mut writing.connection, writing.epoch).await
        });
        if !matches!(left.await, Ok(Ok(()))) {
            tracing::warn!("the end of this process was not noted: the next one may wait for its sign of life to be old");
        }
        // It ends anyhow; a farewell only spares the server a line in its log.
        let _ = tokio::time::timeout(LIMIT, self.writing.connection.close()).await;
    }
}

fn tell_those_who_ask(inbox: &mut mpsc::Receiver<Message>, failure: &Failure) {
    while let Ok(message) = inbox.try_recv() {
        match message {
            Message::Write(unit) => unit.answer(Err(failure)),
            Message::Ask(reply) => drop(reply.send(())),
            Message::Close => inbox.close(),
        }
    }
}

fn refuse_the_rest(inbox: &mut mpsc::Receiver<Message>, failure: &Failure) {
    while let Ok(message) = inbox.try_recv() {
        if let Message::Write(unit) = message {
            unit.answer(Err(failure));
        }
    }
}

/// Writes how far the steady time has come.
async fn note(writing: &mut Writing) -> Result<(), sqlx::Error> {
    let (steady, date) = (writing.tail.written_at, writing.date);
    writing.run(sql!("UPDATE process SET steady_at = greatest(steady_at, $1), noted_date = $2", steady, date)).await?;
    writing.tail.noted_at = steady;
    Ok(())
}

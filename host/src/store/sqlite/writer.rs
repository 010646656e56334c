//! The thread that writes: it collects what waits, commits it together, and answers each caller after the commit.
//!
//! It knows transactions and failures, nothing of what the units write.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::super::writer::{CAREFUL_GROUPS, Counters, GROUP_UNITS, Life, NOTE_EVERY, QUEUE_UNITS, QUEUE_WAIT, Undoing, WriterState};
pub(super) use super::super::writer::{Failure, Tail};
use super::super::{KeysOf, StoreError};
use super::check::Check;
use super::columns::micros;
use super::lock::DatabaseLock;
use super::mark::Mark;
use super::unit::{Call, Numbers, Once, Repeatable, Unit, Verdict, Work};
pub(super) use super::unit::{UnitError, Writing};
use crate::clock::Clock;
use crate::crash_point;
use crate::faults::planted;

/// How long a unit that can wait does so for one that cannot, in whose transaction it is written for next to nothing.
const PATIENCE: Duration = Duration::from_millis(1);
/// Units that wait so at once; one more and all of them are written.
const PATIENT_UNITS: usize = 12;

/// A database that is open for writing.
pub(super) struct Opened {
    pub(super) connection: Connection,
    /// Which database it is.
    pub(super) identity: String,
    pub(super) epoch: i64,
    /// Whether the epoch is written. On a full disk it is not, and the first write that succeeds brings it along.
    pub(super) begun: bool,
    pub(super) tail: Tail,
    pub(super) mark: Mark,
    /// A check that goes on.
    pub(super) check: Option<Check>,
    pub(super) lock: DatabaseLock,
}

enum Message {
    Write(Box<dyn Unit>),
    /// Those that have waited are written now.
    Hurry,
    /// Whether it gets on.
    Ask(oneshot::Sender<()>),
    Close,
    /// Something was found because of which nothing may be written any more.
    Fail(String),
}

/// Units that wait for company.
#[derive(Default)]
struct Patient(Mutex<Vec<Box<dyn Unit>>>);

impl std::fmt::Debug for Patient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Patient({})", self.0.lock().len())
    }
}

/// The async side: hands units to the thread.
#[derive(Debug)]
pub(super) struct WriterHandle {
    queue: mpsc::Sender<Message>,
    patient: Arc<Patient>,
    /// [`QUEUE_WAIT`], shorter in tests.
    pub(super) queue_wait: Duration,
    pub(super) state: WriterState,
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Write(_) => "Write",
            Self::Hurry => "Hurry",
            Self::Ask(_) => "Ask",
            Self::Close => "Close",
            Self::Fail(_) => "Fail",
        })
    }
}

impl WriterHandle {
    /// Starts the thread on a database that was opened.
    pub(super) fn start(opened: Opened, clock: Clock, specs: Arc<[KeysOf]>) -> std::io::Result<Self> {
        let (queue, inbox) = mpsc::channel(QUEUE_UNITS);
        let (state, life_of, counters) = WriterState::new();
        let Opened { connection, identity: _, epoch, begun, tail, mark, check, lock } = opened;
        let (numbers, patient) = (Numbers::default(), Arc::<Patient>::default());
        let patient_of = Arc::clone(&patient);
        let writer =
            Writer { connection, epoch, begun, tail, mark, clock, specs, numbers, careful: 0, patient: patient_of, counters, lock };
        std::thread::Builder::new().name("store-writer".into()).spawn(move || {
            life_of.send_replace(writer.run(inbox));
        })?;
        if let Some(check) = check {
            let queue = queue.downgrade();
            std::thread::Builder::new().name("store-checked".into()).spawn(move || {
                let Some(found) = check.finish() else { return tracing::info!("the database was looked through: nothing is damaged") };
                if let Some(queue) = queue.upgrade() {
                    // If it has ended already there is nothing left to stop.
                    let _ = queue.blocking_send(Message::Fail(found));
                }
            })?;
        }
        Ok(Self { queue, patient, queue_wait: QUEUE_WAIT, state })
    }

    /// Runs `work` in a transaction and answers after it is durable. Once queued it happens even if the caller is dropped.
    pub(super) async fn write<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnOnce(&mut Writing<'_>) -> Result<T, UnitError> + Send + 'static,
    {
        self.send(Once(Some(work))).await
    }

    /// The same of work that can be done again and then writes the same: it is spared the savepoint from which it alone could be undone.
    /// Where that turns out to be needed, its whole group is written anew with savepoints.
    pub(super) async fn write_repeatably<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnMut(&mut Writing<'_>) -> Result<T, UnitError> + Send + 'static,
    {
        self.send(Repeatable(work)).await
    }

    async fn send<T: Send + 'static>(&self, work: impl Work<T> + 'static) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let call = Call { work, result: None, reply };
        self.state.written(&self.queue, (Message::Write(Box::new(call)), self.queue_wait), answer).await
    }

    /// The same of repeatable work for whose end nobody waits who could not wait a moment longer. A transaction costs as much for one unit as
    /// for some: it is written with the next one, or after [`PATIENCE`].
    pub(super) async fn write_when_others_do<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnMut(&mut Writing<'_>) -> Result<T, UnitError> + Send + 'static,
    {
        let (reply, mut answer) = oneshot::channel();
        let are_many = {
            let mut patient = self.patient.0.lock();
            patient.push(Box::new(Call { work: Repeatable(work), result: None, reply }));
            patient.len() > PATIENT_UNITS
        };
        let written = if are_many { None } else { tokio::time::timeout(PATIENCE, &mut answer).await.ok() };
        // Where the queue is full the next group takes what waits along.
        if written.is_none() && matches!(self.queue.try_send(Message::Hurry), Err(mpsc::error::TrySendError::Closed(_))) {
            return Err(self.state.gone().await);
        }
        let written = match written {
            Some(written) => written,
            None => answer.await,
        };
        self.state.answered(written).await
    }

    /// Waits until the thread has come to this question, or has ended. Nothing is written.
    pub(super) async fn answers(&self) {
        let (reply, answer) = oneshot::channel();
        if self.queue.send(Message::Ask(reply)).await.is_ok() {
            let _ = answer.await;
        }
    }

    /// Asks the thread to finish what is queued and waits until it has ended.
    pub(super) async fn close(&self) {
        // An error means that it has ended already.
        let _ = self.queue.send(Message::Close).await;
        self.state.ended().await;
    }
}

/// What came of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attempted {
    /// It was committed.
    Written,
    /// It was rolled back, because a unit of it has to be undone alone.
    NotWritten,
}

struct Writer {
    connection: Connection,
    epoch: i64,
    /// See [`Opened::begun`].
    begun: bool,
    tail: Tail,
    mark: Mark,
    clock: Clock,
    specs: Arc<[KeysOf]>,
    numbers: Numbers,
    /// Groups that are still to be written with savepoints.
    careful: u32,
    patient: Arc<Patient>,
    counters: Arc<Counters>,
    /// Also knows whether the files are where they were. The last field, so that it is let go of after the connection is.
    lock: DatabaseLock,
}

impl Writer {
    fn run(mut self, mut inbox: mpsc::Receiver<Message>) -> Life {
        let mut group: Vec<Box<dyn Unit>> = Vec::with_capacity(GROUP_UNITS);
        while let Some(first) = inbox.blocking_recv() {
            let mut next = Some(first);
            while let Some(message) = next.take() {
                match message {
                    Message::Write(unit) => group.push(unit),
                    Message::Hurry => {}
                    // Whoever asked may be gone.
                    Message::Ask(reply) => drop(reply.send(())),
                    Message::Close => inbox.close(),
                    Message::Fail(reason) => {
                        tracing::error!(%reason, "the store cannot go on");
                        group.drain(..).for_each(|unit| unit.answer(Err(&Failure::Final(reason.clone()))));
                        self.refuse_the_rest(&mut inbox, &reason);
                        return Life::Failed(reason);
                    }
                }
                if group.len() < GROUP_UNITS {
                    next = inbox.try_recv().ok();
                }
            }
            group.append(&mut self.patient.0.lock());
            if let Err(reason) = self.commit_group(&mut group) {
                self.refuse_the_rest(&mut inbox, &reason);
                return Life::Failed(reason);
            }
        }
        self.leave();
        Life::Closed
    }

    fn refuse_the_rest(&self, inbox: &mut mpsc::Receiver<Message>, reason: &str) {
        inbox.close();
        let failure = Failure::Final(reason.to_owned());
        while let Some(message) = inbox.blocking_recv() {
            if let Message::Write(unit) = message {
                unit.answer(Err(&failure));
            }
        }
        self.patient.0.lock().drain(..).for_each(|unit| unit.answer(Err(&failure)));
    }

    /// Commits a group and answers its callers. An error means that nothing can be written any more.
    fn commit_group(&mut self, group: &mut Vec<Box<dyn Unit>>) -> Result<(), String> {
        if group.is_empty() {
            return Ok(());
        }
        let started = Instant::now();
        let before = self.tail;
        crash_point!("before-begin");
        let outcome = self.transact(group);
        match &outcome {
            Ok(()) => {
                crash_point!("committed-not-answered");
                if self.tail.noted_at != before.noted_at {
                    self.begun = true;
                    self.mark.written(self.epoch, self.tail.noted_at);
                }
                self.counters.count(group.len(), started.elapsed());
            }
            Err(failure) => {
                self.tail = before;
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
                // Each caller has the reason and tells of it once, where it is handled.
                tracing::debug!(%reason, "a group of writes was not committed");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Writes a group in one transaction, without savepoints if it can do without: they cost a copy of each page that a unit changes.
    fn transact(&mut self, group: &mut Vec<Box<dyn Unit>>) -> Result<(), Failure> {
        self.lock.find_files().map_err(Failure::Passing)?;
        let before = self.tail;
        if self.careful == 0 && group.iter().all(|unit| unit.is_repeatable()) {
            if self.attempt(group, Undoing::Group)? == Attempted::Written {
                return Ok(());
            }
            self.tail = before;
            self.careful = CAREFUL_GROUPS;
        }
        self.careful = self.careful.saturating_sub(1);
        self.attempt(group, Undoing::Unit).map(drop)
    }

    /// One transaction; nothing of it is left unless it answers that all was written.
    fn attempt(&mut self, group: &mut Vec<Box<dyn Unit>>, undoing: Undoing) -> Result<Attempted, Failure> {
        self.execute(if planted("deferred-begin") { "BEGIN" } else { "BEGIN IMMEDIATE" })?;
        let run = self.run_units(group, undoing);
        let is_written = matches!(run, Ok(Attempted::Written));
        if is_written {
            crash_point!("before-commit");
        }
        if is_written && planted("ack-before-commit") {
            group.drain(..).for_each(|unit| unit.answer(Ok(())));
            // What a disk takes that others use too.
            std::thread::sleep(Duration::from_millis(10));
        }
        let done = match run {
            Ok(Attempted::Written) => self.execute("COMMIT").map(|()| Attempted::Written),
            other => other,
        };
        if !matches!(done, Ok(Attempted::Written)) {
            self.numbers.forget();
            if !self.connection.is_autocommit() {
                self.execute("ROLLBACK").map_err(|failure| match failure {
                    Failure::Passing(text) | Failure::Final(text) => Failure::Final(format!("cannot roll back: {text}")),
                })?;
            }
        }
        done
    }

    fn run_units(&mut self, group: &mut [Box<dyn Unit>], undoing: Undoing) -> Result<Attempted, Failure> {
        let now = self.clock.steady().as_microsecond();
        let date = micros(self.clock.now());
        self.tail.written_at = self.tail.written_at.max(now);
        if !self.begun || self.tail.written_at - self.tail.noted_at >= NOTE_EVERY {
            self.note().map_err(|error| Failure::from(&error))?;
        }
        for unit in group {
            let (before, changes) = (self.tail, self.connection.total_changes());
            if undoing == Undoing::Unit {
                self.execute("SAVEPOINT unit")?;
            }
            let Self { connection, epoch, tail, specs, numbers, .. } = self;
            let verdict = unit.run(&mut Writing { connection, epoch: *epoch, date, tail, specs, numbers });
            match (verdict, undoing) {
                (Verdict::Keep, _) => {}
                // SQLite may have rolled back the whole transaction by itself, neighbours included.
                (Verdict::Broken(failure, false), _) => return Err(failure),
                (Verdict::Undo | Verdict::Broken(_, true), Undoing::Unit) => {
                    self.execute("ROLLBACK TO unit")?;
                    self.numbers.forget();
                    self.tail = before;
                }
                // It was refused before it had written anything.
                (Verdict::Undo, Undoing::Group) if self.connection.total_changes() == changes => self.tail = before,
                (Verdict::Undo | Verdict::Broken(_, true), Undoing::Group) => return Ok(Attempted::NotWritten),
            }
            if undoing == Undoing::Unit {
                self.execute("RELEASE unit")?;
            }
        }
        Ok(Attempted::Written)
    }

    fn note(&mut self) -> rusqlite::Result<()> {
        note(&self.connection, self.epoch, self.tail.written_at, &self.clock)?;
        self.tail.noted_at = self.tail.written_at;
        Ok(())
    }

    fn execute(&self, sql: &'static str) -> Result<(), Failure> {
        let statement = self.connection.prepare_cached(sql);
        statement.and_then(|mut statement| statement.execute([])).map(drop).map_err(|error| Failure::from(&error))
    }

    /// Leaves a database without a log behind, so that the next start has nothing to replay.
    fn leave(mut self) {
        self.tail.written_at = self.tail.written_at.max(self.clock.steady().as_microsecond());
        if let Err(error) = self.note() {
            tracing::warn!(%error, "the end of this process was not noted");
        }
        crash_point!("before-the-last-checkpoint");
        close(self.connection, self.mark, self.begun.then_some(self.tail.noted_at));
        drop(self.lock);
    }
}

/// Closes a database, so that it has no log, and notes that in its mark if it is known how far was `written`. Its lock is let go of after this.
pub(super) fn close(connection: Connection, mark: Mark, written: Option<i64>) {
    let truncated = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    if let Err(error) = &truncated {
        tracing::warn!(%error, "the log was not emptied; the next start replays it");
    }
    match (connection.close(), written.filter(|_| truncated.is_ok())) {
        (Ok(()), Some(written)) => mark.closed(written),
        (Ok(()), None) => {}
        (Err((_, error)), _) => tracing::warn!(%error, "the database was not closed"),
    }
}

/// Reads where the outbox ends.
pub(super) fn read_tail(connection: &Connection) -> rusqlite::Result<Tail> {
    let sql = "SELECT max(coalesce((SELECT max(position) FROM outbox), 0), pruned_position),
                      max(coalesce((SELECT written_at FROM outbox ORDER BY position DESC LIMIT 1), 0), steady_at), steady_at FROM process";
    connection.query_row(sql, [], |row| Ok(Tail { position: row.get(0)?, written_at: row.get(1)?, noted_at: row.get(2)? }))
}

/// Writes which process has the database, and how far the steady time has come.
pub(super) fn note(connection: &Connection, epoch: i64, steady: i64, clock: &Clock) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached("UPDATE process SET epoch = ?1, steady_at = ?2, noted_date = ?3")?;
    statement.execute([epoch, steady, micros(clock.now())])?;
    Ok(())
}

/// The time of so many microseconds since 1970.
pub(super) fn time(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX)
}

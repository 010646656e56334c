//! Runs that an event asks for: the first attempt is made before the run is written.
//!
//! Until the event is marked published it is durable itself, so a run that succeeds at once needs one write instead of
//! two. A run that fails or takes its time is written as claimed, and goes on like any other.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::runtime::Verdict;
use crate::services::engine::commit_plan::{self, stand_in};
use crate::services::engine::{Attempt, BROKEN, Held, Lost, Pipeline, Rows, STOPPED, panic_text, span_of};
use crate::store::{Commit, InboxRow, Resource, RunStatus, StepRun, StoreError};
use crate::tasks::Tasks;
use crate::telemetry::traces::Span;

/// How long the bus waits for an attempt before the run is written and the bus goes on.
const PATIENCE: Duration = Duration::from_millis(100);

/// Why an event is not taken whose run is in hand.
const IN_HAND: &str = "an attempt at it was made, and what came of it is not written yet";

/// What came of an attempt; or else what the host has said when it panicked.
type Ended = Result<Attempt, String>;

/// An attempt that is not settled when its run is written.
enum Unfinished {
    Ended(Box<Ended>),
    /// It goes on by itself.
    GoesOn(JoinHandle<Ended>),
}

/// A run that an attempt was made at, or is, and that is to be written.
struct Attempted {
    span: Span,
    run: StepRun,
    inbox: InboxRow,
    resource: Arc<Resource>,
    held: Held,
    /// What is written with its answer, of one that is settled.
    rows: Rows,
    unfinished: Option<Unfinished>,
}

/// Executes the runs of events. Clones share everything.
#[derive(Clone)]
pub(super) struct InlineRuns {
    pub(super) pipeline: Pipeline,
    pub(super) clock: Clock,
    pub(super) tasks: Tasks,
}

impl InlineRuns {
    /// Does the run of an event, or makes it durable together with the event's receipt.
    ///
    /// # Errors
    /// The store did not write it, or has it already. As long as there is no room for what came of an attempt, it is kept here and the event
    /// is not taken: no further attempt is made, unless the process ends before there is room; that one has the same key.
    pub(super) async fn execute(&self, mut run: StepRun, inbox: InboxRow) -> Result<(), StoreError> {
        if self.pipeline.hand().holds(&run.key) {
            return Err(StoreError::Unavailable(IN_HAND.into()));
        }
        let resource = Arc::new(stand_in(&run, self.clock.now()));
        let Some(held) = self.pipeline.try_claim(&mut run) else {
            return self.write(run, inbox, resource).await;
        };
        let span = span_of(&run, &resource);
        let mut attempt = self.begin(span.clone(), run.clone(), Arc::clone(&resource), held.clone());
        match tokio::time::timeout(PATIENCE, &mut attempt).await {
            Ok(Ok(Attempt::Made(report))) if matches!(report.verdict, Verdict::Accepted(_)) => {
                span.within(|| self.pipeline.record(&run, &resource, &report));
                let rows = span.within(|| self.pipeline.alongside(&run, &resource, &report));
                run.status = RunStatus::Done;
                run.owner = None;
                self.keep(Attempted { span, run, inbox, resource, held, rows, unfinished: None }).await
            }
            Ok(Ok(Attempt::Denied { until, reason })) => {
                let waiting = StepRun { status: RunStatus::Ready, owner: None, fence: 0, due_at: until, last_error: Some(reason), ..run };
                self.write(waiting, inbox, resource).await
            }
            Ok(Ok(Attempt::Excused)) => {
                let again = StepRun { status: RunStatus::Ready, owner: None, fence: 0, last_error: Some(STOPPED.into()), ..run };
                self.write(again, inbox, resource).await
            }
            Ok(Ok(Attempt::Broken(report))) => {
                span.within(|| self.pipeline.record(&run, &resource, &report));
                let again = StepRun { status: RunStatus::Ready, owner: None, fence: 0, last_error: Some(BROKEN.into()), ..run };
                self.write(again, inbox, resource).await
            }
            unfinished => {
                let ended = unfinished.map(|ended| Unfinished::Ended(Box::new(ended)));
                let unfinished = Some(ended.unwrap_or_else(|_| Unfinished::GoesOn(self.tasks.spawn(attempt))));
                self.keep(Attempted { span, run, inbox, resource, held, rows: Rows::default(), unfinished }).await
            }
        }
    }

    /// Writes a run that was attempted, and has the attempt settled. If there is no room for it now, that is done as soon as there is, beside
    /// the bus: what the attempt did is done, and must not be done again.
    async fn keep(&self, attempted: Attempted) -> Result<(), StoreError> {
        match self.write_attempted(&attempted).await {
            Ok(()) => {
                self.go_on(attempted);
                Ok(())
            }
            Err(error @ StoreError::Unavailable(_)) => {
                let inline = self.clone();
                let work: BoxFuture<'static, ()> = Box::pin(async move {
                    if inline.pipeline.until_written(&attempted.run, Lost::Answer, || inline.write_attempted(&attempted)).await {
                        inline.go_on(attempted);
                    }
                });
                self.tasks.spawn(work);
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    async fn write_attempted(&self, attempted: &Attempted) -> Result<(), StoreError> {
        let Attempted { run, inbox, resource, rows, .. } = attempted;
        self.write_with(run.clone(), inbox.clone(), Arc::clone(resource), rows.clone()).await
    }

    async fn write(&self, run: StepRun, inbox: InboxRow, resource: Arc<Resource>) -> Result<(), StoreError> {
        self.write_with(run, inbox, resource, Rows::default()).await
    }

    async fn write_with(&self, run: StepRun, inbox: InboxRow, resource: Arc<Resource>, rows: Rows) -> Result<(), StoreError> {
        // What was handled is told by the event itself; a copy of it would be kept for nothing.
        let input = run.input.clone().filter(|_| run.status != RunStatus::Done);
        let mut commit = Commit { runs: vec![StepRun { input, ..run }], inbox: Some(inbox), ..Commit::default() };
        rows.add_to(&mut commit);
        self.pipeline.commit_as_is(commit_plan::only(commit, resource)).await
    }

    /// An attempt, which is made by whoever waits for it: most are over before another task would have begun them.
    fn begin(&self, span: Span, run: StepRun, resource: Arc<Resource>, held: Held) -> BoxFuture<'static, Ended> {
        let pipeline = self.pipeline.clone();
        let attempt = async move { pipeline.attempt(&run, &resource, &held).await };
        Box::pin(span.around(async move { AssertUnwindSafe(attempt).catch_unwind().await.map_err(|panic| panic_text(&*panic)) }))
    }

    /// Settles an attempt of a run that is written by now, when it ends; nothing is left to do of one that was written with its answer.
    fn go_on(&self, attempted: Attempted) {
        let Attempted { span, run, resource, held, unfinished, .. } = attempted;
        let Some(unfinished) = unfinished else { return };
        let pipeline = self.pipeline.clone();
        let work: BoxFuture<'static, ()> = Box::pin(span.around(async move {
            let ended = match unfinished {
                Unfinished::Ended(ended) => *ended,
                Unfinished::GoesOn(attempt) => attempt.await.unwrap_or_else(|error| Err(error.to_string())),
            };
            let settled = async {
                match ended {
                    Ok(Attempt::Made(report)) => {
                        pipeline.complete(&run, resource, &report).await;
                    }
                    Ok(Attempt::Denied { until, reason }) => pipeline.put_back((&run, &resource), &held, until, Some(reason)).await,
                    Ok(Attempt::Excused) => pipeline.make_again((&run, &resource), &held).await,
                    Ok(Attempt::Broken(report)) => pipeline.make_elsewhere((&run, &resource), &held, &report).await,
                    Ok(Attempt::Overdue | Attempt::NotMade) => {}
                    Err(panic) => pipeline.panicked(&run, &panic).await,
                }
            };
            pipeline.shielded(&run, settled).await;
            drop(held);
        }));
        self.tasks.spawn(work);
    }
}

//! Runs that an event asks for: the first attempt is made before the run is written.
//!
//! Until the event is marked published it is durable itself, so a run that succeeds at once needs one write instead of
//! two. A run that fails or takes its time is written as claimed, and goes on like any other.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::task::JoinHandle;

use super::decision::Decision;
use super::in_hand::Held;
use super::pipeline::{Attempt, Pipeline, STOPPED, span_of, stand_in};
use crate::runtime::Verdict;
use crate::store::{Commit, InboxRow, Resource, RunStatus, StepRun, StoreError};
use crate::telemetry::traces::Span;

/// How long the bus waits for an attempt before the run is written and the bus goes on.
const PATIENCE: Duration = Duration::from_millis(100);

/// An attempt whose run is written by now.
struct Unfinished {
    /// What came of it, if it has ended.
    ended: Option<Result<Attempt, tokio::task::JoinError>>,
    attempt: JoinHandle<Attempt>,
    held: Held,
}

impl Pipeline {
    /// Does the run of an event, or makes it durable together with the event's receipt.
    ///
    /// # Errors
    /// The store did not write it, or has it already; an attempt may have been made then, and is made again with the same key.
    pub(super) async fn react(&self, mut run: StepRun, inbox: InboxRow) -> Result<(), StoreError> {
        let resource = Arc::new(stand_in(&run, self.parts().clock.now()));
        let Some(held) = self.try_claim(&mut run) else {
            return self.write(run, inbox, resource).await;
        };
        let span = span_of(&run, &resource);
        let mut attempt = self.begin(span.clone(), run.clone(), Arc::clone(&resource), held.clone());
        match tokio::time::timeout(PATIENCE, &mut attempt).await {
            Ok(Ok(Attempt::Made(report))) if matches!(report.verdict, Verdict::Accepted(_)) => {
                span.within(|| self.record(&run, &resource, &report));
                run.status = RunStatus::Done;
                run.owner = None;
                self.write(run, inbox, resource).await
            }
            Ok(Ok(Attempt::Denied { until, reason })) => {
                let waiting = StepRun { status: RunStatus::Ready, owner: None, fence: 0, due_at: until, last_error: Some(reason), ..run };
                self.write(waiting, inbox, resource).await
            }
            Ok(Ok(Attempt::Excused)) => {
                let again = StepRun { status: RunStatus::Ready, owner: None, fence: 0, last_error: Some(STOPPED.into()), ..run };
                self.write(again, inbox, resource).await
            }
            unfinished => {
                self.write(run.clone(), inbox, Arc::clone(&resource)).await?;
                self.go_on(span, run, resource, Unfinished { ended: unfinished.ok(), attempt, held });
                Ok(())
            }
        }
    }

    async fn write(&self, run: StepRun, inbox: InboxRow, resource: Arc<Resource>) -> Result<(), StoreError> {
        let commit = Commit { runs: vec![run], inbox: Some(inbox), ..Commit::default() };
        self.commit_as_is(Decision { commit, resource, finished: None }).await
    }

    fn begin(&self, span: Span, run: StepRun, resource: Arc<Resource>, held: Held) -> JoinHandle<Attempt> {
        let pipeline = self.clone();
        let work: BoxFuture<'static, Attempt> = Box::pin(span.around(async move { pipeline.attempt(&run, &resource, &held).await }));
        self.parts().tasks.spawn(work)
    }

    /// Settles an attempt of a run that is written by now, when it ends.
    fn go_on(&self, span: Span, run: StepRun, resource: Arc<Resource>, unfinished: Unfinished) {
        let pipeline = self.clone();
        let Unfinished { ended, attempt, held } = unfinished;
        let work: BoxFuture<'static, ()> = Box::pin(span.around(async move {
            let report = match ended {
                Some(report) => report,
                None => attempt.await,
            };
            let settled = async {
                match report {
                    Ok(Attempt::Made(report)) => pipeline.settle(&run, resource, &report).await,
                    Ok(Attempt::Denied { until, reason }) => pipeline.put_back(&run, &held, until, Some(reason)).await,
                    Ok(Attempt::Excused) => pipeline.make_again(&run, &held).await,
                    Ok(Attempt::Given) => {}
                    Err(error) => pipeline.panicked(&run, &error.to_string()).await,
                }
            };
            pipeline.shielded(&run, settled).await;
            drop(held);
        }));
        self.parts().tasks.spawn(work);
    }
}

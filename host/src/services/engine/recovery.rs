//! Takes over what the process before this one left running.

use std::sync::Arc;
use std::time::Duration;

use super::waker::RunWaker;
use crate::shutdown::Stop;
use crate::store::{Group, Instances, StepRun, StoreError, TakenOver};

/// Processes that may die in one run before it is quarantined.
const PARK_AFTER: u32 = 3;
/// Between two attempts to take over what was left running, while the store cannot write.
const PAUSE: Duration = Duration::from_millis(500);

/// Makes runs of the process before this one ready again. What was inside a component when it died, one of `suspects`, counts a crash.
///
/// # Errors
/// The store did not do it.
pub async fn recover(store: &dyn Instances, suspects: &[String]) -> Result<(), StoreError> {
    store.recover_runs(suspects, PARK_AFTER).await?.iter().for_each(tell_parked);
    Ok(())
}

/// Takes over from other processes that are gone; answers how many runs are ready again. What killed them is told by their own next start.
///
/// # Errors
/// The store did not do it.
pub(super) async fn take_over(group: &dyn Group) -> Result<u64, StoreError> {
    let TakenOver { runs, parked } = group.take_over(PARK_AFTER).await?;
    parked.iter().for_each(tell_parked);
    Ok(runs)
}

fn tell_parked(run: &StepRun) {
    tracing::error!(
        run = run.key,
        component = run.component,
        crashes = run.crashes,
        "a run is quarantined: the process died in it again and again; a new version of the component sets it free, or `millrace quarantined release`"
    );
}

/// Does it as soon as the store can write, unless `stop` is requested first.
///
/// # Errors
/// The store has failed for good.
pub async fn recover_later(store: Arc<dyn Instances>, waker: RunWaker, suspects: Vec<String>, stop: Stop) -> anyhow::Result<()> {
    loop {
        match recover(store.as_ref(), &suspects).await {
            Ok(()) => {
                waker.look_again();
                return Ok(());
            }
            Err(StoreError::Unavailable(_)) => {}
            Err(error) => return Err(error.into()),
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = stop.requested() => return Ok(()),
        }
    }
}

//! The one place where tasks are spawned, so that every one of them can be waited for.
#![expect(clippy::disallowed_methods, reason = "this is the place")]

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::task::TaskTracker;

use crate::shutdown::Stop;

/// The tasks of a process. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    failed: Stop,
}

impl Tasks {
    /// No tasks yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Tasks that can be waited for by themselves. One of them that fails has failed among all.
    #[must_use]
    pub fn group(&self) -> Self {
        Self { tracker: TaskTracker::new(), failed: self.failed.clone() }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.tracker.is_empty()
    }

    /// Spawns a short piece of work, for example one attempt at one step.
    pub fn spawn<F>(&self, work: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.tracker.spawn(work)
    }

    /// Spawns a task that lives as long as the process. When it ends with an error or a panic the process should end, see [`Tasks::failed`].
    pub fn spawn_long<F>(&self, name: &'static str, work: F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let failed = self.failed.clone();
        self.tracker.spawn(async move {
            // Its panic has been logged; without this nobody would miss the task.
            let ended = AssertUnwindSafe(work).catch_unwind().await;
            match ended.unwrap_or_else(|_| Err(anyhow::anyhow!("it panicked"))) {
                Ok(()) => tracing::debug!(task = name, "task ended"),
                Err(error) => {
                    tracing::error!(task = name, error = format!("{error:#}"), "task failed");
                    failed.request();
                }
            }
        });
    }

    /// Waits until a long task has failed.
    pub async fn failed(&self) {
        self.failed.requested().await;
    }

    /// Whether a long task has failed.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.failed.is_requested()
    }

    /// Waits for all tasks, but not longer than `limit`; false if some were still running.
    pub async fn drain(&self, limit: Duration) -> bool {
        self.tracker.close();
        tokio::time::timeout(limit, self.tracker.wait()).await.is_ok()
    }
}

/// Tasks of one part, which waits for them itself and can cut them off. Dropping it cuts off all.
#[derive(Debug, Default)]
pub struct Group {
    tasks: JoinSet<()>,
}

impl Group {
    /// Spawns one more.
    pub fn add<F>(&mut self, work: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        // What has ended is kept until somebody asks for it.
        while self.tasks.try_join_next().is_some() {}
        self.tasks.spawn(work);
    }

    /// Waits for all, but not longer than `limit`, and cuts off the others; answers how many these were.
    pub async fn end(mut self, limit: Duration) -> usize {
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(limit, ended).await.is_ok() {
            return 0;
        }
        let left = self.tasks.len();
        self.tasks.shutdown().await;
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_long_task_that_panics_has_failed_and_one_that_ends_has_not() {
        let tasks = Tasks::new();
        tasks.spawn_long("one that ends", async { Ok(()) });
        assert!(tasks.drain(Duration::from_secs(20)).await && !tasks.has_failed());
        let tasks = Tasks::new();
        tasks.group().spawn_long("one of a group that panics", async { panic!("on purpose") });
        tokio::time::timeout(Duration::from_secs(20), tasks.failed()).await.unwrap();
    }
}

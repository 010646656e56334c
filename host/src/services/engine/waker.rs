//! Wakes runs that wait: those of a component, or whatever the scheduler finds due.

use std::sync::Arc;

use tokio::sync::Notify;

use crate::store::Instances;
use crate::tasks::Tasks;

/// Wakes what waits in the store. Clones share everything.
#[derive(Clone)]
pub struct RunWaker {
    store: Arc<dyn Instances>,
    tasks: Tasks,
    schedule_changed: Arc<Notify>,
}

impl RunWaker {
    /// For the runs in `store`.
    #[must_use]
    pub fn new(store: Arc<dyn Instances>, tasks: Tasks) -> Self {
        Self { store, tasks, schedule_changed: Arc::default() }
    }

    /// Waits until something may be due earlier than before.
    pub(super) async fn changed(&self) {
        self.schedule_changed.notified().await;
    }

    /// Told when something may be due earlier than before.
    pub(super) fn schedule_changed(&self) -> Arc<Notify> {
        Arc::clone(&self.schedule_changed)
    }

    /// Wakes the scheduler: something in the store may be due.
    pub fn look_again(&self) {
        self.schedule_changed.notify_one();
    }

    /// Makes the runs that wait for a component due at once.
    pub fn wake(&self, component: &str) {
        let (waker, component) = (self.clone(), component.to_owned());
        self.tasks.spawn(async move {
            match waker.store.wake(&component).await {
                Ok(0) => {}
                Ok(runs) => {
                    tracing::info!(component, runs, "runs that waited for a component are due");
                    waker.look_again();
                }
                Err(error) => tracing::warn!(component, %error, "runs that wait for a component could not be made due sooner"),
            }
        });
    }
}

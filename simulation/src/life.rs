//! A process from its start to its death.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::world::World;

/// Whether a process lives. Clones are of the same one.
#[derive(Clone)]
pub struct Life {
    shared: Arc<Shared>,
}

struct Shared {
    is_dead: AtomicBool,
    died: Notify,
    /// What it had on the disk when it died, which nothing that is only cleared away may change.
    in_flight: Mutex<Option<Vec<u8>>>,
    path: PathBuf,
    world: Arc<World>,
}

impl Life {
    /// One that begins.
    #[must_use]
    pub fn new(world: &Arc<World>) -> Self {
        let path = Self::in_flight(world);
        let shared =
            Shared { is_dead: AtomicBool::new(false), died: Notify::new(), in_flight: Mutex::default(), path, world: Arc::clone(world) };
        Self { shared: Arc::new(shared) }
    }

    /// Where a process notes which runs are inside a component.
    #[must_use]
    pub fn in_flight(world: &World) -> PathBuf {
        world.folder.join("in-flight")
    }

    /// Nothing of it happens any more: whoever comes here waits for ever.
    pub async fn is_lived(&self) {
        if self.shared.is_dead.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    }

    /// It dies here, and nobody hears of it.
    pub async fn die(&self) {
        self.end();
        std::future::pending::<()>().await;
    }

    /// Nothing of it happens any more.
    pub fn end(&self) {
        let Shared { is_dead, died, in_flight, path, world } = &*self.shared;
        if !is_dead.swap(true, Ordering::Relaxed) {
            world.note("process", format_args!("dies"));
            world.services.lock().died();
            *in_flight.lock() = std::fs::read(path).ok();
            died.notify_one();
        }
    }

    /// Waits until it dies.
    pub async fn ends(&self) {
        self.shared.died.notified().await;
    }

    /// Puts on the disk what was there when it died.
    ///
    /// # Errors
    /// The disk of the real machine.
    pub fn leave_behind(&self) -> std::io::Result<()> {
        match self.shared.in_flight.lock().take() {
            Some(bytes) => std::fs::write(&self.shared.path, bytes),
            None => Ok(()),
        }
    }
}

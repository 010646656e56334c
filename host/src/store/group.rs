//! The processes that have one database at the same time: who they are, whether this one is sure to be one of them, and what it has to hear
//! from the others.

use async_trait::async_trait;
use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::watch;

use super::{StepRun, StoreError};

/// Into how many parts the outbox is split: the events of a key are all in one, and a part is published by one process at a time.
pub const SLOTS: u32 = 64;

/// A process that has the database open.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Owner {
    /// Its epoch, see [`Instances::epoch`](super::Instances::epoch).
    pub id: u64,
    /// Name of its machine.
    pub host: String,
    /// Its number there.
    pub pid: u64,
    /// When it has opened the database, a date of the database's clock.
    pub started_at: Timestamp,
    /// Seconds since its last sign of life, by the database's clock.
    pub heartbeat_age: f64,
    /// Runs that it has claimed and not settled.
    pub runs: u64,
    /// Parts of the outbox that it publishes, of [`SLOTS`].
    pub slots: u64,
}

/// What another process has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// These resources have moved, by kind and id.
    Moved(Vec<(String, String)>),
    /// Nobody knows what: whoever waits for a change looks.
    Anything,
}

/// What was taken over from processes that are gone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TakenOver {
    /// Runs that are ready again.
    pub runs: u64,
    /// Runs that were set aside instead: processes died in them again and again.
    pub parked: Vec<StepRun>,
}

/// For who has to know of the other processes. A store that is one process's at a time has none: what is said here by default is true of it.
#[async_trait]
pub trait Group: Send + Sync + 'static {
    /// How many other processes have the database open and live, as of a second ago.
    fn others(&self) -> usize {
        0
    }

    /// The number of this process among those that have the database on its machine, from 1: the least that no other one had when it came. So a
    /// process that is started again in the place of another one has the number of that one. Of a container that has crashed it is only known
    /// after 5 to 10 s that it did: one that is there sooner has another number.
    fn seat(&self) -> u32 {
        1
    }

    /// Parts of the outbox that this process publishes, of [`SLOTS`].
    fn slots(&self) -> u32 {
        SLOTS
    }

    /// Whether this process is sure that no other one takes it for dead: it is not while others have the database and it could give no sign of
    /// life for some seconds. `None` where that cannot happen.
    fn lease(&self) -> Option<watch::Receiver<bool>> {
        None
    }

    /// Whether the database has heard of this process of late. Unlike [`lease`](Self::lease) it says so also where no other process was there when
    /// it was last heard of. `None` where that cannot happen.
    fn heard_of(&self) -> Option<watch::Receiver<bool>> {
        None
    }

    /// Waits until a process is gone from which nobody has taken over.
    async fn bereaved(&self) {
        std::future::pending().await
    }

    /// Takes over from processes that are gone: their runs are ready for whoever claims them first, and those with `park_after` crashes or more
    /// are parked.
    async fn take_over(&self, park_after: u32) -> Result<TakenOver, StoreError> {
        let _ = park_after;
        Ok(TakenOver::default())
    }

    /// Waits until another process says that it has changed something. What is not heard is not lost: it is in the database.
    async fn heard(&self) -> Heard {
        std::future::pending().await
    }

    /// The processes that have the database open, the one that came first first.
    async fn owners(&self) -> Result<Vec<Owner>, StoreError> {
        Ok(Vec::new())
    }
}

//! The engine: it plans commits, executes runs, completes them, schedules what waits and recovers what was lost.
//!
//! Nobody else changes the state of a workflow. It knows nothing of requests, messages on their way or the shop.
//!
//! Everything here plans, and only [`Pipeline`] executes: `completion` plans what follows from an answer, `undo` what follows from a missing
//! one, `withdrawal` what follows from taking a run back. `commits` makes a plan durable, and the pipeline starts the runs that it claimed.

mod active;
mod alongside;
mod answers;
mod attempts;
pub mod backpressure;
mod breaker;
mod by_component;
pub mod canary;
mod change_notifier;
pub(in crate::services) mod commit_plan;
mod commits;
mod completion;
mod crash_suspects;
mod credentials;
mod dead_ends;
mod dependencies;
pub(in crate::services) mod draws;
pub(in crate::services) mod events;
mod holds;
mod in_hand;
mod jobs;
mod neighbours;
mod per_owner;
mod pipeline;
mod recordings;
pub mod recovery;
mod scheduler;
mod undo;
mod waker;
mod withdrawal;
mod workflows;

pub use active::{Active, Place, WorkflowCounts};
pub(in crate::services) use alongside::Rows;
pub use backpressure::Backpressure;
pub use breaker::{Breakers, LeftAlone};
pub use canary::{Canaries, Canary};
pub use change_notifier::{ChangeNotifier, Watcher};
pub use crash_suspects::CrashSuspects;
pub use credentials::Credentials;
pub use dead_ends::DeadEnds;
pub use dependencies::Dependencies;
pub use draws::{Drawn, Draws, Indexed};
pub use events::Events;
pub use holds::{Holds, MAX_WAITING, Waits};
pub use neighbours::{Neighbours, listen};
pub use per_owner::{PerOwner, Share};
pub use pipeline::{FireError, Pipeline};
pub use recordings::{Recorded, Recordings};
pub use scheduler::Scheduler;
pub use waker::RunWaker;
pub use workflows::{LookupError, Pinned, Stillness, WorkflowSet, Workflows, hex};

pub(in crate::services) use attempts::Attempt;
pub(in crate::services) use in_hand::Held;
pub(in crate::services) use jobs::span_of;
pub(in crate::services) use pipeline::{BROKEN, Lost, STOPPED, panic_text};
pub(in crate::services) use withdrawal::WithdrawError;

//! The engine: it plans commits, executes runs, completes them, schedules what waits and recovers what was lost.
//!
//! Nobody else changes the state of a workflow. It knows nothing of requests, messages on their way or the shop.

pub mod active;
pub mod backpressure;
pub mod breaker;
pub mod change_notifier;
pub mod commit_plan;
pub(in crate::services) mod completion;
pub mod crash_suspects;
pub mod credentials;
pub mod events;
pub(in crate::services) mod in_hand;
pub mod per_owner;
pub mod pipeline;
pub mod scheduler;
pub mod stranded;
mod undo;
pub(in crate::services) mod withdrawal;
pub mod workflows;

//! The pure core of Millrace: what a business process is, and what happens to one instance of it next.
//!
//! A [`Definition`] (states, transitions, steps, hooks) is checked as a whole and becomes a [`Machine`]. [`Machine::create`]
//! and [`Machine::advance`] take an [`Instance`] and an [`Input`] and return the instance's next form and the [`Effect`]s that
//! the caller has to make durable, all of them in one transaction. An input that does not fit is a [`Refusal`], and harmless.
//!
//! This crate knows nothing of SQL, HTTP, Kafka, wasm, or what time it is: durations go in and out, never instants, and
//! randomness is an argument. That absence is what makes a million random runs a unit test.

mod definition;
mod instance;
mod machine;
mod retry;

pub use definition::{Defect, Definition, Hook, Reaction, State, Step, Transition};
pub use instance::{Cause, Effect, Input, Instance, Refusal, RunKind, StepOutcome};
pub use machine::Machine;
pub use retry::RetryPolicy;

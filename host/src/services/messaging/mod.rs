//! Events on their way: the relay carries them from the outbox to the bus, the consumers act on those that arrive.

pub mod event_consumers;
mod inline_execution;
pub mod relay;
mod witness;

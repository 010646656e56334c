//! Events on their way: the relay carries them from the outbox to the bus, the consumers act on those that arrive.

mod event_consumers;
mod inline_execution;
mod own_events;
mod relay;
mod strangers;
mod witness;

pub use event_consumers::{Dependencies, EventConsumers};
pub use own_events::OwnEvents;
pub use relay::{Refusals, Relay};
pub use strangers::Strangers;

//! The shop over a real Kafka, in one process.

mod dead_letters;
mod flow;
mod forged;
mod repair;
mod strangers;
mod test_env;
mod topics;

pub use flow::{deliver, ids};
pub use topics::{EVENTS, Topics};

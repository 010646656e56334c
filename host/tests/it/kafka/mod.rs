//! The shop over a real Kafka, in one process.

mod bed;
mod dead_letters;
mod flow;
mod forged;
mod repair;
mod topics;

pub use flow::{deliver, ids};
pub use topics::{EVENTS, Topics};

//! The shop over a real Kafka, in one process.

mod bed;
mod broker_away;
mod flow;
mod repair;

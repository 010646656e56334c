//! The shop over a real Kafka: in one process, and beside a service that is added to it.

mod bed;
mod broker_away;
mod flow;
mod notifications;
mod repair;

//! What an operator sees: metrics, traces, log lines, health, `millrace top`.

mod breaker;
mod collector;
mod metrics;
pub mod scraped;
mod secrets;
mod top;
mod traces;

//! What the process tells about itself: numbers in [`metrics`], lines in [`logs`], how one thing led to another in [`traces`].
//!
//! The only part that names OpenTelemetry and its exporter. It knows names and labels, never what they are about.

mod export;
mod lines;
pub mod logs;
pub mod metrics;
pub mod traces;

pub use logs::LogFormat;
pub use metrics::Metrics;

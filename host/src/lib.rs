//! Millrace: a WebAssembly component host that drives business processes through durable state machines.
//!
//! In reading sequence: [`config`] (what was written) becomes [`plan`] (what it means) becomes [`app`] (what runs).
//! `http` answers, `services` decides, `store`, `bus` and `runtime` act, `millrace_workflow` knows what comes next.

pub mod app;
pub mod between;
pub mod bus;
pub mod clock;
pub mod commands;
pub mod config;
pub mod durable;
pub mod faults;
pub mod http;
pub mod memory;
pub mod plan;
pub mod proxies;
pub mod pulse;
pub mod runtime;
pub mod services;
pub mod shutdown;
pub mod store;
pub mod tasks;
pub mod telemetry;
pub mod templates;
pub mod text;
pub mod threads;

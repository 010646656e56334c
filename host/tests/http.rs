//! The HTTP edge, asked as a client asks: through the router, and where bytes matter through a socket.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on says so by panicking")]
#![expect(clippy::disallowed_methods, reason = "what a test spawns ends with it")]

#[path = "http/accounts.rs"]
mod accounts;
#[path = "http/admins.rs"]
mod admins;
#[path = "http/connection.rs"]
mod connection;
#[path = "http/description.rs"]
mod description;
#[path = "http/files.rs"]
mod files;
#[path = "http/guessing.rs"]
mod guessing;
#[path = "http/heads.rs"]
mod heads;
#[path = "http/internal.rs"]
mod internal;
#[path = "http/metrics.rs"]
mod metrics;
#[path = "http/operation.rs"]
mod operation;
#[path = "http/passwords.rs"]
mod passwords;
#[path = "http/people.rs"]
mod people;
#[path = "http/proxy.rs"]
mod proxy;
#[path = "http/room.rs"]
mod room;
#[path = "http/routing.rs"]
mod routing;
#[path = "http/second_factor.rs"]
mod second_factor;
#[path = "http/staff.rs"]
mod staff;
#[path = "http/support.rs"]
mod support;
#[path = "http/targets.rs"]
mod targets;

//! The HTTP edge, asked as a client asks: through the router, and where bytes matter through a socket.

#[path = "http/accounts.rs"]
mod accounts;
#[path = "http/connection.rs"]
mod connection;
#[path = "http/files.rs"]
mod files;
#[path = "http/operation.rs"]
mod operation;
#[path = "http/routing.rs"]
mod routing;
#[path = "http/support.rs"]
mod support;

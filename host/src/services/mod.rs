//! What the program does: users, resources, the pipeline that moves them, and telling the world about it.
//!
//! Handlers call this and never see a store; nothing here knows of axum. The shop (`shop/`) is the only part that knows
//! what an order line is.

pub mod error;
pub mod resources;
pub mod users;

pub use error::ServiceError;

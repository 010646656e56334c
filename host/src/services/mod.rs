//! What the program does, in rooms: each is a folder with a door, its `mod.rs`.
//!
//! Handlers call this and never see a store; nothing here knows of axum. The shop (`shop/`) is the only part that knows
//! what a line of the shop's orders is.

pub mod audit;
pub mod console;
pub mod engine;
pub mod error;
pub mod generation;
pub mod messaging;
pub mod operations;
pub mod resources;
pub mod shop;
pub mod users;

pub use error::ServiceError;

//! What the program does: users, resources, the pipeline that moves them, and telling the world about it.
//!
//! Handlers call this and never see a store; nothing here knows of axum. The shop (`shop/`) is the only part that knows
//! what a line of the shop's orders is.

pub mod active;
pub mod agreement;
pub mod breaker;
pub mod changes;
mod course;
pub mod credentials;
pub mod decision;
mod eager;
pub mod error;
pub mod events;
pub mod hub;
pub mod in_flight;
mod in_hand;
pub mod per_owner;
pub mod pipeline;
pub mod reactions;
pub mod relay;
pub mod resources;
pub mod retention;
pub mod scheduler;
mod seeds;
mod settlement;
pub mod shop;
pub mod stranded;
mod undo;
pub mod users;
pub mod view;
pub mod watermark;
mod withdrawal;
mod witness;
pub mod workflows;

pub use error::ServiceError;

//! Any resource, with or without a workflow: what handlers call, and how a resource looks from outside.

mod changes;
mod course;
mod seeds;
mod service;
pub mod view;

pub use service::{Change, ChangeBody, Generation, IdempotencyKey, LONGEST_PAGE, Page, Resources, View, usual_page};

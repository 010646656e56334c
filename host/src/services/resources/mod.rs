//! Any resource, with or without a workflow: what handlers call, and how a resource looks from outside.

mod caller;
mod changes;
mod course;
mod handler;
mod seeds;
mod service;
mod standing;
pub mod view;

pub use caller::Caller;
pub use seeds::seed_mistakes;
pub use service::{Dependencies, IdempotencyKey, MAX_PAGE, Resources, usual_page};
pub use view::{Change, ChangeBody, Page, View};

pub use crate::store::{HistoryRow, Object};

//! Any resource, with or without a workflow: what handlers call, and how a resource looks from outside.

mod caller;
mod changes;
mod course;
mod draws;
mod export;
mod figures;
mod handler;
mod notes;
mod products;
mod search;
mod seeds;
mod service;
mod standing;
pub mod view;

pub use caller::Caller;
pub use export::Exporting;
pub use figures::FiguresBody;
pub use handler::MAX_REASON;
pub use notes::NoteBody;
pub use products::{Imported, LevelPage, MovePage, Prices, ProductPage, ProductQuery, USUAL_PAGE};
pub use search::{MAX_TERM, Parameter, Takes, keys, parameters};
pub use seeds::seed_mistakes;
pub use service::{CHANGED, Dependencies, IdempotencyKey, MAX_PAGE, Resources, usual_page};
pub use view::{Change, ChangeBody, Page, View};

pub use crate::store::{HistoryRow, Object};

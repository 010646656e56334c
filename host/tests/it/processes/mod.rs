//! The shop as three processes, with the configs of the repository.

mod accounts;
mod broker;
mod notifications;
mod pair;
pub mod shop;
mod walk;

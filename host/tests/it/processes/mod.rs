//! The shop as three processes, with the configs of the repository.

mod broker;
mod notifications;
mod shop;
mod walk;

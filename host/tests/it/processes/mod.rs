//! The shop as three processes, with the configs of the repository.

mod broker;
mod shop;
mod walk;

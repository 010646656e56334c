//! The product as its users meet it: a real process or a real app on a real port, real components, a real database.

mod architecture;
mod client;
mod crashes;
mod process;
mod returns;
mod shop;
mod swaps;
mod test_app;

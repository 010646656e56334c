//! The shop: the only part that knows what an order line is. It prices new orders from a catalogue and keeps stock.
//!
//! Turned on by two options of `api.handler`: `pricing` (this resource is an order) and `stock` (this one is stocked).

pub mod catalogue;
pub mod import;
pub mod ledger;
pub mod money;
pub mod order;
pub mod pricing;
pub mod products;
pub mod status;
pub mod stock;

/// Fields of an order that its customer or the catalogue wrote, and no component may change.
pub const WRITTEN_AT_CREATION: [&str; 4] = ["items", "shipping", "total", "payment"];

//! The product as its users meet it: a real process or a real app on a real port, real components, a real database.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, spawns what it likes, and is read where it stands"
)]

mod access;
mod accounts;
mod admin;
mod admin_orders;
mod architecture;
mod catalogue;
mod client;
mod commands;
mod compiled;
mod conditions;
mod courses;
mod crashes;
mod dead_letters;
mod described;
mod durable;
mod edge;
mod gauntlet;
#[path = "../handmade/mod.rs"]
mod handmade;
mod kafka;
#[path = "../kafka_broker/mod.rs"]
mod kafka_broker;
mod keeping;
mod limits;
mod observability;
#[path = "../oci_registry/mod.rs"]
mod oci_registry;
mod operator;
mod original;
mod postgres;
#[path = "../support/postgres.rs"]
#[expect(dead_code, reason = "each program of tests needs its part of it")]
mod postgres_server;
mod process;
mod processes;
mod refunds;
mod reservations;
mod returns;
mod shop;
mod stock;
mod swaps;
mod test_app;
mod trust;
mod turns;

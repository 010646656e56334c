//! Breaks the program on purpose and checks that what was promised still holds.
//!
//! A run is made from a seed: clients buy, a nemesis kills, stops and deceives, a bank that is never killed keeps books. When all is at rest
//! the database, the books and the journal of what customers were told are held against each other, one check for each invariant of
//! `docs/durability.md`.
//!
//! | module | what it is |
//! |---|---|
//! | [`schedule`] | which fault when, from the seed alone |
//! | [`points`] | which crash points and planted bugs there are, read from the source |
//! | [`stack`], [`member`], [`shop`], [`program`] | the program in a folder of its own, and its processes |
//! | [`broker`], [`topics`] | Kafka, and what is in it |
//! | [`server`] | PostgreSQL, where several processes share a database |
//! | [`links`] | what lies between two processes, and can be cut |
//! | [`bank`] | the payment provider, a process of its own |
//! | [`customers`] | who buys, and what they insist on |
//! | [`nemesis`] | does what the schedule says |
//! | [`journal`] | what anybody was told, on the disk before it counts |
//! | [`checker`] | the invariants |
//! | [`resumption`] | how long it takes until something goes on |
//! | [`power`] | what the disk has after a power cut |
//! | [`durable`] | whether what is told is on the disk, by the calls that the program makes |
//! | [`trial`] | one run from its seed to its verdict |
//! | [`shrink`], [`report`] | the shortest schedule that still fails, and how it is told |

#![expect(clippy::disallowed_methods, reason = "it is a program beside the host: its tasks, its dates and its environment are its own")]

pub mod bank;
pub mod broker;
pub mod checker;
pub mod client;
pub mod components;
pub mod customers;
pub mod durable;
pub mod journal;
pub mod links;
pub mod member;
pub mod nemesis;
pub mod points;
pub mod power;
pub mod program;
pub mod report;
pub mod resumption;
pub mod schedule;
pub mod server;
pub mod shop;
pub mod shrink;
pub mod stack;
pub mod topics;
pub mod trial;

//! Breaks the program on purpose and checks that what was promised still holds.
//!
//! A run is made from a seed: clients buy, a nemesis kills, stops and deceives, a bank that is never killed keeps books. When all is at rest
//! the database, the books and the journal of what customers were told are held against each other, one check for each invariant of
//! `docs/durability.md`.
//!
//! | module | what it is |
//! |---|---|
//! | [`schedule`] | which fault when, from the seed alone |
//! | [`stack`], [`program`] | the program in a folder of its own, and its process |
//! | [`bank`] | the payment provider, a process of its own |
//! | [`customers`] | who buys, and what they insist on |
//! | [`nemesis`] | does what the schedule says |
//! | [`journal`] | what anybody was told, on the disk before it counts |
//! | [`checker`] | the invariants |
//! | [`trial`] | one run from its seed to its verdict |
//! | [`shrink`], [`report`] | the shortest schedule that still fails, and how it is told |

#![expect(clippy::disallowed_methods, reason = "it is a program beside the host: its tasks, its dates and its environment are its own")]

pub mod bank;
pub mod checker;
pub mod client;
pub mod components;
pub mod customers;
pub mod journal;
pub mod nemesis;
pub mod program;
pub mod report;
pub mod schedule;
pub mod shrink;
pub mod stack;
pub mod trial;

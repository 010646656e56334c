//! The program under the conditions of real places: a log that nobody reads, a disk that is full, a clock that jumps, a proxy in the
//! environment, links, a pause, a bank that stays silent. Each file is one kind of them.
//!
//! Tests are short here; `cargo xtask test --long` asks for the long form of those that have one, see [`long`].

mod archive;
mod backups;
mod by_email;
mod certificates;
mod clocks;
mod components;
mod copies;
mod crowd;
mod disks;
mod engine;
mod files;
mod gateway;
mod guessing;
mod logs;
mod network;
mod payments;
mod refunds;
mod retention;
mod secrets;
pub mod split;
mod starts;
mod stopping;
pub mod test_env;
mod threads;
mod upgrades;

/// Whether the long form of a test is asked for.
pub fn long() -> bool {
    std::env::var_os("MILLRACE_TEST_LONG").is_some()
}

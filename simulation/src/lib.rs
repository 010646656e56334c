//! Runs the engine, the scheduler, the relay and the consumers on a simulated machine, and breaks it from a seed.
//!
//! The program is the real one; what it stands on is simulated, in one thread: the machine (time, randomness, waiting), the store (its rows outlive
//! the process, its answers do not), the broker, the components with the services behind them, and customers. An episode begins with nothing,
//! has the process die again and again, comes to rest, and is held against what was promised. The same seed is always the same episode.
//!
//! | module | what it is |
//! |---|---|
//! | [`schedule`] | what goes wrong where, from the seed alone |
//! | [`machine`] | what time it is, and what is random |
//! | [`world`] | what outlives the process |
//! | [`store`], [`broker`], [`components`] | what the process stands on |
//! | [`services`], [`customers`] | who is behind the components, and who is before the process |
//! | [`life`], [`process`] | a process, and what it is made of |
//! | [`episode`] | from a seed to a verdict |
//! | [`checker`] | the invariants |
//! | [`runs`] | many episodes, each in a process of its own |

pub mod broker;
pub mod checker;
pub mod components;
pub mod customers;
pub mod episode;
pub mod life;
pub mod machine;
pub mod process;
pub mod runs;
pub mod schedule;
pub mod services;
pub mod store;
pub mod world;

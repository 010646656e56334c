//! What a run of a component of 0.2 has of its own, and what it wants done with its answer: its configuration by key, its state, its events.

use super::inspect::Contract;
use super::kv::{KvChange, State};
use super::published::{Published, Publishing};
use super::typed::TypedConfig;

/// What is committed with the answer of an attempt, in the same transaction: all of it, or nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Alongside {
    /// What becomes of the component's state.
    pub kv: Vec<KvChange>,
    /// Events to publish, in the sequence in which it published them.
    pub events: Vec<Published>,
}

/// What one run has of its own. Nothing by default: then everything that writes is denied.
#[derive(Clone, Default)]
pub(super) struct Own {
    pub config: TypedConfig,
    pub kv: State,
    pub events: Publishing,
}

impl Own {
    /// Gives it the configuration of its job, if it can ask for it.
    pub fn give(&mut self, contract: Contract, config: &str) {
        if contract == Contract::Second {
            self.config = TypedConfig::of(config);
        }
    }

    /// What it wants done.
    pub fn taken(&mut self) -> Alongside {
        Alongside { kv: self.kv.taken(), events: self.events.taken() }
    }
}

//! The rows of accounts.

use std::collections::{BTreeMap, HashMap};

use super::super::{Reset, User};

/// Accounts, and what is known of those of other processes.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    pub(super) by_id: BTreeMap<String, User>,
    /// The epoch that others were told of.
    pub(super) told: HashMap<String, u64>,
    /// Epoch and date that another process has told of.
    pub(super) heard: HashMap<String, (u64, i64)>,
    pub(super) resets: Vec<Reset>,
}

impl Accounts {
    pub(super) fn forget_resets(&mut self, id: &str) {
        self.resets.retain(|reset| reset.user_id != id);
    }
}

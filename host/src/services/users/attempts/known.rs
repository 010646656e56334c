//! From which networks an account was logged in to.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use parking_lot::Mutex;

/// Networks of one account; the one that was there least recently is forgotten first.
const NETWORKS: usize = 8;
/// Accounts. Only a right password makes an entry, so guessing pushes none out.
const ACCOUNTS: u64 = 50_000;
/// A network is known for this long after it was there.
const MEMORY: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Kept in memory only: after a restart every network is one that has not erred yet, which is as good.
pub(super) struct Known(Cache<String, Arc<Mutex<Vec<Visit>>>>);

struct Visit {
    network: IpAddr,
    at: Timestamp,
}

impl Known {
    pub(super) fn new() -> Self {
        let forgotten = Duration::try_from(MEMORY).unwrap_or(Duration::MAX);
        Self(Cache::builder().max_capacity(ACCOUNTS).eviction_policy(EvictionPolicy::lru()).time_to_idle(forgotten).build())
    }

    /// Whether `account` was logged in to from `network` lately.
    pub(super) fn has(&self, account: &str, network: IpAddr, now: Timestamp) -> bool {
        let Some(visits) = self.0.get(account) else { return false };
        visits.lock().iter().any(|visit| visit.network == network && now.duration_since(visit.at) < MEMORY)
    }

    /// Somebody with the password was there.
    pub(super) fn add(&self, account: &str, network: IpAddr, at: Timestamp) {
        let visits = self.0.get_with_by_ref(account, Arc::default);
        let mut visits = visits.lock();
        visits.retain(|visit| visit.network != network);
        if visits.len() == NETWORKS {
            visits.remove(0);
        }
        visits.push(Visit { network, at });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_networks_of_an_account_are_known_for_a_month() {
        let known = Known::new();
        let network = |n: u8| IpAddr::from([192, 0, 2, n]);
        let day = |n: i64| Timestamp::from_second(n * 24 * 3600).unwrap();
        for n in 0..=8 {
            known.add("ada", network(n), day(n.into()));
        }
        assert!(!known.has("ada", network(0), day(9)) && known.has("ada", network(1), day(9)) && known.has("ada", network(8), day(9)));
        assert!(!known.has("bob", network(8), day(9)));
        assert!(known.has("ada", network(8), day(37)) && !known.has("ada", network(8), day(38)));
    }
}

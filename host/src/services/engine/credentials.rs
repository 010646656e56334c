//! What other processes know this one by, and what is left undone while one of them does not accept it.
//!
//! A secret that is refused is the fault of an operator, never of the instance whose run met it: such a run was no attempt. It waits in
//! the store, one run is let through from time to time to find out whether that has been set right, and `/healthz` says what to set.

use std::collections::{BTreeMap, HashMap};

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Between two runs of a component that are let through to try.
const PAUSE: SignedDuration = SignedDuration::from_secs(5);

/// Why a run is not begun, and when to ask again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// When.
    pub until: Timestamp,
    /// Why, for an operator.
    pub reason: String,
}

/// What is known to be wrong.
#[derive(Default)]
pub struct Credentials {
    /// By component: what it was refused for, and when the next run may try.
    refused: Mutex<HashMap<String, Wait>>,
    /// By the URL of another process: settings that are not the same there.
    differing: Mutex<BTreeMap<String, Vec<String>>>,
    changed: Notify,
}

impl Credentials {
    /// Whether a run of `component` may begin.
    ///
    /// # Errors
    /// It may not, as long as the credentials of this process are refused.
    pub fn admit(&self, component: &str, now: Timestamp) -> Result<(), Wait> {
        let mut refused = self.refused.lock();
        let Some(wait) = refused.get_mut(component) else { return Ok(()) };
        // A clock that was set back must not make it wait longer than ever.
        wait.until = wait.until.min(later(now));
        if now < wait.until {
            return Err(wait.clone());
        }
        wait.until = later(now);
        Ok(())
    }

    /// A run of `component` was refused for `reason`; answers how long it waits.
    pub fn refused(&self, component: &str, reason: &str, now: Timestamp) -> Wait {
        let wait = Wait { until: later(now), reason: reason.to_owned() };
        let before = self.refused.lock().insert(component.to_owned(), wait.clone());
        if before.is_none_or(|before| before.reason != reason) {
            tracing::error!(
                component,
                reason,
                "the credentials of this process were refused: runs of a component wait, without using attempts, until an operator corrects them"
            );
        }
        self.changed.notify_one();
        wait
    }

    /// A run of `component` has succeeded; true if those before it had been refused.
    pub fn accepted(&self, component: &str) -> bool {
        let was_refused = self.refused.lock().remove(component).is_some();
        if was_refused {
            tracing::info!(component, "the credentials of this process are accepted again: runs that waited continue");
        }
        was_refused
    }

    /// What the process at `url` said of settings that must be the same there: those that are not. Answers the components whose runs
    /// have waited for that and may try again, if all is well now.
    pub fn compared(&self, url: &str, differing: Vec<String>) -> Vec<String> {
        let is_well = differing.is_empty();
        let before = self.differing.lock().insert(url.to_owned(), differing.clone()).unwrap_or_default();
        for difference in differing.iter().filter(|difference| !before.contains(difference)) {
            tracing::error!(url, "{difference}");
        }
        if !is_well || before.is_empty() {
            return Vec::new();
        }
        tracing::info!(url, "the secrets are the same in both processes again");
        self.refused.lock().drain().map(|(component, _)| component).collect()
    }

    /// Waits until something was refused.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// What an operator has to set right, if anything.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        let differing: Vec<String> = self.differing.lock().values().flatten().cloned().collect();
        let refused = self.refused.lock();
        let mut refused: Vec<&str> = refused.values().map(|wait| wait.reason.as_str()).collect();
        refused.sort_unstable();
        refused.dedup();
        let told: Vec<&str> = differing.iter().map(String::as_str).chain(refused).collect();
        (!told.is_empty()).then(|| told.join("; "))
    }
}

fn later(now: Timestamp) -> Timestamp {
    now.saturating_add(PAUSE).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + seconds).unwrap()
    }

    #[test]
    fn after_a_refusal_one_run_tries_at_a_time_and_a_success_lets_all_go_on() {
        let credentials = Credentials::default();
        assert_eq!(credentials.admit("a", at(0)), Ok(()));
        assert_eq!(credentials.refused("a", "no A_SECRET", at(0)).until, at(5));
        assert_eq!(credentials.admit("a", at(4)).unwrap_err().reason, "no A_SECRET");
        assert_eq!(credentials.admit("b", at(4)), Ok(()), "others are not concerned");
        assert_eq!(credentials.admit("a", at(5)), Ok(()));
        assert_eq!(credentials.admit("a", at(5)).unwrap_err().until, at(10), "one at a time");
        assert_eq!(credentials.problem().as_deref(), Some("no A_SECRET"));
        assert!(credentials.accepted("a") && !credentials.accepted("a"));
        assert_eq!((credentials.admit("a", at(6)), credentials.problem()), (Ok(()), None));
    }

    #[test]
    fn what_differs_is_told_until_it_is_the_same_and_then_what_waited_goes_on() {
        let credentials = Credentials::default();
        assert!(credentials.compared("http://a", Vec::new()).is_empty());
        credentials.refused("stock", "refused", at(0));
        assert!(credentials.compared("http://a", vec!["A_SECRET differs".into()]).is_empty());
        assert_eq!(credentials.problem().as_deref(), Some("A_SECRET differs; refused"));
        assert_eq!(credentials.compared("http://a", Vec::new()), ["stock"]);
        assert_eq!(credentials.problem(), None);
    }

    #[test]
    fn a_clock_that_is_set_back_makes_nothing_wait_longer() {
        let credentials = Credentials::default();
        credentials.refused("a", "no", at(0));
        assert_eq!(credentials.admit("a", at(-1_000)).unwrap_err().until, at(-995));
    }
}

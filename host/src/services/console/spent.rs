//! How often the copilot's model is asked: at once, and by one person in an hour. And what it has proposed to whom, so that what becomes of it can be told.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;

use crate::services::ServiceError;

/// Questions of all people at once.
const AT_ONCE: usize = 4;
/// What a budget is for.
const HOUR: SignedDuration = SignedDuration::from_hours(1);
/// How long somebody waits who may ask again then.
const SOON: Duration = Duration::from_secs(5);
/// Proposals that are known by their ids.
const KNOWN: usize = 256;

/// What was asked of late. Everybody is asked for a place first.
#[derive(Default)]
pub(super) struct Spent {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    asking: Vec<String>,
    asked: HashMap<String, VecDeque<Timestamp>>,
    proposed: VecDeque<(String, String)>,
}

/// Somebody who asks, as long as it is kept.
pub(super) struct Place {
    who: String,
    inner: Arc<Mutex<Inner>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inner = self.inner.lock();
        if let Some(at) = inner.asking.iter().position(|who| *who == self.who) {
            inner.asking.swap_remove(at);
        }
    }
}

impl Spent {
    /// A place for a question.
    ///
    /// # Errors
    /// They have one under way, or too many have.
    pub(super) fn begin(&self, who: &str) -> Result<Place, ServiceError> {
        let mut inner = self.inner.lock();
        let detail = if inner.asking.iter().any(|other| other == who) {
            "a question of yours is under way; wait for its answer, or stop it".to_owned()
        } else if inner.asking.len() >= AT_ONCE {
            format!("{AT_ONCE} questions are under way, which is as many as are asked at once")
        } else {
            inner.asking.push(who.to_owned());
            return Ok(Place { who: who.to_owned(), inner: Arc::clone(&self.inner) });
        };
        Err(ServiceError::TooMany { detail, retry_after: SOON })
    }

    /// Counts one more question to the model.
    ///
    /// # Errors
    /// They have asked as often as they may in an hour.
    pub(super) fn spend(&self, who: &str, per_hour: u32, now: Timestamp) -> Result<(), ServiceError> {
        let mut inner = self.inner.lock();
        inner.asked.retain(|_, times| {
            times.retain(|at| now.duration_since(*at) < HOUR);
            !times.is_empty()
        });
        let times = inner.asked.entry(who.to_owned()).or_default();
        if times.len() < per_hour as usize {
            times.push_back(now);
            return Ok(());
        }
        let left = times.front().map_or(HOUR, |first| HOUR - now.duration_since(*first));
        let detail = format!("the model was asked {per_hour} times for you within an hour, which is what `perHour` allows");
        Err(ServiceError::TooMany { detail, retry_after: Duration::try_from(left).unwrap_or(SOON) })
    }

    /// Knows that this was proposed to somebody.
    pub(super) fn gave(&self, id: &str, who: &str) {
        let mut inner = self.inner.lock();
        inner.proposed.push_back((id.to_owned(), who.to_owned()));
        if inner.proposed.len() > KNOWN {
            inner.proposed.pop_front();
        }
    }

    /// Whether it was, once.
    pub(super) fn take(&self, id: &str, who: &str) -> bool {
        let mut inner = self.inner.lock();
        let at = inner.proposed.iter().position(|(known, to)| known == id && to == who);
        at.is_some_and(|at| inner.proposed.remove(at).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes)
    }

    #[test]
    fn one_person_asks_one_thing_at_a_time_and_not_many_do_at_once() {
        let spent = Spent::default();
        let first = spent.begin("ada").unwrap();
        assert!(spent.begin("ada").is_err_and(|error| error.to_string().contains("of yours is under way")));
        let others: Vec<Place> = (1..AT_ONCE).map(|number| spent.begin(&number.to_string()).unwrap()).collect();
        assert!(spent.begin("bob").is_err_and(|error| error.to_string().starts_with("4 questions are under way")));
        drop(first);
        assert!(spent.begin("bob").is_ok() && others.len() == AT_ONCE - 1);
    }

    #[test]
    fn a_budget_is_that_of_one_person_and_of_the_last_hour() {
        let spent = Spent::default();
        for minute in [0, 10] {
            spent.spend("ada", 2, at(minute)).unwrap();
        }
        let ServiceError::TooMany { retry_after, .. } = spent.spend("ada", 2, at(20)).unwrap_err() else { panic!("another error") };
        assert_eq!(retry_after, Duration::from_secs(40 * 60));
        spent.spend("bob", 2, at(20)).unwrap();
        spent.spend("ada", 2, at(60)).unwrap();
        assert!(spent.spend("ada", 2, at(61)).is_err());
    }

    #[test]
    fn what_was_proposed_is_applied_once_and_by_who_has_asked() {
        let spent = Spent::default();
        spent.gave("a", "ada");
        assert!(!spent.take("a", "bob") && spent.take("a", "ada") && !spent.take("a", "ada"));
    }
}

//! What is reserved for long. A reservation is ended by whoever has made it, which may be another process; one that has lost its memory, because
//! its database was put back from a copy, ends none. So what is held for long is told, and a person decides.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;

use crate::clock::Clock;
use crate::store::{HeldReservation, Stock, StoreError};

/// However often somebody asks, reservations are looked at once in this time at most, and so seldom that it takes one part in so many of it.
const INTERVAL: Duration = Duration::from_secs(1);
const PARTS: u32 = 200;
/// After so long somebody should look.
const LONG: SignedDuration = SignedDuration::from_hours(24);

/// What is held for so long or longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount {
    /// Keys under which something is.
    pub keys: u64,
    /// Units under them.
    pub units: u64,
}

/// What is held, by its age: as far back as this process has seen it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amounts {
    /// All of it.
    pub all: Amount,
    /// For an hour.
    pub hour: Amount,
    /// For a day.
    pub day: Amount,
}

/// Looks at what is reserved. Clones share what they have seen.
#[derive(Clone)]
pub struct Held {
    store: Arc<dyn Stock>,
    clock: Clock,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    at: Option<Instant>,
    /// How long that took.
    took: Duration,
    /// Units of each key, and when it was seen first.
    keys: HashMap<String, (u64, Timestamp)>,
}

impl Held {
    /// Over the stock of `store`.
    #[must_use]
    pub fn new(store: Arc<dyn Stock>, clock: Clock) -> Self {
        Self { store, clock, seen: Arc::default() }
    }

    /// What is held now, or was a moment ago.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn amounts(&self) -> Result<Amounts, StoreError> {
        let mut seen = self.seen.lock().await;
        let now = self.clock.steady();
        let pause = INTERVAL.max(seen.took * PARTS);
        if seen.at.is_none_or(|at| at.elapsed() >= pause) {
            let began = Instant::now();
            let held = self.store.reservations().await?;
            seen.note(&held, now);
            (seen.at, seen.took) = (Some(began), began.elapsed());
        }
        Ok(seen.amounts(now))
    }

    /// What is held for so long that a person should look, in words.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn problem(&self) -> Result<Option<String>, StoreError> {
        let Amount { keys, units } = self.amounts().await?.day;
        Ok((keys > 0).then(|| {
            format!(
                "{units} units are reserved under {keys} keys for more than a day: `millrace reservations list` shows them, and `release` gives \
                 back those that nobody needs any more"
            )
        }))
    }
}

impl Seen {
    fn note(&mut self, held: &[HeldReservation], now: Timestamp) {
        let before = std::mem::take(&mut self.keys);
        let since = |key: &str| before.get(key).map_or(now, |(_, since)| *since);
        self.keys = held.iter().map(|one| (one.key.clone(), (one.units(), since(&one.key)))).collect();
    }

    fn amounts(&self, now: Timestamp) -> Amounts {
        let of = |age: SignedDuration| {
            let old = self.keys.values().filter(|(_, since)| now.duration_since(*since) >= age);
            old.fold(Amount::default(), |sum, (units, _)| Amount { keys: sum.keys + 1, units: sum.units.saturating_add(*units) })
        };
        Amounts { all: of(SignedDuration::ZERO), hour: of(SignedDuration::from_hours(1)), day: of(LONG) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(key: &str, units: u64) -> HeldReservation {
        HeldReservation { key: key.into(), lines: [("sku".to_owned(), units)].into() }
    }

    #[test]
    fn what_is_held_ages_until_it_ends() {
        let at = |hours: i64| Timestamp::from_second(hours * 3600).unwrap();
        let mut seen = Seen::default();
        seen.note(&[held("a", 5), held("b", 2)], at(0));
        seen.note(&[held("a", 5), held("c", 1)], at(20));
        let amount = |keys, units| Amount { keys, units };
        assert_eq!(seen.amounts(at(20)), Amounts { all: amount(2, 6), hour: amount(1, 5), day: amount(0, 0) });
        assert_eq!(seen.amounts(at(24)), Amounts { all: amount(2, 6), hour: amount(2, 6), day: amount(1, 5) });
        seen.note(&[], at(25));
        assert_eq!(seen.amounts(at(60)), Amounts::default());
    }
}

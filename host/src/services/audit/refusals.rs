//! Which refusals are written: each person and route once in a while, and not many in all.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

/// A refusal of the same person at the same route is written once in this time.
const WINDOW: SignedDuration = SignedDuration::from_mins(10);
/// Refusals of one person that are written in it.
const OF_ONE: usize = 10;
/// Refusals that are written in it of people with a role, and as many of all others: some megabytes a day. Anybody may open accounts, and
/// would keep those of the former out of the log otherwise.
const OF_ALL: usize = 100;

/// What was written of late.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    of_staff: Written,
    of_others: Written,
}

#[derive(Debug, Default)]
struct Written {
    written: HashMap<(String, String), Timestamp>,
    left_out: u64,
}

impl Refusals {
    /// Whether this one is to be written at the steady time `now`, and how many of the same kind of people were left out since the last one
    /// that was. With the actor goes whether they have a role.
    pub(super) fn admit(&mut self, now: Timestamp, (actor, is_staff): (&str, bool), route: &str) -> Option<u64> {
        if is_staff { &mut self.of_staff } else { &mut self.of_others }.admit(now, actor, route)
    }
}

impl Written {
    fn admit(&mut self, now: Timestamp, actor: &str, route: &str) -> Option<u64> {
        self.written.retain(|_, at| now.duration_since(*at) < WINDOW);
        let key = (actor.to_owned(), route.to_owned());
        let of_actor = self.written.keys().filter(|(other, _)| other == actor).count();
        if self.written.contains_key(&key) || of_actor >= OF_ONE || self.written.len() >= OF_ALL {
            self.left_out += 1;
            return None;
        }
        self.written.insert(key, now);
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_fills_the_log_by_being_refused() {
        let (mut refusals, mut now) = (Refusals::default(), Timestamp::UNIX_EPOCH);
        assert_eq!(refusals.admit(now, ("mallory", false), "GET /a"), Some(0));
        assert_eq!(refusals.admit(now, ("mallory", false), "GET /a"), None);
        let written = |refusals: &mut Refusals, now, actor: &str| {
            (0..1_000).filter(|number| refusals.admit(now, (actor, false), &format!("GET /{number}")).is_some()).count()
        };
        assert_eq!(written(&mut refusals, now, "mallory"), OF_ONE - 1);
        let by_many: usize = (0..100).map(|number| written(&mut refusals, now, &format!("account-{number}"))).sum();
        assert_eq!(by_many, OF_ALL - OF_ONE);
        assert_eq!(refusals.admit(now, ("frank", true), "GET /a"), Some(0), "nobody without a role keeps one with a role out of the log");
        now += WINDOW;
        let left_out = refusals.admit(now, ("mallory", false), "GET /a").unwrap();
        // Since the last that was written, which was of the ninth account.
        assert_eq!(left_out, 1_000 - OF_ONE as u64 + 1_000 * (100 - 9));
    }
}

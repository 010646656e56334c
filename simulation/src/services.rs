//! What is behind the components, and outlives the process: seats, a bank, a carrier, letters. Each knows what it has done under which key.

use std::collections::{BTreeMap, BTreeSet};

use crate::machine;

/// What a service was asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    /// Which service.
    pub component: String,
    /// Of which booking.
    pub booking: String,
    /// Idempotency key.
    pub key: String,
    /// In cents, of what is paid.
    pub amount: u64,
    /// Whether it is to undo what a step did before.
    pub gives_back: bool,
}

/// A payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// Of which booking.
    pub booking: String,
    /// In cents.
    pub amount: u64,
    /// Whether it was undone, or forbidden before it was made.
    pub is_void: bool,
}

/// All of them.
#[derive(Default)]
pub struct Services {
    /// Bookings that have seats, and those that had.
    pub seats: BTreeMap<String, bool>,
    /// By idempotency key.
    pub payments: BTreeMap<String, Payment>,
    /// Bookings that were sent.
    pub sent: BTreeSet<String>,
    /// Letters by idempotency key, with how often somebody asked for each.
    pub letters: BTreeMap<String, u32>,
    /// Runs that are inside a component, by key.
    pub inside: BTreeMap<String, u32>,
    /// In how many processes that have died a run was inside, by key.
    pub deaths: BTreeMap<String, u32>,
    /// What is done later, and when, in nanoseconds.
    late: Vec<(i64, Deed)>,
}

impl Services {
    /// Does it, once however often it is asked for. False if it must not be done any more.
    pub fn make(&mut self, deed: &Deed) -> bool {
        self.catch_up();
        self.perform(deed)
    }

    fn perform(&mut self, deed: &Deed) -> bool {
        let Deed { component, booking, key, amount, gives_back } = deed;
        match component.as_str() {
            "seats" => {
                let has = self.seats.entry(booking.clone()).or_insert(true);
                *has &= !gives_back;
                *has || *gives_back
            }
            "bank" => {
                let first = || Payment { booking: booking.clone(), amount: *amount, is_void: false };
                !self.payments.entry(key.clone()).or_insert_with(first).is_void
            }
            "carrier" => {
                self.sent.insert(booking.clone());
                true
            }
            _ => {
                *self.letters.entry(key.clone()).or_default() += 1;
                true
            }
        }
    }

    /// Has it done so many nanoseconds from now.
    pub fn make_later(&mut self, deed: Deed, after: i64) {
        self.late.push((machine::passed() + after, deed));
    }

    /// Does what is due by now.
    pub fn catch_up(&mut self) {
        let now = machine::passed();
        let (due, late): (Vec<_>, Vec<_>) = std::mem::take(&mut self.late).into_iter().partition(|(at, _)| *at <= now);
        self.late = late;
        for (_, deed) in due {
            self.perform(&deed);
        }
    }

    /// Whether something is still to be done.
    #[must_use]
    pub fn has_more(&self) -> bool {
        !self.late.is_empty()
    }

    /// Whether the bank has made the payment of this key.
    pub fn is_paid(&mut self, key: &str) -> bool {
        self.catch_up();
        self.payments.get(key).is_some_and(|payment| !payment.is_void)
    }

    /// Undoes the payment of this key, and forbids it if there is none yet.
    pub fn undo(&mut self, booking: &str, key: &str) {
        self.catch_up();
        let none = || Payment { booking: booking.to_owned(), amount: 0, is_void: true };
        self.payments.entry(key.to_owned()).or_insert_with(none).is_void = true;
    }

    /// The process has died: whatever was inside a component may be why.
    pub fn died(&mut self) {
        for key in std::mem::take(&mut self.inside).into_keys() {
            *self.deaths.entry(key).or_default() += 1;
        }
    }
}

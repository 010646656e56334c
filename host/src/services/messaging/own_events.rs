//! Which events that come over a broker this process has sent itself a moment ago: of those it knows without asking that they are true.
//!
//! A number of each is kept, made with a key that nobody else has, so nobody can make another event that has the number of one. The table has
//! a fixed size: an event that has lost its place in it is looked at like any other.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::bus::Event;

/// Places in the table, a power of two: more than there are events on their way at once. 256 KiB.
const PLACES: usize = 1 << 15;

/// The events of a moment.
#[derive(Default)]
pub struct OwnEvents {
    key: RandomState,
    /// The number of the last event that had this place, 0 for none; not there before the first event.
    places: OnceLock<Box<[AtomicU64]>>,
}

impl OwnEvents {
    /// Notes one that is about to be sent.
    pub(super) fn note(&self, event: &Event) {
        let places = self.places.get_or_init(|| std::iter::repeat_with(AtomicU64::default).take(PLACES).collect());
        let number = self.number(event);
        places[place(number)].store(number, Ordering::Relaxed);
    }

    /// Whether this process has sent it, just as it is. False says nothing.
    pub(super) fn have(&self, event: &Event) -> bool {
        let Some(places) = self.places.get() else { return false };
        let number = self.number(event);
        places[place(number)].load(Ordering::Relaxed) == number
    }

    /// Of everything that is believed of an event.
    fn number(&self, event: &Event) -> u64 {
        let Event { id, topic, key, payload, traceparent: _, is_new: _ } = event;
        self.key.hash_one((id, topic, key, payload)).max(1)
    }
}

/// All numbers are as likely, so their last bits are as good as any.
fn place(number: u64) -> usize {
    usize::try_from(number % PLACES as u64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_known_as_it_was_sent_and_not_with_anything_changed() {
        let own = OwnEvents::default();
        let sent = Event {
            id: "e-1".into(),
            topic: "return.approved".into(),
            key: "return-1".into(),
            payload: r#"{"data":{"amount":1}}"#.into(),
            traceparent: None,
            is_new: true,
        };
        assert!(!own.have(&sent));
        own.note(&sent);
        // The context of a trace goes along and is none of what is believed.
        assert!(own.have(&Event { traceparent: Some("00-1-2-01".into()), ..sent.clone() }));
        let changed = [
            Event { id: "e-2".into(), ..sent.clone() },
            Event { topic: "return.refunded".into(), ..sent.clone() },
            Event { key: "return-2".into(), ..sent.clone() },
            Event { payload: r#"{"data":{"amount":2}}"#.into(), ..sent.clone() },
        ];
        for event in changed {
            assert!(!own.have(&event), "{event:?}");
        }
        assert!(!OwnEvents::default().have(&sent), "another process has another key");
    }
}

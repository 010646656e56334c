//! The import `events` of 0.2: what a run publishes with its answer.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::EventGrant;
use super::bindings::second::millrace::step::events::Error;
use super::text::tamed;

/// Events of one attempt, and bytes of the data of each.
const MAX_EVENTS: usize = 16;
const MAX_BYTES: usize = 32 << 10;

/// An event that is to be published with an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Published {
    /// Its type, as the component and the config name it.
    pub event_type: String,
    /// Where it goes.
    pub topic: String,
    /// What it says.
    pub data: Map<String, Value>,
}

/// The events of one run. Nothing can be published by default.
#[derive(Clone, Default)]
pub(super) struct Publishing {
    declared: Option<Arc<[EventGrant]>>,
    published: Vec<Published>,
}

impl Publishing {
    /// Of a run that may publish events of these types.
    pub fn of(declared: &Arc<[EventGrant]>) -> Self {
        Self { declared: Some(Arc::clone(declared)), published: Vec::new() }
    }

    /// What was published, once.
    pub fn taken(&mut self) -> Vec<Published> {
        std::mem::take(&mut self.published)
    }

    /// Publishes an event.
    ///
    /// # Errors
    /// It is not published, and why.
    pub fn publish(&mut self, event_type: &str, data: &str) -> Result<(), Error> {
        let Some(declared) = &self.declared else {
            return Err(Error::Denied(
                "nothing can be published here: an attempt publishes, `describe`, `status` and `undo` do not".into(),
            ));
        };
        let Some(known) = declared.iter().find(|known| known.event_type == event_type) else {
            let known: Vec<&str> = declared.iter().map(|known| known.event_type.as_str()).collect();
            let (asked, known) = (tamed(event_type, 64), known.join(", "));
            return Err(Error::Undeclared(format!("`capabilities.events` declares no event of the type '{asked}'; it declares {known}")));
        };
        if self.published.len() == MAX_EVENTS {
            return Err(Error::TooMuch(format!("an attempt publishes at most {MAX_EVENTS} events")));
        }
        if data.len() > MAX_BYTES {
            return Err(Error::TooMuch(format!("the data of an event has at most {MAX_BYTES} bytes, and this has {}", data.len())));
        }
        let parsed = serde_json::from_str(data);
        let data = parsed.map_err(|error| Error::Invalid(format!("the data of an event is a JSON object: {error}")))?;
        self.published.push(Published { event_type: known.event_type.clone(), topic: known.topic.clone(), data });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publishing() -> Publishing {
        Publishing::of(&Arc::from([EventGrant { event_type: "fraud.flagged".into(), topic: "risk".into() }]))
    }

    #[test]
    fn declared_events_are_published_in_their_sequence_and_are_bounded() {
        let mut run = publishing();
        for number in 0..MAX_EVENTS {
            run.publish("fraud.flagged", &format!("{{\"number\":{number}}}")).expect("there is room");
        }
        assert!(matches!(run.publish("fraud.flagged", "{}"), Err(Error::TooMuch(why)) if why.contains("at most 16 events")));
        let taken = run.taken();
        assert_eq!(taken.iter().map(|event| event.data["number"].as_u64()).collect::<Vec<_>>(), (0..16).map(Some).collect::<Vec<_>>());
        assert!(taken.iter().all(|event| event.topic == "risk"));
    }

    #[test]
    fn what_is_not_declared_not_an_object_or_too_large_is_refused_with_what_would_be_accepted() {
        let mut run = publishing();
        assert!(matches!(run.publish("fraud.cleared", "{}"), Err(Error::Undeclared(why)) if why.contains("it declares fraud.flagged")));
        for no_object in ["", "[1]", "{\"a\":"] {
            assert!(matches!(run.publish("fraud.flagged", no_object), Err(Error::Invalid(_))), "{no_object}");
        }
        let large = format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_BYTES));
        assert!(matches!(run.publish("fraud.flagged", &large), Err(Error::TooMuch(_))));
        assert!(matches!(Publishing::default().publish("fraud.flagged", "{}"), Err(Error::Denied(_))));
        assert!(run.taken().is_empty());
    }
}

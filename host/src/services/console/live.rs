//! What a process is doing, as it changes: numbers that it has at hand, and what waits, which is counted once a second for all who ask.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::service::Console;
use crate::bus::BusHealth;
use crate::services::ServiceError;

impl Console {
    /// Everything that is told, as it is now.
    ///
    /// # Errors
    /// The store does not say what waits.
    pub async fn live(&self) -> Result<Value, ServiceError> {
        let backlog = (self.parts.backlog)().await?;
        let steady = self.parts.clock.steady();
        let age = |at: Timestamp| Duration::try_from(steady.duration_since(at)).unwrap_or_default().as_secs();
        let mut workflows = Map::new();
        for counts in self.parts.active.counts() {
            let oldest = backlog.oldest_active.iter().find(|(workflow, _)| *workflow == counts.workflow).map(|(_, at)| age(*at));
            let states: Map<String, Value> = counts.states.into_iter().map(|(state, count)| (state, count.into())).collect();
            let one = json!({"unfinished": counts.unfinished, "oldestSeconds": oldest, "states": states});
            workflows.insert(counts.workflow, one);
        }
        let components = self.components().items.into_iter().map(|one| (one.name.clone(), serde_json::to_value(one).unwrap_or_default()));
        let (mut bus, mut lag) = (Value::Null, Map::new());
        if let Some(known) = &self.parts.bus {
            bus = match known.bus.health() {
                BusHealth::Up => "up".into(),
                BusHealth::Down(reason) => format!("down: {reason}").into(),
            };
            lag = known.bus.lag().into_iter().map(|lag| (lag.topic, lag.events.into())).collect();
        }
        Ok(json!({
            "workflows": workflows,
            "components": components.collect::<Map<_, _>>(),
            "waiting": {
                "outbox": backlog.outbox,
                "outboxSeconds": backlog.oldest_outbox.map(age),
                "parked": backlog.parked,
                "deadLetters": backlog.dead_letters,
                "due": backlog.due,
                "timers": backlog.timers,
                "attention": backlog.attention,
                "held": backlog.held,
            },
            "bus": bus,
            "lag": lag,
        }))
    }
}

/// What turns `old` into `new`, as a JSON merge patch (RFC 7396); nothing if they are alike.
#[must_use]
pub fn difference(old: &Value, new: &Value) -> Option<Value> {
    if old == new {
        return None;
    }
    let (Value::Object(before), Value::Object(after)) = (old, new) else { return Some(new.clone()) };
    let gone = before.keys().filter(|key| !after.contains_key(*key)).map(|key| (key.clone(), Value::Null));
    let changed = after.iter().filter_map(|(key, value)| {
        let change = match before.get(key) {
            Some(before) => difference(before, value)?,
            None => value.clone(),
        };
        Some((key.clone(), change))
    });
    Some(Value::Object(gone.chain(changed).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_changed_is_told() {
        let old = json!({"a": {"x": 1, "y": 2}, "b": [1], "c": "same", "gone": 1});
        assert_eq!(difference(&old, &old), None);
        let new = json!({"a": {"x": 1, "y": 3}, "b": [1, 2], "c": "same", "new": {"z": 1}});
        assert_eq!(difference(&old, &new), Some(json!({"a": {"y": 3}, "b": [1, 2], "gone": null, "new": {"z": 1}})));
        assert_eq!(difference(&json!({"a": null}), &json!({"a": {"b": 1}})), Some(json!({"a": {"b": 1}})));
    }
}

//! Attempts that failed, made again as they were: on the version that ran or on another one. Nothing is kept of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::actor::Actor;
use super::compare::{MOST_DIFFERENCES, collect};
use super::instance::HIDDEN;
use super::replay_view::{Change, RecordingBody, RecordingList, ReplayBody, ReplayResult, SaidBody};
use super::service::Console;
use super::view::AttemptBody;
use crate::runtime::Said;
use crate::services::ServiceError;
use crate::services::engine::Recorded;
use crate::store::Object;

/// Characters that a private text has at least to be looked for within the words of other texts: what is shorter is in them by chance, and only
/// looked for as a whole word.
const LEAST_PRIVATE: usize = 4;

impl Console {
    /// The attempts that can be made again: those of one component, or all.
    ///
    /// # Errors
    /// There is no such component.
    pub fn recordings(&self, component: Option<&str>) -> Result<RecordingList, ServiceError> {
        component.map(|name| self.component(name)).transpose()?;
        let kept = self.parts.recordings.of(component, self.parts.clock.now());
        Ok(RecordingList { items: kept.iter().map(|recorded| self.recording(recorded)).collect() })
    }

    /// The attempts of an instance that failed, as far as they are kept.
    pub(super) fn attempts(&self, kind: &str, id: &str) -> Vec<AttemptBody> {
        let kept = self.parts.recordings.of_instance(kind, id, self.parts.clock.now());
        let body = |recorded: &Arc<Recorded>| {
            let RecordingBody { run, attempt, step, at, digest, outcome, reason, .. } = self.recording(recorded);
            let began_at = at.checked_sub(recorded.took).unwrap_or(at);
            AttemptBody { run, step, attempt, began_at, ended_at: at, digest, outcome, reason }
        };
        kept.iter().map(body).collect()
    }

    /// Makes an attempt again, with what it found and nothing granted.
    ///
    /// # Errors
    /// There is no such component, attempt or version, or too much is tried at once.
    pub async fn replay(&self, actor: &Actor, name: &str, wanted: &ReplayBody) -> Result<ReplayResult, ServiceError> {
        let serving = self.component(name)?.body.digest;
        let recorded = self.recorded(name, wanted)?;
        let digest = match (&wanted.digest, wanted.now) {
            (Some(digest), _) => digest.clone(),
            (None, Some(true)) => serving.ok_or_else(|| ServiceError::Conflict(format!("no version of '{name}' serves")))?,
            (None, _) => recorded.recording.digest.clone(),
        };
        // What it works on may be private, and a version that nobody has let serve may do with it what it likes.
        let has_run = digest == recorded.recording.digest || self.parts.runtime.versions(name).iter().any(|one| one.digest == digest);
        if !has_run {
            let accepted = "a replay is made on the version that ran or one that serves, or has served since the start; `compare` and `trial` try others";
            return Err(ServiceError::Conflict(format!(
                "version {digest} of '{name}' has not served, and an attempt may have private data: {accepted}"
            )));
        }
        let ticket = self.room.trials.enter()?;
        let _turn = ticket.turn().await?;
        let subject = format!("components/{name}@{digest}");
        self.note(actor.of.did(self.parts.clock.now(), "components.replay", subject, Some(recorded.run.clone()))).await?;
        let made = self.parts.runtime.replay(name, &digest, &recorded.recording).await;
        let made = made.map_err(|error| ServiceError::Conflict(format!("{error:#}")))?;
        let same = made == recorded.recording.said;
        let private = self.private(&recorded);
        let (then, now) = (self.shown(&recorded, &private, &recorded.recording.said), self.shown(&recorded, &private, &made));
        let mut differences = Vec::new();
        collect(String::new(), &json!(then), &json!(now), &mut differences);
        differences.truncate(MOST_DIFFERENCES);
        let differences = differences.into_iter().map(|one| Change { at: one.at, then: one.serving, now: one.candidate }).collect();
        let complete = recorded.recording.is_complete();
        Ok(ReplayResult { recording: self.recording(&recorded), digest, same, complete, differences, then, now })
    }

    fn recorded(&self, name: &str, wanted: &ReplayBody) -> Result<Arc<Recorded>, ServiceError> {
        let kept = self.parts.recordings.of(Some(name), self.parts.clock.now());
        let is_meant = |one: &Arc<Recorded>| one.run == wanted.run && wanted.attempt.is_none_or(|number| number == one.recording.attempt());
        let of_attempt = wanted.attempt.map_or_else(String::new, |number| format!("attempt {number} of "));
        let none =
            || ServiceError::NotFound { what: format!("failed attempt that was kept: {of_attempt}run '{}' of '{name}'", wanted.run) };
        kept.into_iter().find(is_meant).ok_or_else(none)
    }

    /// The private texts that an attempt worked on, the longest first.
    fn private(&self, recorded: &Recorded) -> Vec<String> {
        let data: Object = serde_json::from_str(recorded.recording.data()).unwrap_or_default();
        let mut texts = BTreeSet::new();
        for (_, value) in data.iter().filter(|(name, _)| self.parts.events.is_private(&recorded.kind, name)) {
            gather(value, &mut texts);
        }
        let mut texts: Vec<String> = texts.into_iter().collect();
        texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
        texts
    }

    fn shown(&self, recorded: &Recorded, private: &[String], said: &Said) -> SaidBody {
        let mut results: Option<Object> = said.body.as_deref().and_then(|text| serde_json::from_str(text).ok());
        for (name, value) in results.iter_mut().flatten() {
            if self.parts.events.is_private(&recorded.kind, name) {
                *value = Value::from(HIDDEN);
            } else {
                blot_value(value, private);
            }
        }
        let blotted = |text: &Option<String>| text.as_deref().map(|text| blot(text, private));
        SaidBody { outcome: said.outcome, reason: blotted(&said.reason), code: blotted(&said.code), results }
    }

    fn recording(&self, recorded: &Recorded) -> RecordingBody {
        let Recorded { run, component, kind, at, recording, .. } = recorded;
        let private = self.private(recorded);
        RecordingBody {
            component: component.clone(),
            run: run.clone(),
            attempt: recording.attempt(),
            kind: kind.clone(),
            instance: recording.instance().to_owned(),
            step: recording.step().to_owned(),
            at: *at,
            digest: recording.digest.clone(),
            outcome: recording.said.outcome,
            reason: recording.said.reason.as_deref().map(|text| blot(text, &private)),
            complete: recording.is_complete(),
        }
    }
}

/// The texts of a value, and its numbers as text.
fn gather(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| gather(item, into)),
        Value::Object(fields) => fields.values().for_each(|field| gather(field, into)),
        Value::String(text) if !text.trim().is_empty() => drop(into.insert(text.clone())),
        Value::Number(number) => drop(into.insert(number.to_string())),
        _ => {}
    }
}

fn blot(text: &str, private: &[String]) -> String {
    private.iter().fold(text.to_owned(), |text, one| {
        if one.chars().count() < LEAST_PRIVATE { blot_words(&text, one) } else { text.replace(one, HIDDEN) }
    })
}

/// Only where no letter or digit goes on before it or after it.
fn blot_words(text: &str, one: &str) -> String {
    let (mut blotted, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find(one) {
        let (before, after) = (&rest[..at], &rest[at + one.len()..]);
        let last = before.chars().next_back().or_else(|| blotted.chars().next_back());
        let goes_on = |next: Option<char>| next.is_some_and(char::is_alphanumeric);
        let is_word = !goes_on(last) && !goes_on(after.chars().next());
        blotted.push_str(before);
        blotted.push_str(if is_word { HIDDEN } else { one });
        rest = after;
    }
    blotted.push_str(rest);
    blotted
}

fn blot_value(value: &mut Value, private: &[String]) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| blot_value(item, private)),
        Value::Object(fields) => fields.values_mut().for_each(|field| blot_value(field, private)),
        Value::String(text) => *text = blot(text, private),
        Value::Number(number) if private.contains(&number.to_string()) => *value = Value::from(HIDDEN),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_private_is_in_no_text_that_is_shown() {
        let mut texts = BTreeSet::new();
        gather(&json!({"card": {"token": "tok_visa", "last": "42", "number": 4_242_424_242_u64}}), &mut texts);
        let private: Vec<String> = texts.into_iter().collect();
        let mut results = json!({"echo": ["with tok_visa in it", 4_242_424_242_u64, 42, 43], "said": "42 of 1420, (42)42 and 42"});
        blot_value(&mut results, &private);
        let said = format!("{HIDDEN} of 1420, ({HIDDEN}){HIDDEN} and {HIDDEN}");
        assert_eq!(results, json!({"echo": [format!("with {HIDDEN} in it"), HIDDEN, HIDDEN, 43], "said": said}));
    }
}

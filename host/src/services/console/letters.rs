//! Dead letters, wherever they are: in the database, or at the broker.

use super::actor::Actor;
use super::dependencies::{Bus, Dependencies};
use super::service::Console;
use super::waiting_view::{LetterBody, LettersBody, MendBody, MendResult};
use crate::bus::kafka::dead_letters;
use crate::plan;
use crate::services::ServiceError;
use crate::store::AuditEntry;

/// The dead letters, `most` of them.
pub(super) async fn list(parts: &Dependencies, most: usize) -> anyhow::Result<LettersBody> {
    let Some(Bus { settings, .. }) = &parts.bus else { return Ok(LettersBody::default()) };
    let plan::Bus::Kafka(kafka) = settings else {
        let letters = parts.messages.dead_letters(usize::MAX).await?;
        let item = |letter: crate::store::DeadLetter| LetterBody {
            remedy: format!("millrace waiting redrive {} --reason '...'", letter.event.topic),
            topic: letter.event.topic,
            offset: i64::try_from(letter.id).unwrap_or(i64::MAX),
            key: letter.event.key,
            event_id: Some(letter.event.event_id),
            consumer: letter.consumer,
            cause: letter.reason,
        };
        let count = letters.len() as u64;
        return Ok(LettersBody { place: Some("database"), count, items: letters.into_iter().take(most).map(item).collect(), cause: None });
    };
    let topics = parts.events.topics();
    let listed = dead_letters::listed(kafka, &topics).await?;
    let cause = listed.failed.iter().map(|failed| format!("topic '{}': {}", failed.topic, failed.reason)).collect::<Vec<_>>();
    let item = |letter: dead_letters::DeadLetter| LetterBody {
        remedy: format!("millrace waiting redrive {} --reason '...'", letter.topic),
        topic: letter.topic,
        offset: letter.offset,
        key: letter.key,
        event_id: letter.event_id,
        consumer: letter.consumer,
        cause: letter.reason,
    };
    let count = listed.letters.len() as u64;
    Ok(LettersBody {
        place: Some("kafka"),
        count,
        items: listed.letters.into_iter().take(most).map(item).collect(),
        cause: (!cause.is_empty()).then(|| cause.join("; ")),
    })
}

impl Console {
    /// Sends dead letters to their topics again; who has taken an event already recognises it.
    ///
    /// # Errors
    /// No reason, no bus, a topic that is none, or no broker answers.
    pub async fn redrive(&self, actor: &Actor, mend: &MendBody) -> Result<MendResult, ServiceError> {
        mend.check_reason()?;
        let (settings, topics) = self.topics(&mend.topics).await?;
        let entry = actor.of.did(self.parts.clock.now(), "deadletters.redrive", topics.join(","), Some(mend.reason.clone()));
        let result = match settings {
            plan::Bus::Kafka(kafka) => {
                self.note(entry).await?;
                let sent = dead_letters::redrive(&kafka, &topics).await.map_err(unreachable)?;
                let failed = sent.failed.iter().map(|failed| format!("{}: {}", failed.topic, failed.reason)).collect();
                MendResult { done: sent.letters as u64, events: Some(sent.events as u64), left: 0, failed }
            }
            _ => {
                let sent = self.parts.messages.redrive(&topics, Some(entry)).await?;
                self.parts.pipeline.outbox_grew().notify_one();
                MendResult { done: sent.letters as u64, events: Some(sent.events as u64), left: sent.forgotten as u64, failed: Vec::new() }
            }
        };
        tracing::info!(who = actor.who(), reason = mend.reason, letters = result.done, "dead letters are sent again");
        Ok(result)
    }

    /// Takes dead letters from the list.
    ///
    /// # Errors
    /// No reason, no topic, or an offset for several topics; no broker answers.
    pub async fn discard(&self, actor: &Actor, mend: &MendBody) -> Result<MendResult, ServiceError> {
        mend.check_reason()?;
        let [topic] = mend.topics.as_slice() else {
            return Err(ServiceError::field("/topics", format!("expected one topic, got {}", mend.topics.len())));
        };
        let (settings, _) = self.topics(&mend.topics).await?;
        let entry = actor.of.did(self.parts.clock.now(), "deadletters.discard", topic.as_str(), Some(mend.reason.clone()));
        let done = match settings {
            plan::Bus::Kafka(kafka) => {
                self.note(entry).await?;
                dead_letters::discarded(&kafka, topic, mend.through).await.map_err(unreachable)? as u64
            }
            _ => {
                let through = mend.through.map(u64::try_from).transpose();
                let through = through.map_err(|_| ServiceError::field("/through", "a dead letter has a number from 1"))?;
                self.parts.messages.discard(topic, through, Some(entry)).await?
            }
        };
        tracing::info!(who = actor.who(), reason = mend.reason, topic, letters = done, "dead letters were discarded");
        Ok(MendResult { done, ..MendResult::default() })
    }

    /// Writes an entry for the audit log, before a deed that is no write of the store.
    pub(super) async fn note(&self, entry: AuditEntry) -> Result<(), ServiceError> {
        Ok(self.parts.audit.note(vec![entry]).await?)
    }

    /// The bus, and the topics that are meant: all that are known, unless some are given.
    async fn topics(&self, wanted: &[String]) -> Result<(plan::Bus, Vec<String>), ServiceError> {
        let none = || ServiceError::Conflict("the config has no bus, so there are no dead letters".into());
        let Bus { settings, .. } = self.parts.bus.as_ref().ok_or_else(none)?;
        let mut known = self.parts.events.topics();
        if !matches!(settings, plan::Bus::Kafka(_)) {
            known.extend(self.parts.messages.dead_letters(usize::MAX).await?.into_iter().map(|letter| letter.event.topic));
        }
        if let Some(unknown) = wanted.iter().find(|topic| !known.contains(topic)) {
            return Err(ServiceError::field("/topics", format!("'{unknown}' is no topic of the config; it has {}", known.join(", "))));
        }
        Ok((settings.clone(), if wanted.is_empty() { known } else { wanted.to_vec() }))
    }
}

fn unreachable(error: anyhow::Error) -> ServiceError {
    let detail = format!("the broker cannot be asked: {error:#}");
    ServiceError::Unavailable { detail, retry_after: std::time::Duration::from_secs(5) }
}

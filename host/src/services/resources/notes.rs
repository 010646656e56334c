//! What staff have noted of a resource: no part of it, and never shown to whom it belongs.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::caller::Caller;
use super::service::{IdempotencyKey, Resources, page_size};
use crate::services::ServiceError;
use crate::store::{Conflict, IdempotencyRow, Note, StoreError};
use crate::text;

/// Characters of a note.
const MAX_TEXT: usize = 2_000;

/// A note as the API shows it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "Note")]
pub struct NoteBody {
    /// Its id.
    pub id: String,
    /// When it was written.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub at: Timestamp,
    /// Id of who has written it.
    pub author: String,
    /// What it says.
    pub text: String,
}

impl From<Note> for NoteBody {
    fn from(note: Note) -> Self {
        Self { id: note.seq.to_string(), at: note.at, author: note.author, text: note.text }
    }
}

impl Resources {
    /// Notes of a resource that the caller reaches, the newest first, and the cursor of the next page.
    ///
    /// # Errors
    /// Not there, or a limit or cursor that is none.
    pub async fn notes(
        &self,
        handler: &str,
        caller: &Caller,
        id: &str,
        (limit, cursor): (Option<usize>, Option<&str>),
    ) -> Result<(Vec<NoteBody>, Option<String>), ServiceError> {
        let handler = self.handler(handler)?;
        let limit = page_size(handler, limit)?;
        let wrong = || ServiceError::field("cursor", "expected the nextCursor of a page, unchanged");
        let before = cursor.map(|cursor| cursor.parse::<u64>().map_err(|_| wrong())).transpose()?;
        self.own(handler, caller, id).await?;
        let mut notes = self.store().notes(&handler.settings.kind, id, before.unwrap_or(u64::MAX), limit + 1).await?;
        let more = notes.len() > limit;
        notes.truncate(limit);
        let next = notes.last().filter(|_| more).map(|last| last.seq.to_string());
        Ok((notes.into_iter().map(NoteBody::from).collect(), next))
    }

    /// Adds a note to a resource that the caller reaches. The flag is true when the idempotency key was used before with the same request: the note
    /// is the one that was written then.
    ///
    /// # Errors
    /// Not there, a text that is empty or too long, or the key was used for another request.
    pub async fn add_note(
        &self,
        handler: &str,
        caller: &Caller,
        (id, text): (&str, &str),
        key: Option<IdempotencyKey>,
    ) -> Result<(NoteBody, bool), ServiceError> {
        let handler = self.handler(handler)?;
        let text = text.trim();
        if text.is_empty() || text::length(text) > MAX_TEXT {
            return Err(ServiceError::field("/text", format!("expected 1 to {MAX_TEXT} characters, got {}", text::length(text))));
        }
        self.own(handler, caller, id).await?;
        let audit = self.audited(handler, caller, "note", id, None);
        let author = caller.user.as_ref().map(|user| user.id.clone()).unwrap_or_default();
        let (kind, id) = (handler.settings.kind.clone(), id.to_owned());
        let mut note = Note { seq: 0, kind, id, at: self.clock().now(), author, text: text.to_owned() };
        let row = |IdempotencyKey { key, request_hash }| IdempotencyRow {
            user: note.author.clone(),
            key,
            request_hash,
            resource_id: String::new(),
        };
        let request = key.map(row);
        match (self.store().add_note(note.clone(), audit, request.clone()).await, request) {
            (Ok(seq), _) => {
                note.seq = seq.ok_or_else(|| handler.not_found(&note.id))?;
                Ok((note.into(), false))
            }
            (Err(StoreError::Conflict(Conflict::Idempotency(earlier))), Some(request)) => {
                let other = || ServiceError::field("Idempotency-Key", format!("'{}' was used for another request", request.key));
                let seq = earlier.resource_id.parse::<u64>().ok().filter(|_| earlier.request_hash == request.request_hash);
                let seq = seq.ok_or_else(other)?;
                let noted = self.store().notes(&note.kind, &note.id, seq.saturating_add(1), 1).await?;
                let noted = noted.into_iter().find(|noted| noted.seq == seq).ok_or_else(other)?;
                Ok((noted.into(), true))
            }
            (Err(error), _) => Err(error.into()),
        }
    }
}

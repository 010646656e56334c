//! A component that the config does not have yet: judged, tried, and put where the config can name it.

use std::path::PathBuf;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::actor::Actor;
use super::component_view::VersionBody;
use super::components::{check_reason, judged};
use super::room::Ticket;
use super::service::Console;
use crate::services::ServiceError;

/// Where the file of a new component goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPlace {
    /// As the config will say it.
    pub source: String,
    /// The file.
    pub file: PathBuf,
}

/// A component that the config does not have yet.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "NewComponent")]
pub struct NewComponentBody {
    /// What was uploaded.
    #[serde(flatten)]
    pub version: VersionBody,
    /// What the config is to say as its `source`.
    pub source: String,
}

/// A version that is to be put where the config can name it, and why.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PlaceRequest")]
pub struct PlaceBody {
    /// SHA-256 of the version, in hex.
    pub digest: String,
    /// Why; it is written down with who it was.
    pub reason: String,
}

/// What that came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "PlaceResult")]
pub struct PlacedBody {
    /// In one sentence.
    pub done: String,
    /// What the config is to say as its `source`.
    pub source: String,
}

impl Console {
    /// Judges a file as that of a component which the config does not have yet, with nothing granted, and keeps it by its digest if it is good.
    /// It can be tried then. Nothing runs it before the config has it. `ticket` is what [`Console::enter_upload`] has given.
    ///
    /// # Errors
    /// The config has a component of this name; the file would be refused, and why; or it cannot be taken now, whatever it is.
    pub async fn introduce(
        &self,
        actor: &Actor,
        name: &str,
        (place, file): (NewPlace, Bytes),
        ticket: Ticket,
    ) -> Result<NewComponentBody, ServiceError> {
        if self.parts.runtime.is_named(name) {
            let detail = format!("the config has a component '{name}' already: upload a version of it, or choose another name");
            return Err(ServiceError::Conflict(detail));
        }
        let turn = ticket.turn().await?;
        let about = judged(self.parts.runtime.introduce(name, place.file, file)).await?;
        drop(turn);
        self.note_design(actor, (name, "new"), &about.digest).await?;
        tracing::info!(
            component = name,
            digest = about.digest,
            who = actor.who(),
            "a component was uploaded that the config does not have"
        );
        Ok(NewComponentBody { version: VersionBody::new(about, false), source: place.source })
    }

    /// Writes an uploaded version of a component that the config does not have yet where the config can name it.
    ///
    /// # Errors
    /// There is no such component or version, no reason, another file is there, or it cannot be written.
    pub async fn settle(&self, actor: &Actor, name: &str, place: NewPlace, body: &PlaceBody) -> Result<PlacedBody, ServiceError> {
        check_reason(&body.reason)?;
        let conflict = |error: anyhow::Error| ServiceError::Conflict(format!("{error:#}"));
        let subject = format!("components/{name}@{}", body.digest);
        let entry = actor.of.did(self.parts.clock.now(), "components.place".to_owned(), subject, Some(body.reason.clone()));
        self.note(entry).await?;
        let file = self.parts.runtime.put_newcomer_in_place(name, &body.digest).await.map_err(conflict)?;
        tracing::info!(component = name, digest = body.digest, who = actor.who(), file = %file.display(), "the file of a new component was written");
        Ok(PlacedBody { done: format!("its file is {}; it runs once the config has it", place.source), source: place.source })
    }
}

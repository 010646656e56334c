//! A config that somebody has written by hand: it is judged and taken as one that was saved.

use std::time::Duration;

use super::actor::Actor;
use super::configs::ConfigDesk;
use super::saving::{Saver, digest};
use crate::services::ServiceError;
use crate::shutdown::Stop;

/// Between two looks at the file.
const PAUSE: Duration = Duration::from_secs(1);

/// What has become of the config as its file is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ConfigStanding {
    /// The process runs it.
    #[default]
    Runs,
    /// It takes a restart, for these parts.
    Restart(Vec<String>),
    /// It cannot run, and why.
    Refused(String),
}

impl ConfigDesk {
    /// What has become of the config as its file was when it was last looked at.
    #[must_use]
    pub fn standing(&self) -> ConfigStanding {
        self.keeping.seen.lock().1.clone()
    }

    /// Looks at the file until `stop`, and has the process take what somebody has written there.
    ///
    /// # Errors
    /// Never.
    pub async fn watch(self, stop: Stop) -> anyhow::Result<()> {
        // What the process was started with.
        self.keeping.seen.lock().0 = self.configs.running_digest();
        loop {
            tokio::select! {
                () = stop.requested() => return Ok(()),
                () = tokio::time::sleep(PAUSE) => {}
            }
            self.look().await;
        }
    }

    async fn look(&self) {
        let _turn = self.keeping.turn.acquire().await;
        let text = match self.configs.text() {
            Ok(text) => text,
            Err(error) => {
                *self.keeping.seen.lock() = (None, ConfigStanding::Refused(format!("the config cannot be read: {error}")));
                return;
            }
        };
        let found = digest(&text);
        if self.keeping.seen.lock().0.as_ref() == Some(&found) {
            return;
        }
        if self.configs.running_digest().as_ref() == Some(&found) {
            *self.keeping.seen.lock() = (Some(found), ConfigStanding::Runs);
            return;
        }
        if let Err(error) = self.find_by_hand(&text) {
            tracing::warn!(%error, "the config that somebody has written could not be kept in its history");
        }
        match self.found(&text).await {
            Ok(done) => tracing::info!(digest = found, "somebody has written the config: {done}"),
            Err(error) => {
                tracing::error!(digest = found, reason = %error, "the config that somebody has written is not taken; the process runs on as it was");
                *self.keeping.seen.lock() = (Some(found), ConfigStanding::Refused(error.to_string()));
            }
        }
    }

    async fn found(&self, text: &str) -> Result<String, ServiceError> {
        let planned = self.plan_of(text).await?;
        // Who writes the file may do with it what a start would.
        let saver = Saver { actor: Actor::local(), is_admin: true };
        let plan = self.judge_for(&saver, text, &planned).await?;
        Ok(self.taken(planned, text, plan).done)
    }
}

//! A config that somebody has written by hand: it is judged and taken as one that was saved.

use std::time::Duration;

use super::configs::ConfigDesk;
use super::keeping::{ConfigStanding, digest};
use super::saving::CONFIG_INVALID;
use crate::services::ServiceError;
use crate::shutdown::Stop;

/// Between two looks at the file.
const PAUSE: Duration = Duration::from_secs(1);

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
        let mut last = None;
        loop {
            tokio::select! {
                () = stop.requested() => return Ok(()),
                () = tokio::time::sleep(PAUSE) => {}
            }
            tokio::select! {
                () = stop.requested() => return Ok(()),
                () = self.look(&mut last) => {}
            }
        }
    }

    /// `last` is the digest that the look before this one has found: a file that is being written is another each time.
    async fn look(&self, last: &mut Option<String>) {
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
        if last.replace(found.clone()).as_ref() != Some(&found) {
            return;
        }
        if let Err(error) = self.find_by_hand(&text) {
            tracing::warn!(%error, "the config that somebody has written could not be kept in its history");
        }
        match self.found(&text).await {
            Ok(done) => tracing::info!(digest = found, "somebody has written the config: {done}"),
            Err(error) => {
                tracing::error!(digest = found, reason = %error, "the config that somebody has written is not taken; the process runs on as it was");
                // What only this moment is wrong about is tried again with the next look but one.
                let is_of_the_text = matches!(&error, ServiceError::Differs { code, .. } if *code == CONFIG_INVALID);
                *self.keeping.seen.lock() = (is_of_the_text.then_some(found), ConfigStanding::Refused(error.to_string()));
                *last = None;
            }
        }
    }

    async fn found(&self, text: &str) -> Result<String, ServiceError> {
        let planned = self.plan_of(text).await?;
        let (take_over, names) = self.judged(text, &planned).await?;
        let _still = self.last_look(&names).await?;
        Ok(self.taken(planned, text, take_over).await.done)
    }
}

//! What is told of accounts: that tokens have ended, and how to set another password. Each is an event in the outbox.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::sync::Notify;

use super::tokens::TokenVerifier;
use crate::clock::Clock;
use crate::plan::AccountTopics;
use crate::shutdown::Stop;
use crate::store::{self, OutboxRow, StoreError, ToldEpoch, User};

/// How often it is looked for accounts that another process has changed, such as a command.
const LOOK: Duration = Duration::from_secs(2);
/// Accounts that are told of in one commit.
const BATCH: usize = 200;
/// Kind of what the events are about.
const KIND: &str = "users";

/// Tells of accounts.
pub(super) struct Telling {
    topics: AccountTopics,
    store: Arc<dyn store::Users>,
    tokens: TokenVerifier,
    clock: Clock,
    outbox_grew: OnceLock<Arc<Notify>>,
}

impl Telling {
    pub(super) fn new(topics: AccountTopics, store: Arc<dyn store::Users>, tokens: TokenVerifier, clock: Clock) -> Self {
        Self { topics, store, tokens, clock, outbox_grew: OnceLock::new() }
    }

    /// Notified when there is something to publish.
    pub(super) fn wakes(&self, outbox_grew: Arc<Notify>) {
        // Set once, when the process is put together.
        drop(self.outbox_grew.set(outbox_grew));
    }

    pub(super) fn wake(&self) {
        if let Some(outbox_grew) = self.outbox_grew.get() {
            outbox_grew.notify_one();
        }
    }

    /// Tells of every epoch that was not told yet.
    pub(super) async fn changes(&self) -> Result<(), StoreError> {
        loop {
            let untold = self.store.untold(BATCH).await?;
            let full = untold.len() == BATCH;
            let told: Vec<ToldEpoch> = untold.iter().filter_map(|user| self.epoch(user)).collect();
            if told.is_empty() {
                return Ok(());
            }
            self.store.tell(told).await?;
            self.wake();
            if !full {
                return Ok(());
            }
        }
    }

    fn epoch(&self, user: &User) -> Option<ToldEpoch> {
        let notice =
            self.tokens.notice(&user.id, user.epoch).inspect_err(|error| tracing::error!(%error, "an account is not told of")).ok()?;
        let data = json!({"epoch": user.epoch, "notice": notice});
        Some(ToldEpoch { user_id: user.id.clone(), epoch: user.epoch, event: self.event(&self.topics.changed, user, data) })
    }

    /// How to set another password.
    pub(super) fn forgotten(&self, user: &User, link: &str, minutes: u64) -> OutboxRow {
        self.event(&self.topics.password_forgotten, user, json!({"link": link, "minutes": minutes, "name": user.name}))
    }

    /// In the form that events of instances have; the last word of the topic stands in the place of the state.
    fn event(&self, topic: &str, user: &User, data: Value) -> OutboxRow {
        let event_id = uuid::Uuid::now_v7().to_string();
        let told = topic.rsplit('.').next().unwrap_or(topic);
        let mut data = if let Value::Object(data) = data { data } else { Map::new() };
        data.insert("userId".into(), user.id.as_str().into());
        let event = json!({
            "specversion": "1.0", "id": event_id, "source": format!("/millrace/{KIND}"), "type": topic, "subject": user.id,
            "time": self.clock.now().to_string(), "datacontenttype": "application/json",
            "data": {
                "instanceId": user.id, "resource": KIND, "workflow": "", "transition": null, "fromState": null, "toState": told,
                "seq": user.epoch, "data": data, "userId": user.id,
            },
        });
        let payload = event.to_string().into();
        OutboxRow { position: 0, event_id, topic: topic.to_owned(), key: user.id.clone(), seq: user.epoch, payload, traceparent: None }
    }
}

impl super::Users {
    /// What is told of accounts is published as soon as `outbox_grew` is notified.
    pub fn wakes(&self, outbox_grew: Arc<Notify>) {
        if let Some(telling) = &self.inner.telling {
            telling.wakes(outbox_grew);
        }
    }

    /// Tells of accounts that another process has changed, such as a command, until `stop`. Without a topic it ends at once.
    ///
    /// # Errors
    /// The store has failed for good.
    pub async fn watch(self, stop: Stop) -> anyhow::Result<()> {
        let Some(telling) = &self.inner.telling else { return Ok(()) };
        while !stop.is_requested() {
            match telling.changes().await {
                Err(error @ StoreError::Fatal(_)) => return Err(error.into()),
                Err(error) => tracing::warn!(%error, "which accounts have changed is told later"),
                Ok(()) => {}
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = stop.requested() => {}
            }
        }
        Ok(())
    }
}

//! Prunes old rows: events that were published, runs and reservations that have ended, idempotency keys; and finished instances, which are
//! archived first. They would fill the disk otherwise.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;

use super::archive::Archive;
use crate::clock::Clock;
use crate::plan::{Bus, Plan, Retention as Settings};
use crate::shutdown::Stop;
use crate::store::{Operations, Prunable, StoreError};
use crate::telemetry::Metrics;

/// How often it looks for what is old, at most and at least.
const INTERVAL: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));
/// For how long it is known at least that an event was taken which a broker may deliver once more.
const BROKER_REPEATS: Duration = Duration::from_hours(1);
/// For how long it is known at least that a reservation has ended: a request to reserve that is still on its way would hold goods for ever.
const REQUESTS_ON_THEIR_WAY: Duration = Duration::from_hours(1);

/// What metrics and logs call finished instances.
const INSTANCES: &str = "instances";

/// Forgets what is old in one store.
pub struct Retention {
    store: Arc<dyn Operations>,
    clock: Clock,
    metrics: Metrics,
    /// What is forgotten, and how old it is then.
    ages: Vec<(Prunable, Duration)>,
    archive: Option<Archive>,
}

impl Retention {
    /// As the plan says; `None` if everything is kept for ever.
    #[must_use]
    pub fn new(plan: &Plan, store: Arc<dyn Operations>, archive: Option<Archive>, clock: Clock, metrics: Metrics) -> Option<Self> {
        let settings = &plan.database.as_ref()?.retention;
        let ages: Vec<_> = Prunable::ALL.into_iter().filter_map(|what| Some((what, age(what, settings, plan)?))).collect();
        Prunable::ALL.into_iter().for_each(|what| metrics.pruned(what.name(), 0));
        metrics.pruned(INSTANCES, 0);
        (!ages.is_empty() || archive.is_some()).then_some(Self { store, clock, metrics, ages, archive })
    }

    /// Forgets until `stop`.
    ///
    /// # Errors
    /// The store has failed for good.
    pub async fn run(self, stop: Stop) -> anyhow::Result<()> {
        let archived = self.archive.as_ref().map(|archive| archive.settings().after);
        let shortest = self.ages.iter().map(|(_, age)| *age).chain(archived).min().unwrap_or(INTERVAL.1);
        let interval = (shortest / 10).clamp(INTERVAL.0, INTERVAL.1);
        while !stop.is_requested() {
            tokio::select! {
                () = tokio::time::sleep(interval) => {}
                () = stop.requested() => return Ok(()),
            }
            if !self.store.keeps_house() {
                continue;
            }
            let forgotten = tokio::select! {
                forgotten = self.forget() => forgotten,
                () = stop.requested() => return Ok(()),
            };
            match forgotten {
                Ok(()) => {}
                Err(error @ StoreError::Fatal(_)) => return Err(error.into()),
                Err(error) => tracing::warn!(%error, "old rows cannot be pruned now; it is tried again"),
            }
        }
        Ok(())
    }

    async fn forget(&self) -> Result<(), StoreError> {
        for (what, age) in &self.ages {
            let age = SignedDuration::try_from(*age).unwrap_or(SignedDuration::MAX);
            // Nothing is older than time itself.
            let Ok(before) = self.clock.steady().checked_sub(age) else { continue };
            let rows = self.store.prune(*what, before).await?;
            self.metrics.pruned(what.name(), rows);
            if rows > 0 {
                tracing::debug!(kind = what.name(), rows, "old rows were pruned");
            }
        }
        if let Some(archive) = &self.archive {
            let instances = archive.pass().await?;
            self.metrics.pruned(INSTANCES, instances);
            if instances > 0 {
                tracing::info!(instances, folder = %archive.settings().folder.display(), "finished instances were archived");
            }
        }
        let bytes = self.store.give_back().await?;
        if bytes > 0 {
            self.metrics.given_back(bytes);
            tracing::info!(bytes, "the database has given room back to the file system");
        }
        Ok(())
    }
}

fn age(what: Prunable, settings: &Settings, plan: &Plan) -> Option<Duration> {
    match what {
        Prunable::Events => settings.events,
        Prunable::Inbox if matches!(plan.bus, Some(Bus::Kafka { .. })) => Some(settings.events?.max(BROKER_REPEATS)),
        Prunable::Inbox => settings.events,
        Prunable::Runs => settings.runs,
        Prunable::IdempotencyKeys => settings.idempotency_keys,
        Prunable::Reservations => Some(settings.reservations?.max(REQUESTS_ON_THEIR_WAY)),
    }
}

//! What waits for something: a person, a broker, its time. Each with why, and with the command that mends it.

use std::time::Duration;

use jiff::Timestamp;

use super::actor::Actor;
use super::dependencies::{Bus, Dependencies};
use super::letters;
use super::service::Console;
use super::view::status;
use super::waiting_view::{BreakerBody, DueBody, LettersBody, MendBody, MendResult, OutboxBody, SetAside, WaitingBody};
use crate::bus::BusHealth;
use crate::services::ServiceError;
use crate::store::StepRun;

/// Entries of each list.
const SHOWN: usize = 100;
/// Timers that are shown, those that are due first.
const TIMERS: usize = 20;

impl Console {
    /// All that waits.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn waiting(&self) -> Result<WaitingBody, ServiceError> {
        let parts = &self.parts;
        let backlog = parts.operations.backlog().await?;
        let (now, steady) = (parts.clock.now(), parts.clock.steady());
        let runs = parts.operations.set_aside(SHOWN).await?;
        let timers = parts.store.due_timers(Timestamp::MAX, TIMERS).await?;
        let date = |due: Timestamp| now.checked_add(due.duration_since(steady)).unwrap_or(due);
        let timers = timers.into_iter().map(|timer| DueBody {
            kind: timer.resource_kind,
            id: timer.resource_id,
            transition: timer.transition,
            due_at: date(timer.due_at),
        });
        let age = |at: Timestamp| Duration::try_from(steady.duration_since(at)).unwrap_or_default().as_secs();
        Ok(WaitingBody {
            parked: backlog.parked,
            runs: runs.iter().map(set_aside).collect(),
            dead_letters: self.letters().await,
            due: backlog.due,
            timers: timers.collect(),
            outbox: OutboxBody { events: backlog.outbox, oldest_seconds: backlog.oldest_outbox.map(age), cause: outbox_cause(parts) },
            breakers: self.breakers(),
            attention: backlog.attention,
            held: backlog.held,
        })
    }

    /// Lets runs go on that were set aside: those with these keys, or all of them.
    ///
    /// # Errors
    /// No reason, neither keys nor all, a key of no such run (then none was let go on).
    pub async fn release_runs(&self, actor: &Actor, mend: &MendBody) -> Result<MendResult, ServiceError> {
        mend.check_reason()?;
        let aside = self.parts.operations.set_aside(usize::MAX).await?;
        let keys: Vec<String> = if mend.all { aside.iter().map(|run| run.key.clone()).collect() } else { mend.keys.clone() };
        if keys.is_empty() && !mend.all {
            return Err(ServiceError::field("/keys", "is missing; name the runs, or write all: true"));
        }
        let unknown: Vec<&str> = keys.iter().filter(|key| !aside.iter().any(|run| run.key == **key)).map(String::as_str).collect();
        if !unknown.is_empty() {
            return Err(ServiceError::Conflict(format!(
                "no run that was set aside has the key {}; nothing was changed",
                unknown.join(", ")
            )));
        }
        let mut done = 0;
        for key in &keys {
            let entry = actor.of.did(self.parts.clock.now(), "runs.release", format!("runs/{key}"), Some(mend.reason.clone()));
            done += u64::from(self.parts.operations.release_run(key, Some(entry)).await?);
        }
        self.parts.pipeline.waker().look_again();
        tracing::info!(runs = done, who = actor.who(), reason = mend.reason, "runs that were set aside go on");
        Ok(MendResult { done, events: None, left: 0, failed: Vec::new() })
    }

    async fn letters(&self) -> LettersBody {
        match letters::list(&self.parts, SHOWN).await {
            Ok(letters) => letters,
            Err(error) => LettersBody { cause: Some(format!("{error:#}")), ..LettersBody::default() },
        }
    }

    fn breakers(&self) -> Vec<BreakerBody> {
        let now = self.parts.clock.steady();
        let status = self.parts.runtime.status().into_iter();
        let open = status.filter_map(|one| {
            let digest = one.active.as_ref().map_or("", |active| active.digest.as_str());
            let state = match self.parts.breakers.level(&one.name, digest, now) {
                0 => return None,
                1 => "half open",
                _ => "open",
            };
            let cause = "runs of this version fail again and again, so none is begun for a while".to_owned();
            Some(BreakerBody { remedy: format!("millrace components show {}", one.name), component: one.name, state, cause })
        });
        open.collect()
    }
}

fn set_aside(run: &StepRun) -> SetAside {
    let cause = run.last_error.clone().unwrap_or_else(|| {
        if run.crashes > 0 { format!("the process died in it {} times", run.crashes) } else { "no reason was kept".to_owned() }
    });
    SetAside {
        key: run.key.clone(),
        kind: run.resource_kind.clone(),
        id: run.resource_id.clone(),
        name: run.name.clone(),
        component: run.component.clone(),
        status: status(run.status),
        attempt: run.attempt,
        crashes: run.crashes,
        cause,
        remedy: format!("millrace waiting release {} --reason '...'", run.key),
    }
}

/// Why events wait, as far as is known.
fn outbox_cause(parts: &Dependencies) -> Option<String> {
    let Some(Bus { bus, refusals, .. }) = &parts.bus else { return Some("the config has no bus, so nothing is published".to_owned()) };
    match bus.health() {
        BusHealth::Down(reason) => Some(reason),
        BusHealth::Up => refusals.lasting(),
    }
}

//! What `/healthz` asks of the parts.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use parking_lot::Mutex;

use super::backlogs::Backlogs;
use super::parts::Core;
use crate::bus::{Bus, BusHealth};
use crate::clock::Clock;
use crate::http::{Check, HealthChecks, Status};
use crate::plan::{self, Plan};
use crate::pulse::Pulse;
use crate::runtime::Runtime;
use crate::services::console::{ConfigDesk, ConfigStanding};
use crate::services::engine::Dependencies;
use crate::services::messaging::{Refusals, Strangers};
use crate::services::operations::{Archive, Held, Keying, Stranded};
use crate::services::resources::Resources;
use crate::store::{Operations, Refused};
use crate::telemetry::logs;

/// With less than this the disk of the database is as good as full: some minutes of a busy day.
const LEAST_FREE_BYTES: u64 = 64 << 20;
/// A write that was refused is told of for so long, even if others go through: when a disk is nearly full, small ones still do.
const REFUSAL_LASTS: SignedDuration = SignedDuration::from_secs(60);
/// However often somebody asks, a write is tried once in this time.
const TRIAL_INTERVAL: Duration = Duration::from_secs(1);
/// How long the first that waits for a place must have waited until that is told.
const CROWDED_AFTER: Duration = Duration::from_secs(1);
/// A write that takes longer is told of: well before a check has no time left to say so.
const SLOW_WRITE: Duration = Duration::from_secs(1);
/// After so long without the end of any write nothing is written soon, whoever waits for it.
const HANGING_WRITE: Duration = Duration::from_secs(10);
/// So many instances one after the other that a component could do nothing for are no bad luck: what is behind it is away.
const UNSERVED_IN_A_ROW: u32 = 3;

/// Adds what every process has: a check of its log, if it keeps one, and what `/livez` asks.
pub(super) fn register_process(health: &HealthChecks, pulse: &Pulse) {
    let pulse = pulse.clone();
    health.set_stuck(move || pulse.stuck());
    if logs::state().is_some() {
        health.add_own("log", || std::future::ready(check_log()));
    }
}

fn check_log() -> Check {
    match logs::state() {
        Some(logs::LogState { problem: Some(problem), .. }) => Check::new(Status::Degraded, problem),
        Some(logs::LogState { dropped: 0, .. }) | None => Check::new(Status::Up, "lines are written to stderr"),
        Some(logs::LogState { dropped, .. }) => {
            Check::new(Status::Up, format!("lines are written to stderr; {dropped} were dropped before"))
        }
    }
}

/// Adds a check for each part that can be unwell.
pub(super) fn register(health: &HealthChecks, plan: &Plan, core: &Core, backlogs: &Arc<Backlogs>) {
    let Core { store, engine, runtime, bus, .. } = core;
    if let Some(database) = &plan.database {
        let patience = plan.health.as_ref().map_or(SLOW_WRITE, |settings| SLOW_WRITE.min(settings.check_timeout / 2));
        let (store, clock) = (Arc::clone(&store.operations), engine.clock.clone());
        let check = Arc::new(StoreCheck::new(store, Arc::clone(backlogs), clock, patience));
        let backpressure = Arc::clone(&engine.backpressure);
        health.add(&database.name, move || {
            let (check, backpressure) = (Arc::clone(&check), Arc::clone(&backpressure));
            async move {
                let found = check.ask().await;
                match backpressure.refusal() {
                    Some(reason) if found.status < Status::Down => {
                        Check::new(Status::Degraded, format!("nothing new is accepted: {reason}"))
                    }
                    _ => found,
                }
            }
        });
    }
    register_credentials(health, plan, core);
    if !plan.workflows.is_empty() {
        let (dead_ends, clock) = (Arc::clone(&engine.dead_ends), engine.clock.clone());
        health.add_own("steps", move || {
            std::future::ready(match dead_ends.problem(clock.steady()) {
                Some(problem) => Check::new(Status::Degraded, problem),
                None => Check::new(Status::Up, "no step fails for good for one instance after the other"),
            })
        });
    }
    register_components(health, plan, (engine, runtime));
    if let (Some(bus), Some(of_plan)) = (bus, &plan.bus) {
        let (bus, refusals, strangers) = (Arc::clone(bus), Arc::clone(&core.refusals), Arc::clone(&core.strangers));
        let settings = of_plan.clone();
        health.add(of_plan.name(), move || std::future::ready(check_bus(bus.as_ref(), &refusals, &strangers, &settings)));
    }
}

/// Adds a check for each component.
pub(super) fn register_components(health: &HealthChecks, plan: &Plan, (engine, runtime): (&Dependencies, &Arc<Runtime>)) {
    for component in &plan.components {
        let (engine, runtime, name) = (engine.clone(), Arc::clone(runtime), component.name.clone());
        health.add(&component.name, move || {
            let check = check_component((&engine, &runtime), &name);
            async move { check }
        });
    }
}

fn check_bus(bus: &dyn Bus, refusals: &Refusals, strangers: &Strangers, settings: &plan::Bus) -> Check {
    if let BusHealth::Down(reason) = bus.health() {
        return Check::new(Status::Degraded, format!("events wait in the outbox: {reason}"));
    }
    if let Some(reason) = bus.deaf() {
        let published =
            if refusals.lasting().is_some() { "events wait in the outbox, and none come" } else { "events are published, but do not come" };
        return Check::new(Status::Degraded, format!("{published}: {reason}"));
    }
    if let Some(refused) = refusals.lasting() {
        return Check::new(Status::Degraded, format!("events are published, but {refused}"));
    }
    if let Some(strangers) = strangers.lately() {
        let group = settings.group().map(|group| format!(" and the group '{group}'")).unwrap_or_default();
        let message = format!(
            "{strangers}: another shop, or a copy of this one's database, uses the same topics{group}, and takes events of this shop, whose \
             customers are not told. Give each shop topics and a group of its own (`topicPrefix` and `groupId`, KAFKA_TOPIC_PREFIX), then \
             `millrace republish` here"
        );
        return Check::new(Status::Degraded, message);
    }
    Check::new(Status::Up, "events are published")
}

/// Adds a check of the catalogue, if prices come from another process.
pub(super) fn register_catalogue(health: &HealthChecks, resources: &Resources) {
    if !resources.has_remote_catalogue() {
        return;
    }
    let resources = resources.clone();
    health.add_own("catalogue", move || {
        let resources = resources.clone();
        async move {
            match resources.catalogue_problem().await {
                Some(problem) => Check::new(Status::Degraded, problem),
                None => Check::new(Status::Up, "prices are to be had"),
            }
        }
    });
}

/// Adds a check of the archive, if finished instances go there.
pub(super) fn register_archive(health: &HealthChecks, archive: Option<&Archive>) {
    let Some(archive) = archive.cloned() else { return };
    health.add_own("archive", move || {
        std::future::ready(match archive.problem() {
            Some(problem) => Check::new(Status::Degraded, problem),
            None => Check::new(Status::Up, format!("finished instances are archived in '{}'", archive.settings().folder.display())),
        })
    });
}

/// Adds a check of what is reserved for long, if anything is stocked here.
pub(super) fn register_held(health: &HealthChecks, held: Option<&Held>) {
    let Some(held) = held.cloned() else { return };
    health.add_own("stock", move || {
        let held = held.clone();
        async move {
            match held.problem().await {
                Ok(None) => Check::new(Status::Up, "nothing is reserved for more than a day"),
                Ok(Some(problem)) => Check::new(Status::Degraded, problem),
                Err(error) => Check::new(Status::Down, error.to_string()),
            }
        }
    });
}

/// Adds a check of whether everything is found that is searched for, if something can be.
pub(super) fn register_keying(health: &HealthChecks, plan: &Plan, keying: &Keying) {
    if !plan.resources.iter().any(plan::ResourceHandler::is_searched) {
        return;
    }
    let keying = keying.clone();
    health.add_own("search", move || {
        let message = if keying.is_done() {
            "every resource is found by its keys"
        } else {
            "older resources are given their keys: a search may miss some of them until it is done"
        };
        std::future::ready(Check::new(Status::Up, message))
    });
}

/// Adds a check of the file of the config: whether what it says can run.
pub(super) fn register_config(health: &HealthChecks, desk: &ConfigDesk) {
    let desk = desk.clone();
    health.add_own("config", move || {
        std::future::ready(match desk.standing() {
            ConfigStanding::Runs => Check::new(Status::Up, "the process runs what the config says"),
            ConfigStanding::Restart(parts) => {
                Check::new(Status::Up, format!("the config takes a restart of the process, for {}", parts.join(", ")))
            }
            ConfigStanding::Refused(why) => Check::new(Status::Degraded, format!("the process runs on as it was: {why}")),
        })
    });
}

/// Says what unfinished instances need and the config does not name, and adds a check for each workflow of which that is so.
pub(super) async fn register_lacks(health: &HealthChecks, stranded: &Stranded) -> anyhow::Result<()> {
    let lacks = stranded.lacks().await?;
    for lack in &lacks {
        tracing::error!(workflow = lack.workflow, lacks = lack.what, instances = lack.instances, "{lack}");
    }
    for workflow in lacks.into_iter().map(|lack| lack.workflow).collect::<BTreeSet<_>>() {
        let (stranded, name) = (stranded.clone(), workflow.clone());
        health.add_own_costly(&workflow, move || {
            let (stranded, name) = (stranded.clone(), name.clone());
            async move { check_lacks(&stranded, &name).await }
        });
    }
    Ok(())
}

async fn check_lacks(stranded: &Stranded, workflow: &str) -> Check {
    let lacks = match stranded.lacks().await {
        Ok(lacks) => lacks,
        Err(error) => return Check::new(Status::Down, error.to_string()),
    };
    let told: Vec<String> = lacks.iter().filter(|lack| lack.workflow == workflow).map(ToString::to_string).collect();
    if told.is_empty() {
        return Check::new(Status::Up, "all unfinished instances have what they need");
    }
    Check::new(Status::Degraded, told.join("; "))
}

/// Adds a check of what other processes know this one by, if there are any: while it is wrong nothing gets on, and only an operator can help.
fn register_credentials(health: &HealthChecks, plan: &Plan, Core { engine, clocks, .. }: &Core) {
    if !plan.components.iter().flat_map(|component| &component.capabilities.http).any(|grant| grant.credential.is_some()) {
        return;
    }
    let clocks = clocks.clone();
    health.add_own("clocks", move || {
        std::future::ready(match clocks.problem() {
            Some(problem) => Check::new(Status::Degraded, problem),
            None => Check::new(Status::Up, "no process that was asked has another date"),
        })
    });
    let credentials = Arc::clone(&engine.credentials);
    health.add_own("shared-secrets", move || {
        let problem = credentials.problem();
        std::future::ready(match problem {
            Some(problem) => Check::new(Status::Down, problem),
            None => Check::new(Status::Up, "nothing that this process is known by was refused"),
        })
    });
}

/// Whether the database can be read and written, which only doing both tells.
struct StoreCheck {
    store: Arc<dyn Operations>,
    backlogs: Arc<Backlogs>,
    clock: Clock,
    /// How long a write may take before that is told.
    patience: Duration,
    trial: Mutex<Option<Trial>>,
    /// Since when a write was found not to end in time, and how many had ended by then.
    waits: Mutex<Option<(Instant, u64)>>,
}

/// What was found when a write was last known to have been tried.
#[derive(Clone)]
struct Trial {
    at: Instant,
    commits: u64,
    refused: Option<Refused>,
    result: Result<(), String>,
}

impl StoreCheck {
    fn new(store: Arc<dyn Operations>, backlogs: Arc<Backlogs>, clock: Clock, patience: Duration) -> Self {
        Self { store, backlogs, clock, patience, trial: Mutex::default(), waits: Mutex::default() }
    }

    async fn ask(&self) -> Check {
        let backlog = match self.backlogs.for_check().await {
            Ok(backlog) => backlog,
            Err(error) => return Check::new(Status::Down, error.to_string()),
        };
        match tokio::time::timeout(self.patience, self.try_write()).await {
            Ok(result) => {
                *self.waits.lock() = None;
                if let Err(reason) = result {
                    return Check::only_reads(reason);
                }
            }
            Err(_) => return self.slow(),
        }
        if let Some(reason) = self.refused_lately().or_else(|| self.short_of_room()) {
            return Check::new(Status::Degraded, reason);
        }
        if backlog.parked + backlog.attention > 0 {
            let message = format!("{} quarantined runs and {} instances wait for a person", backlog.parked, backlog.attention);
            return Check::new(Status::Degraded, message);
        }
        Check::new(Status::Up, format!("{} events in the outbox", backlog.outbox))
    }

    /// What is said of a write that does not end in time. A slow disk is no reason to send customers elsewhere, where there is none.
    fn slow(&self) -> Check {
        let commits = self.store.commit_stats().commits;
        let mut waits = self.waits.lock();
        let since = waits.filter(|(_, before)| *before == commits).map_or_else(Instant::now, |(since, _)| since);
        *waits = Some((since, commits));
        let waited = self.patience + since.elapsed();
        let message = format!("a write to the database takes longer than {} ms", waited.as_millis());
        if waited < HANGING_WRITE { Check::new(Status::Degraded, message) } else { Check::only_reads(message) }
    }

    /// Whether something can be written: if others have written since this was last asked, that is known without trying.
    async fn try_write(&self) -> Result<(), String> {
        let (commits, refused) = (self.store.commit_stats().commits, self.store.refused());
        let last = self.trial.lock().clone();
        if let Some(last) = last {
            if last.at.elapsed() < TRIAL_INTERVAL && last.refused == refused {
                return last.result;
            }
            if commits > last.commits && last.refused == refused && last.result.is_ok() {
                self.note(commits, Ok(()));
                return Ok(());
            }
        }
        let result = self.store.try_write().await.map_err(|error| error.to_string());
        self.note(self.store.commit_stats().commits, result.clone());
        result
    }

    fn note(&self, commits: u64, result: Result<(), String>) {
        *self.trial.lock() = Some(Trial { at: Instant::now(), commits, refused: self.store.refused(), result });
    }

    fn refused_lately(&self) -> Option<String> {
        let refused = self.store.refused()?;
        let ago = self.clock.steady().duration_since(refused.at);
        (ago < REFUSAL_LASTS).then(|| format!("writes were refused {} s ago: {}", ago.as_secs().max(0), refused.reason))
    }

    fn short_of_room(&self) -> Option<String> {
        match self.store.space() {
            Ok(Some(space)) if space.free < LEAST_FREE_BYTES => {
                Some(format!("the disk of the database is nearly full: {} MiB are free", space.free >> 20))
            }
            Ok(_) => None,
            Err(error) => Some(format!("the disk of the database cannot be looked at: {error}")),
        }
    }
}

fn check_component((engine, runtime): (&Dependencies, &Runtime), name: &str) -> Check {
    let status = runtime.status().into_iter().find(|status| status.name == name);
    match status.map(|status| (status.active, status.refused)) {
        Some((Some(active), _)) if engine.breakers.level(name, &active.digest, engine.clock.steady()) > 0 => {
            let message =
                format!("{} {} ({:.12}) has failed too often: its circuit breaker is open", active.name, active.version, active.digest);
            Check::new(Status::Degraded, message)
        }
        Some((Some(active), None)) if engine.breakers.unserved(name, &active.digest, engine.clock.steady()) >= UNSERVED_IN_A_ROW => {
            let runs = engine.breakers.unserved(name, &active.digest, engine.clock.steady());
            let message = format!(
                "{} {} ({:.12}) works, but the last {runs} that it was run for were not served, and wait: {}",
                active.name,
                active.version,
                active.digest,
                engine.breakers.reason(name)
            );
            Check::new(Status::Degraded, message)
        }
        Some((Some(active), None)) if runtime.crowd(name).is_some_and(|crowd| crowd.waited > CROWDED_AFTER) => {
            let crowd = runtime.crowd(name).unwrap_or_default();
            let message = format!(
                "{} {} ({:.12}) has no free place: {} attempts run, {} wait; `maxConcurrentRuns` of the statemachine.engine says how many there are",
                active.name, active.version, active.digest, crowd.running, crowd.waiting
            );
            Check::new(Status::Degraded, message)
        }
        Some((Some(active), None)) => Check::new(Status::Up, format!("{} {} ({:.12})", active.name, active.version, active.digest)),
        Some((Some(active), Some(refusal))) => {
            Check::new(Status::Degraded, format!("{:.12} serves; the file was refused: {}", active.digest, refusal.reason))
        }
        // Its runs wait, so customers should be sent to a process that can do them, and a deployment should stop here.
        Some((None, Some(refusal))) => Check::new(Status::Down, format!("no version serves, and what needs one waits: {}", refusal.reason)),
        _ => Check::new(Status::Down, "no version serves, and what needs one waits"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{self, Commit, OutboxRow, Store, StoreError};

    struct TestEnv {
        _folder: tempfile::TempDir,
        store: Store,
        disk: store::BadDisk,
        clock: Clock,
        check: StoreCheck,
    }

    impl TestEnv {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let clock = Clock::system();
            let (store, disk) = store::open_on_a_bad_disk(&folder.path().join("a.db"), clock.clone()).unwrap();
            let backlogs = Arc::new(Backlogs::new(Arc::clone(&store.operations)));
            let check = StoreCheck::new(Arc::clone(&store.operations), backlogs, clock.clone(), SLOW_WRITE);
            Self { _folder: folder, store, disk, clock, check }
        }

        async fn write(&self, bytes: usize) -> Result<(), StoreError> {
            let row = OutboxRow {
                position: 0,
                event_id: "e".into(),
                topic: "return.approved".into(),
                key: "return-1".into(),
                seq: 1,
                payload: "x".repeat(bytes).into(),
                traceparent: None,
            };
            self.store.resources.commit(Commit { outbox: vec![row], ..Commit::default() }).await.map(drop)
        }
    }

    #[tokio::test]
    async fn a_full_disk_is_told_at_once_and_for_a_while_after_there_is_room_again() {
        let env = TestEnv::new();
        assert_eq!(env.check.ask().await.status, Status::Up);
        env.disk.leave_room(0).await;
        assert!(env.write(1 << 20).await.is_err());
        let full = env.check.ask().await;
        assert!(full.status > Status::Up && full.message.contains("full"), "{full:?}");
        env.disk.leave_room(10_000).await;
        env.write(1 << 20).await.unwrap();
        let after = env.check.ask().await;
        assert!(after.status == Status::Degraded && after.message.contains("refused 0 s ago"), "{after:?}");
        env.clock.advance(SignedDuration::from_mins(1));
        let deadline = Instant::now() + Duration::from_secs(20);
        while env.check.ask().await != Check::new(Status::Up, "1 events in the outbox") {
            assert!(Instant::now() < deadline, "{:?}", env.check.ask().await);
        }
    }

    #[tokio::test]
    async fn a_write_that_does_not_end_is_told_of_and_leaves_what_is_read() {
        let env = TestEnv::new();
        let slow = env.check.slow();
        assert!(slow.status == Status::Degraded && slow.reads && slow.message.contains("takes longer than 1000 ms"), "{slow:?}");
        let since = Instant::now().checked_sub(HANGING_WRITE).unwrap();
        *env.check.waits.lock() = Some((since, env.store.operations.commit_stats().commits));
        let hanging = env.check.slow();
        assert!(hanging.status == Status::Down && hanging.reads, "{hanging:?}");
        env.write(10).await.unwrap();
        assert_eq!(env.check.slow().status, Status::Degraded, "one has ended meanwhile: they are slow, and do end");
    }

    #[tokio::test]
    async fn a_disk_that_cannot_be_written_is_noticed_by_asking() {
        let env = TestEnv::new();
        env.disk.break_disk().await;
        let check = env.check.ask().await;
        assert!(check.status == Status::Down && check.message.contains("disk I/O error"), "{check:?}");
        assert!(check.reads, "what is only read is answered as ever");
    }
}

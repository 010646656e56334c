//! All components of this process: loading them, swapping them, and running them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use arc_swap::ArcSwap;
use futures::future::{BoxFuture, join_all};
use parking_lot::Mutex;
use serde_json::{Map, Value};
use tokio::sync::{Notify, broadcast};

use super::attempt::{attempt, guest_job, own_of_attempt, terms, unserved};
use super::code_cache::CodeCache;
use super::engine::{self, MAX_RUNS, Ticker};
use super::fitting::{clash, partners};
use super::guest::{Granted, linker};
use super::kv::KvSource;
use super::loader::{Found, Loader};
use super::outgoing::Outgoing;
use super::places::{Crowd, Places, Taken};
use super::sandbox::Sandbox;
use super::slot::{Candidate, Slot, Version};
use super::text::short;
use super::{ActiveVersion, Compilation, ComponentSettings, InProcess, Job, Refusal, Report, Settings, Source, SwapEvent, Verdict};
use crate::clock::Clock;
use crate::crash_point;

/// Stores the digests of versions before they serve, all of them or none: called with the name of each component and the digest of its version,
/// awaited before the swap.
pub type Remember = Arc<dyn Fn(Vec<(String, String)>) -> BoxFuture<'static, anyhow::Result<()>> + Send + Sync>;

/// Events that a slow reader may lag behind.
const MAX_EVENTS: usize = 256;
/// What a start waits for registries. Who has not given a component by then is asked again while the process runs.
const START_WITHIN: Duration = Duration::from_secs(10);

/// How a component is doing.
#[derive(Debug, Clone, PartialEq)]
pub struct ComponentStatus {
    /// Its module name.
    pub name: String,
    /// Where its file comes from.
    pub source: Source,
    /// The version that serves, if one does.
    pub active: Option<ActiveVersion>,
    /// The file that was refused last, if none was taken since.
    pub refused: Option<Refusal>,
}

/// A place for one attempt at a job; dropping it gives it to somebody else.
pub struct Place {
    asked: Instant,
    /// Nothing if there is no such component.
    held: Option<(Arc<Slot>, Taken)>,
}

impl Place {
    /// One that nobody counts, where no component of the sandbox runs.
    #[must_use]
    pub fn uncounted() -> Self {
        Self { asked: Instant::now(), held: None }
    }

    /// Of the component that it is for, if the configuration has it.
    pub(super) fn slot(&self) -> Option<&Arc<Slot>> {
        self.held.as_ref().map(|(slot, _)| slot)
    }
}

/// The components of one plan, by name.
pub(super) struct Slots {
    pub(super) named: BTreeMap<String, Arc<Slot>>,
    /// Those of the plan before that this one no longer names: an instance may have begun while they were exchanged.
    pub(super) leaving: BTreeMap<String, Arc<Slot>>,
}

/// All components of this process. They can be exchanged while it runs.
pub struct Runtime {
    pub(super) clock: Clock,
    pub(super) places: Places,
    pub(super) sandbox: Arc<Sandbox>,
    pub(super) loader: Loader,
    pub(super) slots: ArcSwap<Slots>,
    /// Components that no config has yet, by name.
    pub(super) newcomers: Mutex<BTreeMap<String, Arc<Slot>>>,
    /// Modules that components may call, by name.
    pub(super) services: HashMap<String, InProcess>,
    /// The components have been exchanged.
    pub(super) exchanged: Notify,
    pub(super) remember: Remember,
    /// Where the state of components is.
    pub(super) kv: Arc<dyn KvSource>,
    /// Held while a version takes its place, so that two which do not fit each other do not come at once.
    pub(super) fitting: tokio::sync::Mutex<()>,
    pub(super) events: broadcast::Sender<SwapEvent>,
    _ticker: Ticker,
}

impl Runtime {
    /// Loads every component: from its file, or, where that is bad, from the copy of its last good version, named by `good`
    /// (component, digest). One without any version does not stop the start; [`Runtime::status`] says why. `services` are the modules
    /// that components may call, by name; `kv` is where their committed state is read.
    ///
    /// # Errors
    /// The engine does not start, the private folder cannot be made, or grants cannot be used (all of them are named).
    pub async fn start(
        settings: Settings,
        components: Vec<ComponentSettings>,
        services: HashMap<String, InProcess>,
        good: Vec<(String, String)>,
        (remember, kv): (Remember, Arc<dyn KvSource>),
        clock: Clock,
    ) -> anyhow::Result<Arc<Self>> {
        let runs = settings.max_concurrent_runs;
        anyhow::ensure!((1..=MAX_RUNS).contains(&runs), "at most {runs} components are to run at once: it must be 1 to {MAX_RUNS}");
        let engine = engine::serving(runs)?;
        let kept = CodeCache::open(&settings.cache_dir, engine::fingerprint(&engine))?.map(|kept| kept.beside(settings.authors_cache));
        let ticker = Ticker::start(&engine)?;
        let sandbox = Arc::new(Sandbox::new(engine.clone(), clock.clone()));
        let loader = Loader::new(settings.compiler, engine.clone(), kept, Arc::clone(&sandbox), clock.clone());
        let slots = slots(components, &services, &engine)?;
        let exchanged = Notify::new();
        let places = Places::new(runs, slots.len());
        let (events, _) = broadcast::channel(MAX_EVENTS);
        let slots = ArcSwap::from_pointee(Slots { named: slots, leaving: BTreeMap::new() });
        let (fitting, newcomers) = (tokio::sync::Mutex::default(), Mutex::default());
        let runtime =
            Self { clock, places, sandbox, loader, slots, newcomers, services, exchanged, remember, kv, fitting, events, _ticker: ticker };
        let runtime = Arc::new(runtime);
        let good: HashMap<String, String> = good.into_iter().collect();
        join_all(runtime.slots().iter().map(|slot| runtime.load_at_start(slot, good.get(&slot.settings.name)))).await;
        runtime.loader.stand_back();
        runtime.tidy().await;
        Ok(runtime)
    }

    /// Waits until a component may run; `again` if the job was attempted before, since such jobs have a part of the places only.
    pub async fn place(&self, component: &str, again: bool) -> Place {
        let asked = Instant::now();
        let held = match self.find(component) {
            Some(slot) => {
                let taken = self.places.take(slot.number, again).await;
                // After the wait: a run that waited uses the component as it is now.
                Some((self.find(component).filter(|now| now.number == slot.number).unwrap_or(slot), taken))
            }
            None => None,
        };
        Place { asked, held }
    }

    /// Jobs of one component that were attempted before and run at once, at most.
    #[must_use]
    pub fn most_again(&self) -> usize {
        self.places.most_again()
    }

    /// How many jobs of a component run, and how many wait for a place.
    #[must_use]
    pub fn crowd(&self, component: &str) -> Option<Crowd> {
        self.find(component).map(|slot| self.places.crowd(slot.number))
    }

    /// [`Runtime::run_in`] a place of its own, as a first attempt.
    pub async fn run(&self, component: &str, job: Job, step_config: Option<&Map<String, Value>>) -> Report {
        let place = self.place(component, false).await;
        self.run_in(place, component, job, step_config, None).await
    }

    /// Has a component do one job, within the job's timeout, on the version that serves, or on `candidate` in its place; `step_config` goes
    /// over the component's own configuration, key by key. Never fails: what goes wrong is a [`Verdict`].
    pub async fn run_in(
        &self,
        place: Place,
        component: &str,
        job: Job,
        step_config: Option<&Map<String, Value>>,
        candidate: Option<&Candidate>,
    ) -> Report {
        let Place { asked: called, held } = place;
        let Some((slot, _taken)) = held else {
            return unserved(called, Verdict::Transient(not_configured(component)));
        };
        // Taken after the wait, so that a run which waited uses the newest version. What was judged by another config runs no more.
        let candidate = candidate.filter(|candidate| candidate.is_of(&slot));
        let Some(version) = candidate.map(Candidate::version).or_else(|| slot.serving()) else {
            return unserved(called, Verdict::Transient(without_version(&slot)));
        };
        let own = own_of_attempt(&slot, &version, (&job.kind, &job.instance_id), &self.kv);
        let terms = terms(&slot, &version, &job, own);
        let job = guest_job(&self.clock, job, slot.config_for(step_config));
        let (report, _) = attempt(&self.sandbox, &version, terms, &job, called).await;
        let digest = short(&version.digest);
        report.map(|answer| answer.unwrap_or_else(|why| Verdict::Transient(format!("component '{component}' (version {digest}) {why}"))))
    }

    /// Whether the config has this component, or had it until it was exchanged last.
    #[must_use]
    pub fn has(&self, component: &str) -> bool {
        self.find(component).is_some()
    }

    /// Whether the config has this component now.
    #[must_use]
    pub fn is_named(&self, component: &str) -> bool {
        self.slots.load().named.contains_key(component)
    }

    /// The version that serves a component.
    #[must_use]
    pub fn active(&self, component: &str) -> Option<ActiveVersion> {
        Some(self.find(component)?.serving()?.about.clone())
    }

    /// Digest of the version that serves a component.
    #[must_use]
    pub fn digest(&self, component: &str) -> Option<Arc<str>> {
        Some(Arc::clone(&self.find(component)?.serving()?.digest))
    }

    /// Why a component of the configuration cannot run: no version of it was ever good. None if one serves, and of components that are not in
    /// the configuration.
    #[must_use]
    pub fn unserved(&self, component: &str) -> Option<String> {
        self.find(component).filter(|slot| slot.serving().is_none()).map(|slot| without_version(&slot))
    }

    /// What was compiled since this was last asked.
    #[must_use]
    pub fn compilations(&self) -> Vec<Compilation> {
        self.loader.compilations()
    }

    /// How all components are doing, by name.
    #[must_use]
    pub fn status(&self) -> Vec<ComponentStatus> {
        let status = |slot: &Arc<Slot>| ComponentStatus {
            name: slot.settings.name.clone(),
            source: slot.settings.source.clone(),
            active: slot.serving().map(|version| version.about.clone()),
            refused: slot.refused(),
        };
        self.slots().iter().map(status).collect()
    }

    /// Names of the components that the config has.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.slots.load().named.keys().cloned().collect()
    }

    /// What happens to components from now on. A reader that lags more than 256 events behind misses some.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<SwapEvent> {
        self.events.subscribe()
    }

    /// Looks at a component's file now, even if it was refused before.
    ///
    /// # Errors
    /// There is no such component; the file was refused, and why.
    pub async fn reload(&self, component: &str) -> anyhow::Result<()> {
        let slot = self.slot(component)?;
        slot.forgive();
        self.take_file(&slot, Instant::now()).await;
        match slot.refused() {
            None => Ok(()),
            Some(refusal) => Err(anyhow!(refusal.reason)),
        }
    }

    /// Has a version serve that served before, named by its whole digest: at once if it is one of the last few, else from its copy. The
    /// file is left as it is, and is taken again when it changes or at the next start.
    ///
    /// # Errors
    /// There is no such component or version, or the digest cannot be stored.
    pub async fn activate(&self, component: &str, digest: &str) -> anyhow::Result<()> {
        let began = Instant::now();
        let slot = self.slot(component)?;
        let _turn = slot.turn.lock().await;
        if slot.serves(digest) {
            return Ok(());
        }
        let version = match slot.ready(digest) {
            Some(ready) => ready,
            None => self.loader.take_copy(&slot, digest).await.map_err(|reason| anyhow!("component '{component}': {reason}"))?,
        };
        let _fitting = self.fitting.lock().await;
        if let Some(why) = clash(&self.slots.load().named, &slot, &version) {
            return Err(anyhow!("component '{component}': version {digest} {why}"));
        }
        self.swap(&[(&*slot, &*version)], began).await
    }

    pub(super) fn slot(&self, component: &str) -> anyhow::Result<Arc<Slot>> {
        self.find(component).with_context(|| format!("there is no component '{component}' in the configuration"))
    }

    fn find(&self, component: &str) -> Option<Arc<Slot>> {
        let slots = self.slots.load();
        slots.named.get(component).or_else(|| slots.leaving.get(component)).cloned()
    }

    /// All components that the config has.
    pub(super) fn slots(&self) -> Vec<Arc<Slot>> {
        self.slots.load().named.values().cloned().collect()
    }

    /// Waits until the components are exchanged.
    pub(super) async fn exchanged(&self) {
        self.exchanged.notified().await;
    }

    async fn load_at_start(&self, slot: &Slot, good: Option<&String>) {
        good.iter().for_each(|digest| slot.record(digest));
        let now = Instant::now();
        self.take(slot, now, self.loader.look_at_file_within(slot, START_WITHIN)).await;
        let (None, Some(digest)) = (slot.serving(), good) else { return };
        let _turn = slot.turn.lock().await;
        let component = &slot.settings.name;
        match self.loader.take_copy(slot, digest).await {
            Ok(version) => {
                tracing::warn!(%component, %digest, "the file of a component is bad or missing: its last good version serves");
                let refused = slot.refused();
                slot.serve((*version).clone());
                if let Some(refusal) = refused {
                    slot.refuse(&refusal);
                }
            }
            Err(reason) => tracing::error!(%component, %digest, %reason, "the last good version of a component cannot serve either"),
        }
    }

    /// Looks at a component's file and takes what is new and good; `began` is when the change was noticed. False if it may be good, but
    /// could not be read, copied or recorded: then it is to be looked at again.
    pub(super) async fn take_file(&self, slot: &Slot, began: Instant) -> bool {
        self.take(slot, began, self.loader.look_at_file(slot)).await
    }

    async fn take(&self, slot: &Slot, began: Instant, looking: impl Future<Output = Found>) -> bool {
        let _turn = slot.turn.lock().await;
        let found = looking.await;
        slot.set_awaiting(None);
        match found {
            Found::Same => slot.forgive(),
            Found::StillRefused => {}
            Found::Version(version) => {
                let _fitting = self.fitting.lock().await;
                if !self.find(&slot.settings.name).is_some_and(|now| std::ptr::eq(Arc::as_ptr(&now), slot)) {
                    // Another config has come meanwhile, and has it loaded anew.
                    return true;
                }
                let partners = match partners(&self.slots.load().named, slot, &version) {
                    Ok(partners) => partners,
                    Err(why) => {
                        // Another version of the other one may fit: it is looked at again.
                        self.refused(slot, Refusal { digest: None, reason: format!("'{}' {why}", slot.settings.source), unsigned: false });
                        slot.set_awaiting(Some(version));
                        return false;
                    }
                };
                let coming: Vec<(&Slot, &Version)> =
                    partners.iter().map(|(slot, version)| (&**slot, &**version)).chain([(slot, &*version)]).collect();
                if let Err(error) = self.swap(&coming, began).await {
                    self.refused(slot, Refusal { digest: None, reason: format!("{error:#}"), unsigned: false });
                    return false;
                }
            }
            Found::Refused(refusal) => {
                let judged = refusal.digest.is_some();
                self.refused(slot, refusal);
                return judged;
            }
        }
        true
    }

    /// Has versions serve, all of them or, if one cannot be recorded, none.
    async fn swap(&self, coming: &[(&Slot, &Version)], began: Instant) -> anyhow::Result<()> {
        self.record_versions(coming).await?;
        coming.iter().for_each(|(slot, version)| self.serve(slot, version, began));
        self.tidy().await;
        Ok(())
    }

    /// In one write: a process that ends in the middle leaves no version behind whose partner was not recorded.
    async fn record_versions(&self, coming: &[(&Slot, &Version)]) -> anyhow::Result<()> {
        // A start with the version of the process before needs no write, which a full disk would refuse.
        let is_new = |(slot, version): &&(&Slot, &Version)| slot.recorded().as_deref() != Some(&*version.digest);
        let new: Vec<(String, String)> =
            coming.iter().filter(is_new).map(|(slot, version)| (slot.settings.name.clone(), version.digest.to_string())).collect();
        if new.is_empty() {
            return Ok(());
        }
        crash_point!("component-compiled");
        (self.remember)(new.clone()).await.with_context(|| {
            let versions: Vec<String> =
                new.iter().map(|(component, digest)| format!("version {} of component '{component}'", short(digest))).collect();
            let versions = versions.join(" and ");
            if new.len() == 1 {
                format!("{versions} is good, but could not be recorded, so it does not serve")
            } else {
                format!("{versions} are good, but could not be recorded, so they do not serve")
            }
        })?;
        coming.iter().for_each(|(slot, version)| slot.record(&version.digest));
        crash_point!("component-recorded");
        Ok(())
    }

    fn serve(&self, slot: &Slot, version: &Version, began: Instant) {
        let (component, digest) = (slot.settings.name.clone(), version.digest.to_string());
        let mut version = version.clone();
        version.about.since = self.clock.now();
        let active = version.about.clone();
        let previous = slot.serve(version).map(|previous| previous.digest.to_string());
        self.places.replaced(slot.number);
        let took = began.elapsed();
        tracing::info!(%component, %digest, version = active.version, reversible = active.reversible, previous, took_ms = took.as_millis() as u64, "a new version of a component serves");
        // Nobody has to listen.
        let _ = self.events.send(SwapEvent::Swapped { component, active: Box::new(active), previous, took });
    }

    /// Removes copies and code beyond what is kept.
    pub(super) async fn tidy(&self) {
        let wanted = |slot: &Arc<Slot>| {
            let artifact = if let Source::Registry(artifact) = &slot.settings.source { Some(artifact.digest.clone()) } else { None };
            // What waits for its partners is on record only once it serves.
            let awaiting = slot.awaiting().map(|version| version.digest.to_string());
            slot.recorded().into_iter().chain(artifact).chain(awaiting)
        };
        self.loader.tidy(self.slots().iter().flat_map(wanted).collect()).await;
    }

    pub(super) fn refused(&self, slot: &Slot, refusal: Refusal) {
        if !slot.refuse(&refusal) {
            return;
        }
        let component = slot.settings.name.clone();
        let serving = slot.serving().map(|version| version.digest.to_string());
        let Refusal { digest, reason, .. } = refusal;
        tracing::warn!(%component, digest, serving, reason, "the file of a component was refused");
        let missing = digest.is_none() && !slot.settings.source.file().is_some_and(std::path::Path::exists);
        let _ = self.events.send(SwapEvent::Refused { component, digest, reason, serving, missing });
    }
}

fn without_version(slot: &Slot) -> String {
    let why = slot.refused().map_or_else(|| "nothing was loaded yet".to_owned(), |refusal| refusal.reason);
    format!("component '{}' has no version that can serve: {why}", slot.settings.name)
}

pub(super) fn not_configured(component: &str) -> String {
    format!("there is no component '{component}' in the configuration")
}

/// What is needed of each component to load and run it, by name.
///
/// # Errors
/// Grants that cannot be used: all of them are named.
pub(super) fn slots(
    components: Vec<ComponentSettings>,
    services: &HashMap<String, InProcess>,
    engine: &wasmtime::Engine,
) -> anyhow::Result<BTreeMap<String, Arc<Slot>>> {
    let mut problems = Vec::new();
    let mut slots = BTreeMap::new();
    for settings in components {
        let number = slots.len();
        match slot(settings, number, services, engine) {
            Ok(slot) => drop(slots.insert(slot.settings.name.clone(), Arc::new(slot))),
            Err(Unlinked::Grants(found)) => problems.extend(found),
            Err(Unlinked::Other(error)) => return Err(error),
        }
    }
    anyhow::ensure!(problems.is_empty(), "{}", problems.join("; "));
    Ok(slots)
}

/// Why a component cannot be linked.
pub(super) enum Unlinked {
    /// Its grants cannot be used.
    Grants(Vec<String>),
    Other(anyhow::Error),
}

pub(super) fn slot(
    settings: ComponentSettings,
    number: usize,
    services: &HashMap<String, InProcess>,
    engine: &wasmtime::Engine,
) -> Result<Slot, Unlinked> {
    let name = &settings.name;
    let http = Outgoing::resolve(&settings.capabilities, services)
        .map_err(|found| Unlinked::Grants(found.into_iter().map(|problem| format!("component '{name}': {problem}")).collect()))?;
    let config = settings.capabilities.config.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    let linker = linker(engine, &settings.capabilities)
        .map_err(|error| Unlinked::Other(anyhow!("component '{name}' cannot be linked: {error:#}")))?;
    let secrets = settings.capabilities.secrets.iter().map(|secret| secret.name.clone()).collect();
    Ok(Slot::new(settings, Arc::new(Granted { http, config, secrets }), linker, number))
}

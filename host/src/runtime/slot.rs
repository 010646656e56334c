//! One component of the configuration, and the versions of it that are known.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use serde_json::{Map, Value};
use wasmtime::component::Linker;

use super::contract::{ReversiblePre, StepPre};
use super::guest::{Granted, Guest};
use super::inspect::{Contract, Outline};
use super::schemas::Schemas;
use super::{ActiveVersion, ComponentSettings, EventGrant};

/// Versions that stay ready in memory, to go back to within milliseconds.
const MAX_READY: usize = 4;
/// Uploaded versions that are listed.
const MAX_UPLOADED: usize = 8;

/// A version that is compiled, linked and has answered `describe`.
#[derive(Clone)]
pub(super) struct Version {
    /// SHA-256 of the file, in hex.
    pub digest: Arc<str>,
    /// To make instances of.
    pub pre: StepPre,
    /// The same, if it exports the interface `settlement`.
    pub reversible: Option<ReversiblePre>,
    /// Checks of what it reads and answers, as far as it says that.
    pub schemas: Arc<Schemas>,
    /// What it asks for and offers.
    pub outline: Arc<Outline>,
    /// What it is.
    pub about: ActiveVersion,
}

impl Version {
    /// What it was built for.
    pub fn contract(&self) -> Contract {
        self.about.contract
    }
}

/// A version that runs some jobs beside the one that serves. It stays ready as long as this is kept, and runs beside another as long as the
/// config says of its component what it was judged by.
#[derive(Clone)]
pub struct Candidate {
    version: Arc<Version>,
    of: Weak<Slot>,
}

impl Candidate {
    pub(super) fn new(version: Arc<Version>, slot: &Arc<Slot>) -> Self {
        Self { version, of: Arc::downgrade(slot) }
    }

    /// Whether it was judged as a version of this one.
    pub(super) fn is_of(&self, slot: &Arc<Slot>) -> bool {
        std::ptr::eq(self.of.as_ptr(), Arc::as_ptr(slot))
    }

    /// What it is.
    #[must_use]
    pub fn about(&self) -> &ActiveVersion {
        &self.version.about
    }

    pub(super) fn version(&self) -> Arc<Version> {
        Arc::clone(&self.version)
    }
}

/// A file that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// SHA-256 of the file, in hex, if it could be read and is what is wrong. A refusal without it is not kept: the file is looked at again.
    pub digest: Option<String>,
    /// What is wrong with it and what to change.
    pub reason: String,
    /// What is wrong is its signature: the same file is judged again with another one.
    pub unsigned: bool,
}

/// A component of the configuration.
pub(super) struct Slot {
    /// As configured.
    pub settings: ComponentSettings,
    /// What it was granted.
    pub granted: Arc<Granted>,
    /// What it may import.
    pub linker: Linker<Guest>,
    /// What it may publish.
    pub declared: Arc<[EventGrant]>,
    /// Its number among the components, for its places.
    pub number: usize,
    /// Held while a file is read, compiled and taken: one at a time.
    pub turn: tokio::sync::Mutex<()>,
    name: Arc<str>,
    config: String,
    serving: ArcSwapOption<Version>,
    versions: Mutex<Versions>,
}

#[derive(Default)]
struct Versions {
    /// Newest first.
    ready: VecDeque<Arc<Version>>,
    /// Of files that were uploaded, newest first; their copies are kept by their digests.
    uploaded: VecDeque<ActiveVersion>,
    refused: Option<Refusal>,
    /// What the file has, if it is good and only fits another version of another component.
    awaiting: Option<Arc<Version>>,
    /// Digest that was stored as the one that serves.
    recorded: Option<String>,
}

impl Slot {
    /// Nothing serves yet.
    pub fn new(settings: ComponentSettings, granted: Arc<Granted>, linker: Linker<Guest>, number: usize) -> Self {
        Self {
            number,
            name: settings.name.as_str().into(),
            config: Value::Object(settings.config.clone()).to_string(),
            declared: settings.capabilities.events.clone().into(),
            settings,
            granted,
            linker,
            turn: tokio::sync::Mutex::default(),
            serving: ArcSwapOption::empty(),
            versions: Mutex::default(),
        }
    }

    /// Its name.
    pub fn name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    /// The version that new runs use.
    pub fn serving(&self) -> Option<Arc<Version>> {
        self.serving.load_full()
    }

    /// Whether this version serves.
    pub fn serves(&self, digest: &str) -> bool {
        self.serving.load().as_ref().is_some_and(|version| &*version.digest == digest)
    }

    /// New runs use `version` from now on; runs that have begun keep theirs.
    pub fn serve(&self, version: Version) -> Option<Arc<Version>> {
        let version = Arc::new(version);
        let mut versions = self.versions.lock();
        versions.refused = None;
        versions.awaiting = None;
        versions.ready.retain(|ready| ready.digest != version.digest);
        versions.ready.push_front(Arc::clone(&version));
        versions.ready.truncate(MAX_READY);
        self.serving.swap(Some(version))
    }

    /// Digest that was stored as the one that serves, by this process or the one before.
    pub fn recorded(&self) -> Option<String> {
        self.versions.lock().recorded.clone()
    }

    /// Notes what is stored.
    pub fn record(&self, digest: &str) {
        self.versions.lock().recorded = Some(digest.to_owned());
    }

    /// A version that is ready in memory.
    pub fn ready(&self, digest: &str) -> Option<Arc<Version>> {
        self.versions.lock().ready.iter().find(|version| &*version.digest == digest).cloned()
    }

    /// The versions that are ready in memory, those that served last first.
    pub fn versions(&self) -> Vec<ActiveVersion> {
        self.versions.lock().ready.iter().map(|version| version.about.clone()).collect()
    }

    /// The versions that were uploaded and have not served, newest first.
    pub fn uploaded(&self) -> Vec<ActiveVersion> {
        let versions = self.versions.lock();
        let is_ready = |about: &&ActiveVersion| versions.ready.iter().any(|version| *version.digest == *about.digest);
        versions.uploaded.iter().filter(|about| !is_ready(about)).cloned().collect()
    }

    /// Notes a version that was uploaded, so that it is found by whoever comes later.
    pub fn note_uploaded(&self, about: ActiveVersion) {
        let uploaded = &mut self.versions.lock().uploaded;
        uploaded.retain(|noted| noted.digest != about.digest);
        uploaded.push_front(about);
        uploaded.truncate(MAX_UPLOADED);
    }

    /// The file that was refused last, if none was taken since.
    pub fn refused(&self) -> Option<Refusal> {
        self.versions.lock().refused.clone()
    }

    /// The version that waits for another one of another component.
    pub fn awaiting(&self) -> Option<Arc<Version>> {
        self.versions.lock().awaiting.clone()
    }

    /// Notes which version does, if one does.
    pub fn set_awaiting(&self, version: Option<Arc<Version>>) {
        self.versions.lock().awaiting = version;
    }

    /// Whether what it comes from is still to be had: it was not, and nothing was judged.
    pub fn is_open(&self) -> bool {
        self.versions.lock().refused.as_ref().is_some_and(|refusal| refusal.digest.is_none())
    }

    /// Notes a refusal; false if it is known already.
    pub fn refuse(&self, refusal: &Refusal) -> bool {
        let mut versions = self.versions.lock();
        if versions.refused.as_ref() == Some(refusal) {
            return false;
        }
        versions.refused = Some(refusal.clone());
        true
    }

    /// What serves is what is in the file: nothing is refused.
    pub fn forgive(&self) {
        self.versions.lock().refused = None;
    }

    /// Configuration for one step, as JSON text: the component's own, with the step's over it, key by key.
    pub fn config_for(&self, step: Option<&Map<String, Value>>) -> String {
        let Some(step) = step.filter(|step| !step.is_empty()) else { return self.config.clone() };
        let mut config = self.settings.config.clone();
        config.extend(step.iter().map(|(key, value)| (key.clone(), value.clone())));
        Value::Object(config).to_string()
    }
}

//! From a file to a version that can serve: read, checked, compiled, linked, asked what it is, and copied to a private place.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use jiff::SignedDuration;
use parking_lot::Mutex;
use serde_json::Value;
use wasmtime::Engine;

use super::answer::object;
use super::bindings::Description;
use super::code_cache::CodeCache;
use super::compile::{Compiler, Fault, Unfit, Waiting};
use super::contract::{ReversiblePre, StepPre};
use super::fetch::{self, Patience};
use super::guest_log::Speaker;
use super::inspect::{self, Contract, Flaw};
use super::registry::Layers;
use super::sandbox::Sandbox;
use super::schemas::{self, Schemas};
use super::settings::{Artifact, Source};
use super::signature::signed_by;
use super::slot::{Refusal, Slot, Version};
use super::source::{Whole, digest, off_thread, read_whole};
use super::text::tamed;
use super::{ActiveVersion, Compilation};
use crate::clock::Clock;

/// Between two tries at a file that seems to be written right now.
const BETWEEN_TRIES: Duration = Duration::from_millis(100);
/// Tries at such a file since it has grown last.
const MAX_TRIES: u32 = 20;
/// Tries at one that goes on growing: half a minute, as a slow link needs for a large file.
const MAX_TRIES_GROWING: u32 = 300;
/// Tries at a file that is not there: it may be being replaced.
const MAX_TRIES_MISSING: u32 = 3;
/// Compilations that are noted until somebody asks for them.
const MAX_COMPILATIONS: usize = 1_024;

/// What is in a component's file.
pub(super) enum Found {
    /// What serves already.
    Same,
    /// What was refused already.
    StillRefused,
    /// A version that can serve.
    Version(Arc<Version>),
    /// Something else.
    Refused(Refusal),
}

/// A component that is to be judged, with what came along with it.
struct Brought {
    bytes: Bytes,
    /// SHA-256 of it, in hex.
    digest: String,
    outline: inspect::Outline,
    /// The text of its signature; nobody asks for it where every file is taken.
    signature: Option<String>,
    /// Of what came from a registry just now, and how long the rest of it is waited for.
    layers: Option<(Layers, Patience)>,
}

/// What a look at a file has found.
enum Looked {
    /// What is known already: its digest says all there is to know.
    Known(Found),
    /// Something else.
    New { whole: Whole, outline: Result<inspect::Outline, Flaw>, signature: Option<String> },
}

/// Makes versions out of files.
pub(super) struct Loader {
    compiler: Compiler,
    /// Where copies are kept, if anywhere.
    kept: Option<Arc<CodeCache>>,
    sandbox: Arc<Sandbox>,
    clock: Clock,
    compilations: Mutex<Vec<Compilation>>,
}

impl Loader {
    /// Keeps code and copies in `kept`, if anywhere; has the hidden command `compiler` of `program` compile.
    pub fn new(program: PathBuf, engine: Engine, kept: Option<CodeCache>, sandbox: Arc<Sandbox>, clock: Clock) -> Self {
        let kept = kept.map(Arc::new);
        Self { compiler: Compiler::new(program, engine, kept.clone()), kept, sandbox, clock, compilations: Mutex::default() }
    }

    /// From now on runs are served beside what is compiled, and come first.
    pub fn stand_back(&self) {
        self.compiler.stand_back();
    }

    /// Somebody waits for what is compiled from now on, until the answer is dropped.
    pub fn awaited(&self) -> Waiting<'_> {
        self.compiler.awaited()
    }

    /// What was compiled since this was last asked.
    pub fn compilations(&self) -> Vec<Compilation> {
        std::mem::take(&mut self.compilations.lock())
    }

    fn note(&self, compilation: Compilation) {
        let mut compilations = self.compilations.lock();
        if compilations.len() < MAX_COMPILATIONS {
            compilations.push(compilation);
        }
    }

    /// Looks at the component's file, or at what its registry has. The caller holds the slot's turn.
    pub async fn look_at_file(&self, slot: &Slot) -> Found {
        self.look(slot, &Patience::unlimited()).await
    }

    /// The same, with so much time for what comes from a registry.
    pub async fn look_at_file_within(&self, slot: &Slot, limit: Duration) -> Found {
        self.look(slot, &Patience::of(limit)).await
    }

    async fn look(&self, slot: &Slot, patience: &Patience) -> Found {
        match &slot.settings.source {
            Source::File(path) => self.look_at(slot, path).await,
            Source::Registry(artifact) => self.look_at_artifact(slot, artifact, patience).await,
        }
    }

    async fn look_at(&self, slot: &Slot, path: &Path) -> Found {
        let (whole, outline, signature) = match self.read(slot, path).await {
            Ok(Looked::New { whole, outline, signature }) => (whole, outline, signature),
            Ok(Looked::Known(found)) => return found,
            Err((digest, reason)) => return refused(slot, digest, &reason, false),
        };
        match outline {
            Ok(outline) => self.made(slot, &Brought { bytes: whole.bytes, digest: whole.digest, outline, signature, layers: None }).await,
            Err(flaw) => refused(slot, Some(whole.digest), &flaw.reason, false),
        }
    }

    /// An artifact never changes, so what is known of it is not asked for again. What cannot be had now may be had later.
    async fn look_at_artifact(&self, slot: &Slot, artifact: &Artifact, patience: &Patience) -> Found {
        let layers = match patience.within(fetch::layers(&self.kept, artifact)).await {
            Ok(layers) => layers,
            Err(reason) => return refused(slot, None, &reason, false),
        };
        if let Some(known) = known(slot, &layers.digest) {
            return known;
        }
        let bytes = match patience.within(fetch::component(&self.kept, artifact, &layers)).await {
            Ok(bytes) => bytes,
            Err(reason) => return refused(slot, None, &reason, false),
        };
        let read = bytes.clone();
        let (digest, signature) = (layers.digest.clone(), layers.signature.clone());
        match off_thread(move || inspect::outline(&read)).await {
            Ok(Ok(outline)) => {
                self.made(slot, &Brought { bytes, digest, outline, signature, layers: Some((layers, patience.clone())) }).await
            }
            Ok(Err(flaw)) => refused(slot, Some(digest), &flaw.reason, false),
            Err(reason) => refused(slot, None, &reason, false),
        }
    }

    async fn made(&self, slot: &Slot, brought: &Brought) -> Found {
        let fits = match self.prepare(slot, brought).await {
            Ok(version) => self.check_name_before(slot, &version).await.map(|()| version).map_err(Unfit::from),
            Err(unfit) => Err(unfit),
        };
        match fits {
            Ok(version) => Found::Version(version),
            // What is not the file's fault is no judgement about the file: it is looked at again.
            Err(Unfit { reason, fault }) => {
                let digest = (fault != Fault::Machine).then(|| brought.digest.clone());
                refused(slot, digest, &reason, fault == Fault::Signature)
            }
        }
    }

    /// Judges bytes as if they were the component's file, and keeps a copy if they are good. The caller holds the slot's turn.
    ///
    /// # Errors
    /// Why the file would be refused.
    pub async fn judge(&self, slot: &Slot, bytes: Bytes, signature: Option<String>) -> Result<Arc<Version>, Unfit> {
        let (read, hashed) = (bytes.clone(), bytes.clone());
        let outline = off_thread(move || inspect::outline(&read)).await?.map_err(|flaw| flaw.reason)?;
        let digest = off_thread(move || digest(&hashed)).await?;
        let brought = Brought { bytes, digest, outline, signature, layers: None };
        let version = self.prepare(slot, &brought).await?;
        self.check_name_before(slot, &version).await?;
        Ok(version)
    }

    /// The text of the signature that the copy of a version was good with, if it is kept.
    pub async fn signature(&self, wanted: &str) -> Option<String> {
        let (kept, digest) = (self.kept.clone()?, wanted.to_owned());
        off_thread(move || kept.signature(&digest)).await.ok()?
    }

    /// The copy that is kept of a version.
    ///
    /// # Errors
    /// There is none, or it is not what its name says.
    pub async fn copy(&self, wanted: &str) -> Result<Bytes, String> {
        if wanted.len() != 64 || !wanted.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(format!("'{}' is no SHA-256 in hex", tamed(wanted, 80)));
        }
        let (kept, digest) = (self.kept.clone().ok_or("no copies are kept")?, wanted.to_owned());
        off_thread(move || kept.copy(&digest)).await?
    }

    /// Reads the file, its outline and its signature; waits a little if it is missing, or cut off and still warm, or warm and not signed as it
    /// has to be, and longer while it grows.
    async fn read(&self, slot: &Slot, path: &Path) -> Result<Looked, (Option<String>, String)> {
        let (mut tries, mut all_tries, mut part) = (1, 1, None);
        loop {
            match read_whole(path, &self.clock).await {
                Err(unreadable) if unreadable.missing && slot.serving().is_some() && tries < MAX_TRIES_MISSING => {}
                Err(unreadable) => return Err((None, unreadable.reason)),
                Ok(whole) => {
                    if let Some(known) = known(slot, &whole.digest) {
                        if matches!(known, Found::Version(_)) {
                            self.keep_again(slot, path, &whole).await;
                        }
                        return Ok(Looked::Known(known));
                    }
                    let bytes = whole.bytes.clone();
                    let outline = off_thread(move || inspect::outline(&bytes)).await.map_err(|reason| (None, reason))?;
                    let keys = &slot.settings.signatures.keys;
                    let signature = if keys.is_empty() { Ok(None) } else { fetch::signature(path).await };
                    let signature = signature.map_err(|reason| (None, reason))?;
                    if part.as_ref() != Some(&whole.digest) {
                        tries = 1;
                    }
                    let has_time = tries < MAX_TRIES && all_tries < MAX_TRIES_GROWING;
                    let lacks = match &outline {
                        Ok(_) => !keys.is_empty() && signed_by(keys, &whole.digest, signature.as_deref()).is_err(),
                        Err(flaw) => flaw.incomplete,
                    };
                    if !(whole.fresh && has_time && lacks) {
                        return Ok(Looked::New { whole, outline, signature });
                    }
                    part = Some(whole.digest);
                }
            }
            tries += 1;
            all_tries += 1;
            tokio::time::sleep(BETWEEN_TRIES).await;
        }
    }

    /// Writes the copy of a version that serves again, where it was removed meanwhile as one of many: a restart may need it.
    async fn keep_again(&self, slot: &Slot, path: &Path, whole: &Whole) {
        let Some(kept) = self.kept.clone().filter(|kept| !kept.has_copy(&whole.digest)) else { return };
        // It has gone with the copy.
        let signature = if slot.settings.signatures.keys.is_empty() { None } else { fetch::signature(path).await.ok().flatten() };
        if let Ok(Err(error)) = keep(kept, &whole.digest, &whole.bytes, signature).await {
            tracing::warn!(digest = whole.digest, %error, "a component that serves again cannot be copied: a restart with a bad file may not find it");
        }
    }

    /// A version from its private copy, for a restart with a bad file, or to go back.
    ///
    /// # Errors
    /// There is no copy, it is not what its name says, or it does not fit this host any more.
    pub async fn take_copy(&self, slot: &Slot, wanted: &str) -> Result<Arc<Version>, String> {
        let bytes = self.copy(wanted).await?;
        let outline = inspect::outline(&bytes).map_err(|flaw| format!("the copy of version {wanted} {}", flaw.reason))?;
        let signature = self.signature(wanted).await;
        let brought = Brought { bytes, digest: wanted.to_owned(), outline, signature, layers: None };
        self.prepare(slot, &brought).await.map_err(|unfit| format!("version {wanted} {}", unfit.reason))
    }

    /// The only way from bytes to a version: nothing is compiled before it is known who vouches for it.
    async fn prepare(&self, slot: &Slot, brought: &Brought) -> Result<Arc<Version>, Unfit> {
        let Brought { bytes, digest, outline, signature, layers } = brought;
        if let Some(expected) = slot.settings.expect.digest.as_deref().filter(|expected| expected != digest) {
            return Err(format!(
                "is another file: expected digest sha256:{expected}, the file has sha256:{digest}: put the right file there, or correct \
                 `expect.digest` of module '{}'",
                slot.settings.name
            )
            .into());
        }
        let keys = &slot.settings.signatures.keys;
        if !keys.is_empty() {
            signed_by(keys, digest, signature.as_deref()).map_err(Unfit::unsigned)?;
        }
        let misfits = inspect::misfits(outline, &slot.settings.name, &slot.settings.capabilities);
        if !misfits.is_empty() {
            return Err(misfits.join("; it ").into());
        }
        let began = Instant::now();
        // Nothing is fetched before it is awaited, which is when there is no code yet.
        let shipped = fetch::code(&slot.settings, layers.as_ref(), digest, self.compiler.fits());
        let (component, cached) = self.compiler.compile(bytes, digest, &slot.settings.signatures.compiled_keys, shipped).await?;
        self.note(Compilation { component: slot.settings.name.clone(), cached, took: began.elapsed() });
        let contract = outline.contract();
        let (pre, reversible) = link(slot, &component, outline).map_err(|error| {
            let why = tamed(&format!("{error:#}"), 500);
            let (version, file) = (contract.version(), contract.file());
            format!("does not fit the world `step` of millrace:step@{version}: {why}: rebuild it with {file} of this host")
        })?;
        let speaker = Speaker { component: slot.name(), digest: digest.as_str().into(), step: "describe".into(), ..Speaker::default() };
        let described = self
            .sandbox
            .describe(&pre, speaker, &slot.settings.limits)
            .await
            .map_err(|ended| format!("cannot say what it is: its `describe` {}", ended.text))?;
        let schemas = Schemas::of(&described).map_err(|reason| format!("cannot say what it is: its `describe` {reason}"))?;
        let [data_schema, answer_schema] = [&schemas.data, &schemas.answer].map(|schema| schema.as_ref().map(|schema| schema.text.clone()));
        let about = self.about(described, digest, bytes.len() as u64)?;
        let about = ActiveVersion { reversible: reversible.is_some(), contract, data_schema, answer_schema, ..about };
        self.check_name(slot, &about.name)?;
        check_given(slot, &about.config_schema)?;
        if let Some(kept) = self.kept.clone() {
            // One that nobody has asked for was not looked at, and must not take the place of one that was good.
            let signature = signature.clone().filter(|_| !keys.is_empty());
            let folder = kept.copies().to_owned();
            keep(kept, digest, bytes, signature)
                .await?
                .map_err(|error| Unfit::passing(format!("cannot be copied to '{}': {error}", folder.display())))?;
        }
        let (outline, schemas) = (Arc::new(outline.clone()), Arc::new(schemas));
        Ok(Arc::new(Version { digest: digest.as_str().into(), pre, reversible, outline, schemas, about }))
    }

    /// Whether a component that describes itself by this name is the one that its module expects.
    fn check_name(&self, slot: &Slot, found: &str) -> Result<(), String> {
        let Some(expected) = slot.settings.expect.name.as_deref().filter(|expected| *expected != found) else { return Ok(()) };
        Err(format!(
            "is another component: expected component '{expected}', the file describes itself as '{found}': put the right file there, or \
             correct `expect.name` of module '{}'",
            slot.settings.name
        ))
    }

    /// A module that does not say which component it expects gets the one that served before, in whatever version.
    ///
    /// # Errors
    /// It is another one.
    pub async fn check_name_before(&self, slot: &Slot, version: &Version) -> Result<(), String> {
        let expect = &slot.settings.expect;
        if expect.name.is_some() || expect.digest.is_some() {
            return Ok(());
        }
        let Some(before) = self.name_before(slot, &version.digest).await.filter(|before| *before != version.about.name) else {
            return Ok(());
        };
        let (found, module) = (&version.about.name, &slot.settings.name);
        Err(format!(
            "is another component: expected component '{before}', which served before, the file describes itself as '{found}': put the \
             right file there, or write `expect: {{name: {found}}}` in module '{module}' if it is meant"
        ))
    }

    /// What the version that serves calls itself, or the one that served in the process before this one.
    async fn name_before(&self, slot: &Slot, digest: &str) -> Option<String> {
        if let Some(serving) = slot.serving() {
            return Some(serving.about.name.clone());
        }
        let recorded = slot.recorded().filter(|recorded| recorded != digest)?;
        // Without its copy nobody knows.
        self.take_copy(slot, &recorded).await.ok().map(|version| version.about.name.clone())
    }

    fn about(&self, said: Description, digest: &str, size: u64) -> Result<ActiveVersion, String> {
        let schema = object("a config schema", &said.config_schema, &super::Limits::default())
            .map(Value::Object)
            .and_then(|schema| schemas::is_small("a config schema", &schema).and_then(|()| is_schema(&schema)).map(|()| schema))
            .map_err(|reason| format!("cannot say what it is: its `describe` {reason}"))?;
        Ok(ActiveVersion {
            digest: digest.to_owned(),
            size,
            name: tamed(&said.name, 128),
            version: tamed(&said.version, 64),
            summary: tamed(&said.summary, 512),
            contract: Contract::First,
            config_schema: schema,
            data_schema: None,
            answer_schema: None,
            reversible: false,
            since: self.clock.now(),
        })
    }

    /// Removes the oldest copies, and what belongs to none. The versions in `good` and the newest stay.
    pub async fn tidy(&self, good: HashSet<String>) {
        let Some(kept) = self.kept.clone() else { return };
        // What is newer may be being written.
        let before = SystemTime::from(self.clock.now() - SignedDuration::from_hours(1));
        let tidied = off_thread(move || kept.tidy(&good, before)).await;
        if let Ok(Err(error)) = tidied {
            tracing::warn!(%error, "old copies of components could not be removed");
        }
    }
}

/// Keeps a copy, and the signature that it is good with before it.
async fn keep(kept: Arc<CodeCache>, digest: &str, bytes: &Bytes, signature: Option<String>) -> Result<std::io::Result<()>, String> {
    let (digest, bytes) = (digest.to_owned(), bytes.clone());
    off_thread(move || {
        signature.map_or(Ok(()), |text| kept.keep_signature(&digest, &text))?;
        kept.keep_copy(&digest, &bytes)
    })
    .await
}

/// What is known already of the file with this digest.
fn known(slot: &Slot, digest: &str) -> Option<Found> {
    if slot.serves(digest) {
        return Some(Found::Same);
    }
    // The same file with another signature is another thing.
    if slot.refused().is_some_and(|refusal| refusal.digest.as_deref() == Some(digest) && !refusal.unsigned) {
        return Some(Found::StillRefused);
    }
    slot.ready(digest).map(Found::Version)
}

fn refused(slot: &Slot, digest: Option<String>, reason: &str, unsigned: bool) -> Found {
    Found::Refused(Refusal { digest, reason: format!("'{}' {reason}", slot.settings.source), unsigned })
}

/// Whether the component takes what its users give it, by its own schema: else each of their jobs would fail for good.
fn check_given(slot: &Slot, schema: &Value) -> Result<(), String> {
    // One that has patterns of another kind is for its author to read.
    let Some(validator) = schemas::reader(schema) else { return Ok(()) };
    let wrong: Vec<String> = slot
        .settings
        .given
        .iter()
        .filter_map(|given| {
            let config = Value::Object(given.config.clone());
            let error = validator.iter_errors(&config).next()?;
            let place = match error.instance_path().to_string() {
                place if place.is_empty() => String::new(),
                place => format!("/config{place}: "),
            };
            // Values may be secret.
            Some(format!("{} ({}{})", given.by, tamed(&place, 100), tamed(&error.masked_with("what is there").to_string(), 300)))
        })
        .collect();
    if wrong.is_empty() {
        return Ok(());
    }
    Err(format!(
        "does not take the configuration that it is given by {}: correct `config` of module '{}' or of the step, as its schema says \
         (`millrace check {}`)",
        wrong.join("; by "),
        slot.settings.name,
        slot.settings.source
    ))
}

/// Whether it is a JSON Schema; if not, why, as a clause.
fn is_schema(schema: &Value) -> Result<(), String> {
    jsonschema::meta::validate(schema).map_err(|error| {
        let (place, why) = (error.instance_path().to_string(), tamed(&error.to_string(), 200));
        let place = if place.is_empty() { String::new() } else { format!(" at {}", tamed(&place, 100)) };
        format!("answered with a config schema that is not a JSON Schema{place}: {why}: write it as https://json-schema.org describes, or `{{}}` for any config")
    })
}

/// What instances are made of; with the interface `settlement`, if the component exports it.
fn link(
    slot: &Slot,
    component: &wasmtime::component::Component,
    outline: &inspect::Outline,
) -> wasmtime::Result<(StepPre, Option<ReversiblePre>)> {
    let linked = slot.linker.instantiate_pre(component)?;
    let contract = outline.contract();
    let reversible = outline.is_reversible().then(|| ReversiblePre::new(contract, linked.clone())).transpose()?;
    Ok((StepPre::new(contract, linked)?, reversible))
}

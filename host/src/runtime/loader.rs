//! From a file to a version that can serve: read, checked, compiled, linked, asked what it is, and copied to a private place.

use std::collections::HashSet;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use jiff::SignedDuration;
use parking_lot::Mutex;
use serde_json::Value;

use super::answer::object;
use super::compile::Compiler;
use super::engine::Folders;
use super::guest::{Description, StepPre};
use super::guest_log::Speaker;
use super::inspect::{self, Flaw};
use super::sandbox::Sandbox;
use super::slot::{Refusal, Slot, Version};
use super::source::{Whole, digest, off_thread, read_whole};
use super::text::tamed;
use super::{ActiveVersion, Compilation};
use crate::clock::Clock;

/// Between two tries at a file that seems to be written right now.
const BETWEEN_TRIES: Duration = Duration::from_millis(100);
/// Tries at such a file since it has grown last.
const MOST_TRIES: u32 = 20;
/// Tries at one that goes on growing: half a minute, as a slow link needs for a large file.
const MOST_TRIES_GROWING: u32 = 300;
/// Tries at a file that is not there: it may be being replaced.
const MOST_TRIES_MISSING: u32 = 3;
/// Compilations that are noted until somebody asks for them.
const MOST_COMPILATIONS: usize = 1_024;
/// Versions whose files are kept to go back to.
const MOST_COPIES: usize = 32;

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

/// Makes versions out of files.
pub(super) struct Loader {
    compiler: Compiler,
    folders: Folders,
    sandbox: Arc<Sandbox>,
    clock: Clock,
    compilations: Mutex<Vec<Compilation>>,
}

impl Loader {
    /// Keeps its copies in `folders`.
    pub fn new(compiler: Compiler, folders: Folders, sandbox: Arc<Sandbox>, clock: Clock) -> Self {
        Self { compiler, folders, sandbox, clock, compilations: Mutex::default() }
    }

    /// What was compiled since this was last asked.
    pub fn compilations(&self) -> Vec<Compilation> {
        std::mem::take(&mut self.compilations.lock())
    }

    fn note(&self, compilation: Compilation) {
        let mut compilations = self.compilations.lock();
        if compilations.len() < MOST_COMPILATIONS {
            compilations.push(compilation);
        }
    }

    /// Looks at the component's file. The caller holds the slot's turn.
    pub async fn look_at_file(&self, slot: &Slot) -> Found {
        let source = slot.settings.source.display();
        let (whole, outline) = match self.look(slot).await {
            Ok(found) => found,
            Err((digest, reason)) => return Found::Refused(Refusal { digest, reason: format!("'{source}' {reason}") }),
        };
        if slot.serves(&whole.digest) {
            return Found::Same;
        }
        if slot.refused().is_some_and(|refusal| refusal.digest.as_ref() == Some(&whole.digest)) {
            return Found::StillRefused;
        }
        if let Some(ready) = slot.ready(&whole.digest) {
            return Found::Version(ready);
        }
        let made = match outline {
            Ok(outline) => self.prepare(slot, &whole.bytes, &whole.digest, &outline).await,
            Err(flaw) => Err(flaw.reason),
        };
        match made {
            Ok(version) => Found::Version(version),
            Err(reason) => Found::Refused(Refusal { digest: Some(whole.digest), reason: format!("'{source}' {reason}") }),
        }
    }

    /// Reads the file and its outline; waits a little if it is missing, or cut off and still warm, and longer while it grows.
    async fn look(&self, slot: &Slot) -> Result<(Whole, Result<inspect::Outline, Flaw>), (Option<String>, String)> {
        let (mut tries, mut all_tries, mut part) = (1, 1, None);
        loop {
            match read_whole(&slot.settings.source, &self.clock).await {
                Err(unreadable) if unreadable.missing && slot.serving().is_some() && tries < MOST_TRIES_MISSING => {}
                Err(unreadable) => return Err((None, unreadable.reason)),
                Ok(whole) => {
                    let bytes = whole.bytes.clone();
                    let outline = off_thread(move || inspect::outline(&bytes)).await.map_err(|reason| (None, reason))?;
                    if part.as_ref() != Some(&whole.digest) {
                        tries = 1;
                    }
                    let has_time = tries < MOST_TRIES && all_tries < MOST_TRIES_GROWING;
                    let may_grow = whole.fresh && has_time && outline.as_ref().is_err_and(|flaw| flaw.incomplete);
                    if !may_grow {
                        return Ok((whole, outline));
                    }
                    part = Some(whole.digest);
                }
            }
            tries += 1;
            all_tries += 1;
            tokio::time::sleep(BETWEEN_TRIES).await;
        }
    }

    /// A version from its private copy, for a restart with a bad file, or to go back.
    ///
    /// # Errors
    /// There is no copy, it is not what its name says, or it does not fit this host any more.
    pub async fn take_copy(&self, slot: &Slot, wanted: &str) -> Result<Arc<Version>, String> {
        if wanted.len() != 64 || !wanted.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(format!("'{}' is no SHA-256 in hex", tamed(wanted, 80)));
        }
        let path = self.copy_of(wanted);
        let read = off_thread(move || std::fs::read(path)).await?;
        let bytes = Bytes::from(read.map_err(|error| format!("there is no copy of version {wanted}: {error}"))?);
        if digest(&bytes) != wanted {
            return Err(format!("the copy of version {wanted} was changed"));
        }
        let outline = inspect::outline(&bytes).map_err(|flaw| format!("the copy of version {wanted} {}", flaw.reason))?;
        self.prepare(slot, &bytes, wanted, &outline).await.map_err(|reason| format!("version {wanted} {reason}"))
    }

    async fn prepare(&self, slot: &Slot, bytes: &Bytes, digest: &str, outline: &inspect::Outline) -> Result<Arc<Version>, String> {
        let misfits = inspect::misfits(outline, &slot.settings.name, &slot.settings.capabilities);
        if !misfits.is_empty() {
            return Err(misfits.join("; it "));
        }
        let began = Instant::now();
        let (component, cached) = self.compiler.compile(bytes, digest).await?;
        self.note(Compilation { component: slot.settings.name.clone(), cached, took: began.elapsed() });
        let linked = slot.linker.instantiate_pre(&component).and_then(StepPre::new);
        let pre = linked.map_err(|error| {
            let why = tamed(&format!("{error:#}"), 500);
            format!("does not fit the world `step` of millrace:step@0.1.0: {why}: rebuild it with wit/step.wit of this host")
        })?;
        let speaker = Speaker { component: slot.name(), digest: digest.into(), step: "describe".into(), ..Speaker::default() };
        let described = self
            .sandbox
            .describe(&pre, speaker, &slot.settings.limits)
            .await
            .map_err(|ended| format!("cannot say what it is: its `describe` {}", ended.text))?;
        let about = self.about(described, digest, bytes.len() as u64)?;
        let (path, kept) = (self.copy_of(digest), bytes.clone());
        off_thread(move || keep(&path, &kept))
            .await?
            .map_err(|error| format!("cannot be copied to '{}': {error}", self.folders.copies.display()))?;
        Ok(Arc::new(Version { digest: digest.into(), pre, about }))
    }

    fn about(&self, said: Description, digest: &str, size: u64) -> Result<ActiveVersion, String> {
        let schema = object("a config schema", &said.config_schema, &super::Limits::default())
            .map_err(|reason| format!("cannot say what it is: its `describe` {reason}"))?;
        Ok(ActiveVersion {
            digest: digest.to_owned(),
            size,
            name: tamed(&said.name, 128),
            version: tamed(&said.version, 64),
            summary: tamed(&said.summary, 512),
            config_schema: Value::Object(schema),
            since: self.clock.now(),
        })
    }

    /// Removes the oldest copies, and what belongs to none. The versions in `good` and the newest stay.
    pub async fn tidy(&self, good: HashSet<String>) {
        let folder = self.folders.copies.clone();
        // What is newer may be being written.
        let before = SystemTime::from(self.clock.now() - SignedDuration::from_hours(1));
        let tidied = off_thread(move || tidy(&folder, &good, before)).await;
        if let Ok(Err(error)) = tidied {
            tracing::warn!(%error, "old copies of components could not be removed");
        }
    }

    fn copy_of(&self, digest: &str) -> PathBuf {
        self.folders.copies.join(format!("{digest}.wasm"))
    }
}

fn tidy(folder: &Path, good: &HashSet<String>, before: SystemTime) -> std::io::Result<()> {
    let digest_of =
        |path: &Path| path.file_name().and_then(|name| name.to_str()).and_then(|name| name.split('.').next()).map(str::to_owned);
    let mut copies = Vec::new();
    let mut others = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let Ok(modified) = path.metadata().and_then(|metadata| metadata.modified()) else { continue };
        if path.extension().is_some_and(|extension| extension == "wasm") {
            copies.push((modified, path))
        } else {
            others.push((modified, path))
        }
    }
    copies.sort_unstable_by(|a, b| b.cmp(a));
    let (newest, oldest) = copies.split_at(copies.len().min(MOST_COPIES));
    let mut kept: HashSet<String> = newest.iter().filter_map(|(_, path)| digest_of(path)).collect();
    kept.extend(good.iter().cloned());
    let old = oldest.iter().chain(&others).filter(|(modified, _)| *modified < before);
    for (_, path) in old.filter(|(_, path)| digest_of(path).is_none_or(|digest| !kept.contains(&digest))) {
        std::fs::remove_file(path)?;
    }
    Ok(())
}

/// Writes a copy that is there as a whole or not at all. Two components may have the same file, so each writes a part of its own.
fn keep(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let part = path.with_extension(format!("{}.part", uuid::Uuid::now_v7().simple()));
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&part, path)
}

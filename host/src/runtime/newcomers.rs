//! Components that no config has yet: judged and tried with nothing granted, and put where a config can name them.
//!
//! They are known by name until the process ends or a config has the name; nothing ever runs them but a trial.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use bytes::Bytes;

use super::candidates;
use super::components::{Runtime, Unlinked, slot};
use super::slot::Slot;
use super::source::{digest, off_thread};
use super::{ActiveVersion, ComponentSettings, Source};
use crate::durable;

/// Components that are known at once; of more, those whose names come first are forgotten.
const MAX_NEWCOMERS: usize = 16;
/// They have no place among the components that run.
const NO_PLACE: usize = usize::MAX;

impl Runtime {
    /// Judges a file as that of a component which the config does not have yet, with nothing granted. A good one is kept by its digest, and can be
    /// tried. `place` is where its file will be.
    ///
    /// # Errors
    /// The config has a component of this name; the file would be refused, and why.
    pub async fn introduce(&self, name: &str, place: PathBuf, file: Bytes) -> anyhow::Result<ActiveVersion> {
        anyhow::ensure!(!self.is_named(name), "the config has a component '{name}' already: upload a version of it");
        let settings = ComponentSettings::unconfigured(name.to_owned(), Source::File(place));
        let slot = match slot(settings, NO_PLACE, &self.services, self.sandbox.engine()) {
            Ok(slot) => Arc::new(slot),
            Err(Unlinked::Grants(found)) => bail!("{}", found.join("; ")),
            Err(Unlinked::Other(error)) => return Err(error),
        };
        let judged = self.loader.judge(&slot, file, None).await;
        self.tidy().await;
        let version = judged.map_err(candidates::refusal)?;
        let mut newcomers = self.newcomers.lock();
        newcomers.retain(|known, _| !self.is_named(known));
        newcomers.insert(name.to_owned(), slot);
        while newcomers.len() > MAX_NEWCOMERS {
            let other = newcomers.keys().find(|known| *known != name).cloned();
            other.iter().for_each(|known| drop(newcomers.remove(known)));
        }
        Ok(version.about.clone())
    }

    /// Writes the kept copy of a component that was [introduced](Self::introduce) where its file will be, and says where that is. A file that is there
    /// and is another one is left as it is, and so is the place of a component that the config has, whether its file is there or not.
    ///
    /// # Errors
    /// There is no such component or copy, the place is another one's, another file is there, or it cannot be written.
    pub async fn put_newcomer_in_place(&self, name: &str, wanted: &str) -> anyhow::Result<PathBuf> {
        let slot =
            self.newcomer(name).with_context(|| format!("no component '{name}' was uploaded since the process began: upload it again"))?;
        let place = slot.settings.source.file().context("it has no file")?.to_owned();
        // Asked for first: nothing is made for a version that nobody has uploaded.
        let bytes = self.loader.copy(wanted).await.map_err(|reason| anyhow!(reason))?;
        let owners = self.slots().into_iter().filter_map(|slot| Some((slot.name(), slot.settings.source.file()?.to_owned()))).collect();
        let (written, wanted) = (place.clone(), wanted.to_owned());
        off_thread(move || settle(&written, &wanted, &bytes, owners)).await.map_err(|reason| anyhow!(reason))??;
        Ok(place)
    }

    /// Whether a version of a component of this name can be tried.
    #[must_use]
    pub fn may_try(&self, name: &str) -> bool {
        self.is_named(name) || self.newcomer(name).is_some()
    }

    /// A component that was introduced, and which the config still does not have.
    pub(super) fn newcomer(&self, name: &str) -> Option<Arc<Slot>> {
        self.newcomers.lock().get(name).filter(|_| !self.is_named(name)).cloned()
    }

    /// A component of the config, or one that was introduced.
    pub(super) fn slot_or_newcomer(&self, name: &str) -> anyhow::Result<Arc<Slot>> {
        self.newcomer(name).map_or_else(|| self.slot(name), Ok)
    }
}

/// Writes a new component's file, unless the place is that of one of `owners`, or has another file.
fn settle(place: &Path, wanted: &str, bytes: &[u8], owners: Vec<(Arc<str>, PathBuf)>) -> anyhow::Result<()> {
    let folder = place.parent().context("it has no folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder '{}'", folder.display()))?;
    let here = whereabouts(place);
    if let Some((owner, _)) = owners.iter().find(|(_, file)| whereabouts(file) == here) {
        bail!("the config has '{}' as the file of its component '{owner}': give the new component another name", place.display());
    }
    if is_there(place, wanted)? {
        return Ok(());
    }
    match durable::write_new(place, &[bytes]) {
        Ok(()) => Ok(()),
        // Somebody was faster, or it is a link to nothing.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && is_there(place, wanted)? => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(another(place)),
        // Where a file system knows no second name of a file.
        Err(_) => durable::write(place, &[bytes], durable::Sync::Yes).with_context(|| format!("cannot write '{}'", place.display())),
    }
}

/// Whether this version is there already.
fn is_there(place: &Path, wanted: &str) -> anyhow::Result<bool> {
    match fs::read(place) {
        Ok(there) if digest(&there) == wanted => Ok(true),
        Ok(_) => Err(another(place)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => bail!("cannot read '{}': {error}", place.display()),
    }
}

fn another(place: &Path) -> anyhow::Error {
    anyhow!("there is another file at '{}': give the component another name, or remove that file", place.display())
}

/// Where a file is or would be, by whatever way it is named.
fn whereabouts(file: &Path) -> PathBuf {
    file.canonicalize().unwrap_or_else(|_| {
        let folder = file.parent().and_then(|folder| folder.canonicalize().ok());
        folder.zip(file.file_name()).map_or_else(|| file.to_owned(), |(folder, name)| folder.join(name))
    })
}

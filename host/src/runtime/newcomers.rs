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
        let version = self.loader.judge(&slot, file, None).await.map_err(candidates::refusal)?;
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
    /// and is another one is left as it is.
    ///
    /// # Errors
    /// There is no such component or copy, another file is there, or it cannot be written.
    pub async fn put_newcomer_in_place(&self, name: &str, wanted: &str) -> anyhow::Result<PathBuf> {
        let slot =
            self.newcomer(name).with_context(|| format!("no component '{name}' was uploaded since the process began: upload it again"))?;
        let place = slot.settings.source.file().context("it has no file")?.to_owned();
        // Asked for first: nothing is made for a version that nobody has uploaded.
        self.loader.copy(wanted).await.map_err(|reason| anyhow!(reason))?;
        let (looked, wanted_there) = (place.clone(), wanted.to_owned());
        off_thread(move || make_room(&looked, &wanted_there)).await.map_err(|reason| anyhow!(reason))??;
        self.put_in_place(name, wanted).await?;
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

fn make_room(place: &Path, wanted: &str) -> anyhow::Result<()> {
    match fs::read(place) {
        Ok(there) => anyhow::ensure!(
            digest(&there) == wanted,
            "there is another file at '{}': give the component another name, or remove that file",
            place.display()
        ),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => bail!("cannot read '{}': {error}", place.display()),
    }
    let folder = place.parent().context("it has no folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder '{}'", folder.display()))
}

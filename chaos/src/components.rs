//! Files of components: as they were built, with another digest, and broken.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};

use crate::schedule::Version;

/// The folder that the program takes its components from, and where those come from.
pub struct Components {
    built: PathBuf,
    folder: PathBuf,
}

/// Name of a file that the program reads, and of the built one that is copied there.
const FILES: [(&str, &str); 4] = [("inventory", "inventory"), ("payment", "payment-bank"), ("shipping", "shipping"), ("notify", "notify")];

impl Components {
    /// All good ones, in `folder`.
    pub fn install(built: &Path, folder: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(folder)?;
        let components = Self { built: built.to_owned(), folder: folder.to_owned() };
        components.restore()?;
        Ok(components)
    }

    /// Every file as it was built.
    pub fn restore(&self) -> anyhow::Result<()> {
        FILES.iter().try_for_each(|(name, _)| self.put(name, &self.original(name)?))
    }

    /// Replaces a file. Half of one is written in its place, as somebody does who copies; the others appear at once.
    pub fn swap(&self, name: &str, version: Version) -> anyhow::Result<()> {
        let original = self.original(name)?;
        match version {
            Version::Good(number) => self.put(name, &marked(original, number)),
            Version::Foreign => self.put(name, &self.original(if name == "shipping" { "notify" } else { "shipping" })?),
            Version::Half => Ok(fs::write(self.path(name), &original[..original.len() / 2])?),
            Version::Garbage => self.put(name, b"\0asm this is none"),
        }
    }

    /// Digests of every file that may ever serve as the component of that name.
    pub fn good(&self, name: &str) -> anyhow::Result<BTreeSet<String>> {
        let original = self.original(name)?;
        let marked = (0..=250).map(|number| marked(original.clone(), number));
        Ok(std::iter::once(original.clone()).chain(marked).map(|bytes| digest(&bytes)).collect())
    }

    fn put(&self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let unfinished = self.folder.join(format!("{name}.unfinished"));
        fs::write(&unfinished, bytes)?;
        fs::rename(&unfinished, self.path(name))?;
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.wasm"))
    }

    fn original(&self, name: &str) -> anyhow::Result<Vec<u8>> {
        let file = FILES.iter().find(|(file, _)| *file == name).map_or(name, |(_, built)| built);
        let path = self.built.join(format!("{file}.wasm"));
        fs::read(&path).with_context(|| format!("{} is missing: cargo xtask build --fixtures", path.display()))
    }
}

/// The same component and one custom section more, which changes its digest and nothing that it does.
fn marked(mut bytes: Vec<u8>, number: u8) -> Vec<u8> {
    // Of a section: its kind (0), the length of all that follows, the length of its name, the name, anything.
    bytes.extend([0, 7, 5]);
    bytes.extend(b"chaos");
    bytes.push(number);
    bytes
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

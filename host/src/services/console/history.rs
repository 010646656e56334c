//! The texts that the config of a process had, each with who has saved it and why: one file each, whole or not there.

use std::io;
use std::path::PathBuf;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::durable;

/// Texts that are kept; of more the oldest goes.
const MOST: usize = 50;

/// A text that the config had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "SavedConfig")]
pub struct Saved {
    /// Counts up with each.
    pub number: u64,
    /// When it was saved, or found in the file.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub at: Timestamp,
    /// Id of who has saved it; `file` of one that was found in the file, where somebody has written it by hand.
    pub who: String,
    /// Why.
    pub reason: String,
    /// SHA-256 of the text, in hex.
    pub digest: String,
}

/// The texts that the config had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "ConfigHistory")]
pub struct HistoryBody {
    /// The newest first. One that could not be put in its place because the process ended is there as well.
    pub items: Vec<Saved>,
    /// Digest of what the file says now.
    pub current: String,
}

/// A text that the config had, to be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "SavedConfigText")]
pub struct SavedText {
    /// Which.
    #[serde(flatten)]
    pub saved: Saved,
    /// The text, with secrets blotted out.
    pub text: String,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    #[serde(flatten)]
    saved: Saved,
    text: String,
}

/// Where these texts are kept. Blocks.
#[derive(Debug, Clone)]
pub struct History {
    folder: PathBuf,
}

impl History {
    /// In this folder, which is made with the first text.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// All of them, the newest first. Files that are none of them are passed over.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn list(&self) -> io::Result<Vec<Saved>> {
        Ok(self.numbers()?.into_iter().rev().filter_map(|number| Some(self.kept(number)?.saved)).collect())
    }

    /// The newest text of this digest.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn find(&self, digest: &str) -> io::Result<Option<(Saved, String)>> {
        let found = self.numbers()?.into_iter().rev().filter_map(|number| self.kept(number)).find(|kept| kept.saved.digest == digest);
        Ok(found.map(|kept| (kept.saved, kept.text)))
    }

    /// Adds one, durably, and forgets the oldest if there are too many. Answers its number.
    ///
    /// # Errors
    /// What the system says.
    pub fn add(&self, mut saved: Saved, text: &str) -> io::Result<Saved> {
        durable::make_folder(&self.folder)?;
        let numbers = self.numbers()?;
        saved.number = numbers.last().map_or(1, |last| last + 1);
        let kept = Kept { saved, text: text.to_owned() };
        durable::write(&self.file(kept.saved.number), &[&serde_json::to_vec(&kept)?], durable::Sync::Yes)?;
        for old in numbers.iter().take((numbers.len() + 1).saturating_sub(MOST)) {
            std::fs::remove_file(self.file(*old))?;
        }
        Ok(kept.saved)
    }

    /// Takes one back that was not put in its place.
    pub fn remove(&self, number: u64) {
        if let Err(error) = std::fs::remove_file(self.file(number)) {
            tracing::warn!(%error, number, "a text that was not saved stays in the history of the config");
        }
    }

    fn file(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:010}.json"))
    }

    fn kept(&self, number: u64) -> Option<Kept> {
        serde_json::from_slice(&std::fs::read(self.file(number)).ok()?).ok()
    }

    /// Ascending.
    fn numbers(&self) -> io::Result<Vec<u64>> {
        let entries = match std::fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut numbers = Vec::new();
        for entry in entries {
            let name = entry?.file_name();
            numbers.extend(name.to_str().and_then(|name| name.strip_suffix(".json")?.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_texts_are_kept_and_found_by_their_digest() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::new(folder.path().join("configs"));
        assert_eq!(history.list().unwrap(), []);
        for number in 0..MOST + 3 {
            let saved = Saved {
                number: 0,
                at: Timestamp::UNIX_EPOCH,
                who: "dora".into(),
                reason: "a test".into(),
                digest: format!("d{}", number % 40),
            };
            history.add(saved, &format!("text {number}")).unwrap();
        }
        let all = history.list().unwrap();
        assert_eq!((all.len(), all[0].number, all[MOST - 1].number), (MOST, 53, 4));
        let (saved, text) = history.find("d12").unwrap().unwrap();
        assert_eq!((saved.number, text.as_str()), (53, "text 52"), "the newest of them");
        history.remove(53);
        assert_eq!(history.find("d12").unwrap().unwrap().1, "text 12");
        std::fs::write(folder.path().join("configs/0000000099.json"), "{half").unwrap();
        assert_eq!(history.list().unwrap()[0].number, 52);
        assert!(history.find("none").unwrap().is_none());
    }
}

//! Merge keys: `<<: *base` brings the keys of another mapping, or of several in a list, as far as they are not given.

use std::collections::HashSet;

use super::node::{Content, Entry};
use crate::config::finding::Span;

/// How it is written.
pub(super) const KEY: &str = "<<";

/// Puts what merge keys name in their place, each entry with the position where it is written. What is given beside it wins, then what is named
/// first. Answers too where something is named that has no keys.
pub(super) fn resolve(entries: Vec<Entry>) -> (Vec<Entry>, Vec<Span>) {
    let (merges, mut merged): (Vec<Entry>, Vec<Entry>) = entries.into_iter().partition(|entry| entry.merges);
    let mut wrong = Vec::new();
    let mut given: HashSet<String> = merged.iter().map(|entry| entry.key.clone()).collect();
    for entry in merges {
        let sources = match entry.value.content {
            Content::Sequence(items) => items,
            _ => vec![entry.value],
        };
        for source in sources {
            match source.content {
                Content::Mapping(entries) => merged.extend(entries.into_iter().filter(|entry| given.insert(entry.key.clone()))),
                _ => wrong.push(source.span),
            }
        }
    }
    (merged, wrong)
}

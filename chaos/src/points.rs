//! The places where the program can be made to kill itself, and the bugs that can be planted in it, as its source names them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

/// Names of all crash points below `repository/host/src`.
pub fn crash_points(repository: &Path) -> anyhow::Result<Vec<String>> {
    named(repository, "crash_point!(\"")
}

/// Names of all bugs that can be planted.
pub fn planted_bugs(repository: &Path) -> anyhow::Result<Vec<String>> {
    named(repository, "planted(\"")
}

/// What stands between `before` and the next quotation mark. Each name is there once; one of the store, once in each back end.
fn named(repository: &Path, before: &str) -> anyhow::Result<Vec<String>> {
    let mut folders = vec![repository.join("host/src")];
    let mut places: BTreeMap<String, Vec<Option<PathBuf>>> = BTreeMap::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path)?;
                for name in text.split(before).skip(1).filter_map(|rest| rest.split('"').next()) {
                    let back_end = folder.parent().filter(|store| store.ends_with("store")).map(|_| folder.clone());
                    let before = places.entry(name.to_owned()).or_default();
                    let is_another = back_end.is_some() && before.iter().all(|one| one.is_some() && *one != back_end);
                    ensure!(before.is_empty() || is_another, "{name} is there twice, the second time in {}", path.display());
                    before.push(back_end);
                }
            }
        }
    }
    Ok(places.into_keys().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository")
    }

    #[test]
    fn the_page_names_every_crash_point_and_every_planted_bug() {
        let page = fs::read_to_string(repository().join("docs/durability.md")).expect("the page");
        let points = crash_points(repository()).expect("the source");
        let bugs = planted_bugs(repository()).expect("the source");
        assert!(points.len() > 10 && bugs.len() > 5, "{points:?} {bugs:?}");
        let missing: Vec<&String> = points.iter().chain(&bugs).filter(|name| !page.contains(&format!("`{name}`"))).collect();
        assert!(missing.is_empty(), "docs/durability.md does not name {missing:?}");
    }
}

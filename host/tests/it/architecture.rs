//! The borders inside the host, which the compiler does not enforce.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::test_app::repository;

/// What each part may use of its siblings; `main`, `commands` and `app` put everything together and may use all.
const MAY_USE: &[(&str, &[&str])] = &[
    ("clock", &[]),
    ("shutdown", &[]),
    ("tasks", &["shutdown"]),
    ("telemetry", &["clock"]),
    ("store", &["clock"]),
    ("bus", &["clock", "shutdown"]),
    ("runtime", &["clock", "shutdown"]),
    ("plan", &["runtime"]),
    ("config", &["plan", "runtime"]),
    ("services", &["plan", "store", "bus", "runtime", "telemetry", "clock", "shutdown", "tasks"]),
    ("http", &["plan", "services", "telemetry", "clock", "shutdown"]),
];

/// Crates that only one part may name.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("rusqlite", &["store"]),
    ("wasmtime", &["runtime"]),
    ("wasmparser", &["runtime"]),
    ("rdkafka", &["bus"]),
    ("axum", &["http"]),
    ("opentelemetry", &["telemetry"]),
    ("saphyr", &["config"]),
    ("ratatui", &["commands"]),
    ("clap", &["main", "commands", "telemetry"]),
];

fn sources() -> Vec<(PathBuf, String)> {
    let root = repository().join("host/src");
    let mut folders = vec![root.clone()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                files.push((path.strip_prefix(&root).unwrap().to_owned(), text));
            }
        }
    }
    assert!(files.len() > 50, "{} files", files.len());
    files
}

fn part(path: &Path) -> String {
    path.components().next().unwrap().as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned()
}

/// The text without comments.
fn code(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

#[test]
fn parts_use_only_the_parts_they_may() {
    let rules: BTreeMap<&str, &[&str]> = MAY_USE.iter().copied().collect();
    let parts: Vec<&str> = rules.keys().copied().chain(["app", "commands"]).collect();
    let mut broken = Vec::new();
    for (path, text) in sources() {
        let part = part(&path);
        let Some(allowed) = rules.get(part.as_str()) else { continue };
        let text = code(&text);
        for other in parts.iter().filter(|other| **other != part && !allowed.contains(other)) {
            if text.contains(&format!("crate::{other}::")) || text.contains(&format!("crate::{other};")) {
                broken.push(format!("{} uses crate::{other}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn each_foreign_crate_is_named_in_its_own_part_only() {
    let mut broken = Vec::new();
    for (path, text) in sources() {
        let (part, text) = (part(&path), code(&text));
        for (name, parts) in ONLY_IN {
            if !parts.contains(&part.as_str()) && (text.contains(&format!("{name}::")) || text.contains(&format!("use {name}"))) {
                broken.push(format!("{} names {name}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn nothing_is_due_by_a_date_that_can_be_set() {
    let mut found = Vec::new();
    for (path, text) in sources() {
        let text = code(&text);
        let lines = text.lines().enumerate();
        let dated = lines.filter(|(_, line)| (line.contains("due_at") || line.contains("later(")) && line.contains("clock.now()"));
        found.extend(dated.map(|(number, line)| format!("{}:{}: {}", path.display(), number + 1, line.trim())));
    }
    assert!(found.is_empty(), "what waits is counted by `Clock::steady`: {found:#?}");
}

#[test]
fn nothing_but_the_shop_knows_what_an_order_is() {
    let mut found = Vec::new();
    for (path, text) in sources() {
        if path.starts_with("services/shop") {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let line = line.to_lowercase().replace("order by", "").replace("ordering", "").replace("unordered", "");
            if line.contains("order") && !line.contains("shop") {
                found.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn no_file_grows_beyond_what_can_be_read_at_once() {
    let long: Vec<_> = sources().into_iter().map(|(path, text)| (path, text.lines().count())).filter(|(_, lines)| *lines > 700).collect();
    assert!(long.is_empty(), "{long:?}");
}

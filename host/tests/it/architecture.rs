//! The borders inside the host, which the compiler does not enforce.

mod imports;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::test_app::repository;

/// What each part may use of its siblings; `main`, `commands` and `app` put everything together and may use all.
const MAY_USE: &[(&str, &[&str])] = &[
    ("between", &["tasks"]),
    ("clock", &[]),
    ("durable", &[]),
    ("memory", &[]),
    ("faults", &["config"]),
    ("shutdown", &[]),
    ("proxies", &[]),
    ("text", &[]),
    ("templates", &[]),
    ("threads", &[]),
    ("tasks", &["shutdown"]),
    ("pulse", &["shutdown"]),
    ("telemetry", &["clock", "proxies"]),
    ("store", &["clock", "durable", "faults", "text"]),
    ("bus", &["clock", "faults", "shutdown"]),
    ("runtime", &["between", "clock", "durable", "memory", "shutdown", "threads"]),
    ("plan", &["bus", "runtime", "store"]),
    ("config", &["bus", "plan", "proxies", "runtime", "store"]),
    (
        "services",
        &["between", "faults", "plan", "store", "bus", "runtime", "telemetry", "clock", "durable", "shutdown", "tasks", "pulse", "text"],
    ),
    ("http", &["between", "durable", "plan", "services", "telemetry", "templates", "clock", "shutdown", "tasks", "text"]),
];

/// Crates that only one part may name.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("rusqlite", &["store"]),
    ("sqlx", &["store"]),
    ("wasmtime", &["runtime"]),
    ("oci_client", &["runtime"]),
    // What makes a component looks at the module that it is made of.
    ("wasmparser", &["runtime", "commands"]),
    ("rdkafka", &["bus"]),
    ("axum", &["http"]),
    ("opentelemetry", &["telemetry"]),
    // `millrace top` reads what others have counted, with `prometheus_parse`.
    ("prometheus", &["telemetry", "commands"]),
    ("saphyr", &["config"]),
    ("ratatui", &["commands"]),
    ("clap", &["main", "commands", "telemetry"]),
];

/// What only these files may do, and how that is written.
const ONLY_BY: &[(&str, &[&str], &[&str])] = &[
    ("spawns tasks", &["JoinSet", "TaskTracker", "LocalSet", "spawn_local", "spawn_on", "spawn_pinned", "Handle::current"], &["tasks.rs"]),
    (
        "blocks threads",
        &["spawn_blocking", "block_in_place"],
        &[
            "bus/kafka/consumer.rs",
            "bus/kafka/dead_letters.rs",
            "bus/kafka/mod.rs",
            "bus/kafka/topics.rs",
            "runtime/source.rs",
            "services/operations/archive.rs",
            "services/users/passwords.rs",
            "store/sqlite/readers.rs",
        ],
    ),
    (
        "uses the environment",
        &["env::var", "env::vars", "var_os", "vars_os", "set_var", "remove_var", "from_env", "from_default_env", "try_from_env"],
        &["config/env.rs"],
    ),
    ("asks what time it is", &["SystemTime::now", "Timestamp::now", "Zoned::now", "Utc::now", "OffsetDateTime::now_utc"], &["clock.rs"]),
];

/// Files with a `spawn` that is none of a task: threads of their own, which go on when no task does, and a child process.
const SPAWN_NO_TASKS: &[&str] = &[
    "store/sqlite/writer.rs",
    "store/sqlite/check.rs",
    "store/postgres/mod.rs",
    "runtime/engine.rs",
    "runtime/compile.rs",
    "commands/signals.rs",
    "threads.rs",
    "clock/watch.rs",
    "telemetry/lines.rs",
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

/// The places in a text where these words are written, and not as a part of longer ones.
fn occurrences<'a>(text: &'a str, words: &'a str) -> impl Iterator<Item = usize> {
    let goes_on = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(words).map(|(at, _)| at).filter(move |at| {
        !text[..*at].chars().next_back().is_some_and(goes_on) && !text[at + words.len()..].chars().next().is_some_and(goes_on)
    })
}

/// What a file does that is the business of others.
fn trespasses(path: &str, text: &str) -> Vec<String> {
    let text = code(text);
    let mut found = Vec::new();
    for (what, words, files) in ONLY_BY.iter().filter(|(_, _, files)| !files.contains(&path)) {
        let written = words.iter().filter(|words| occurrences(&text, words).next().is_some());
        found.extend(written.map(|words| format!("{path} {what} ({words}), which only {} may", files.join(", "))));
    }
    if path != "tasks.rs" && !SPAWN_NO_TASKS.contains(&path) {
        let by_tasks = |at: usize| text[..at].trim_end().strip_suffix('.').is_some_and(|before| before.trim_end().ends_with("tasks"));
        let spawns = occurrences(&text, "spawn").chain(occurrences(&text, "spawn_long")).filter(|at| !by_tasks(*at));
        found.extend(spawns.map(|at| format!("{path} spawns by itself: {}", text[at..].lines().next().unwrap_or_default())));
    }
    found
}

#[test]
fn tasks_threads_environment_and_time_have_one_place_each() {
    let found: Vec<String> = sources().iter().flat_map(|(path, text)| trespasses(&path.display().to_string(), text)).collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn no_way_round_the_one_place_goes_unseen() {
    for text in [
        "let handle = tokio::spawn(async {});",
        "use tokio::spawn;",
        "tokio::task::spawn(work)",
        "let mut open = JoinSet::new();",
        "open.spawn(async move { serve().await });",
        "fn finish(writes: &TaskTracker) {}",
        "writes\n    .spawn(work)",
        "tokio::runtime::Handle::current().spawn(work)",
        "spawn_long(\"name\", work)",
        "std::thread::spawn(|| {})",
        "tokio::task::spawn_blocking(work)",
        "std::env::var(\"HOME\")",
        "env::vars()",
        "use std::env::{var_os, vars_os};",
        "for (name, value) in std::env::vars_os() {}",
        "EnvFilter::from_default_env()",
        "std::time::SystemTime::now()",
        "Timestamp::now()",
    ] {
        assert!(!trespasses("services/messaging/relay.rs", text).is_empty(), "not seen: {text}");
    }
    for text in [
        "self.parts().tasks.spawn(work)",
        "self.tasks\n    .spawn_long(\"name\", work)",
        "// Whoever calls tokio::spawn has no one to wait for it.",
        "let spawned = environment.variables();",
        "std::time::SystemTime::from(clock.now())",
    ] {
        assert!(trespasses("services/messaging/relay.rs", text).is_empty(), "{:?}", trespasses("services/relay.rs", text));
    }
    assert!(trespasses("tasks.rs", "self.tracker.spawn(work)").is_empty());
    assert!(trespasses("config/env.rs", "std::env::vars_os()").is_empty());
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

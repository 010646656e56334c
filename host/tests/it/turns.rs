//! `dependsOn`: what depends on others starts after them and stops before them.

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::client::PATIENCE;
use crate::process::Home;
use crate::test_app::repository;

/// Who depends on whom, as `configs/turns.yaml` says.
const DEPENDENCIES: [(&str, &str); 8] = [
    ("second-desk", "first-desk"),
    ("second-desk", "watcher"),
    ("first-desk", "bus"),
    ("bus", "engine"),
    ("watcher", "engine"),
    ("engine", "persistence"),
    ("persistence", "db"),
    ("db", "web-server"),
];

#[tokio::test]
async fn modules_start_after_what_they_depend_on_and_stop_before_it() {
    let home = Home::new();
    let config = repository().join("host/tests/it/configs/turns.yaml");
    let process = home.start_config(&config, &[("MILLRACE_LOG", "info,millrace::app=debug")]).await;
    let log = process.log();
    let pid = Pid::from_raw(i32::try_from(process.id()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    let lines = || -> Vec<serde_json::Value> { log.lock().iter().filter_map(|line| serde_json::from_str(line).ok()).collect() };
    let deadline = Instant::now() + PATIENCE;
    while lines().iter().filter(|line| line["message"] == "module stopped").count() < 8 {
        assert!(Instant::now() < deadline, "not all have stopped: {:#?}", lines());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    let lines = lines();
    let at = |message: &str, module: Option<&str>| {
        let is = |line: &&serde_json::Value| line["message"] == message && module.is_none_or(|module| line["module"] == module);
        let found = lines.iter().position(|line| is(&line));
        found.unwrap_or_else(|| panic!("{message} {module:?} is not in the log: {lines:#?}"))
    };
    for (module, on) in DEPENDENCIES {
        assert!(at("module started", Some(on)) < at("module started", Some(module)), "{module} starts after {on}: {lines:#?}");
        assert!(at("module stopped", Some(module)) < at("module stopped", Some(on)), "{module} stops before {on}: {lines:#?}");
        assert!(at("module started", Some(module)) < at("ready", None), "{module} has started when the process is ready: {lines:#?}");
        assert!(at("stopping", None) < at("module stopped", Some(module)), "nothing stops before requests are answered: {lines:#?}");
    }
}

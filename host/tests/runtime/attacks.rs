//! What a component does to its host when it means harm, and what becomes of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use millrace::runtime::{Limit, Limits};
use parking_lot::Mutex;
use serde_json::json;

use crate::fixtures::built;
use crate::workshop::{PATIENCE, Plan, Workshop, accepted, transient};

/// A loaded machine may be this late.
const LATE: Duration = Duration::from_millis(700);

async fn hostile() -> Workshop {
    Plan::of(built("hostile")).start().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_infinite_loop_ends_at_its_timeout() {
    let workshop = hostile().await;
    let timeout = Duration::from_millis(200);
    let report = workshop.run_within(json!({ "mode": "spin" }), timeout).await;
    assert!(matches!(report.limit, Some(Limit::Cpu | Limit::Wall)), "{report:?}");
    assert!(report.wall >= timeout - Duration::from_millis(50) && report.wall < timeout + LATE, "after {:?}", report.wall);
    transient(&report);
    accepted(&workshop.run(json!({ "mode": "accept" })).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_infinite_loop_ends_at_its_cpu_budget() {
    let mut plan = Plan::of(built("hostile"));
    plan.limits = Limits { cpu: Duration::from_millis(50), ..Limits::default() };
    let workshop = plan.start().await;
    let report = workshop.run(json!({ "mode": "spin" })).await;
    assert_eq!(report.limit, Some(Limit::Cpu));
    assert!(transient(&report).contains("computed for more than 50ms"), "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_spinners_leave_their_neighbours_alone() {
    let mut plan = Plan::of(built("hostile"));
    plan.runs = 16;
    let workshop = Arc::new(plan.start().await);
    let spinners = join_all((0..8).map(|_| workshop.run_within(json!({ "mode": "spin" }), Duration::from_secs(2))));
    let neighbours = async {
        let began = Instant::now();
        let mut walls = Vec::new();
        while began.elapsed() < Duration::from_millis(1_500) {
            let report = workshop.run(json!({ "mode": "accept" })).await;
            accepted(&report);
            walls.push(report.wall);
        }
        walls.sort();
        walls
    };
    let (spun, walls) = tokio::join!(spinners, neighbours);
    assert!(spun.iter().all(|report| matches!(report.limit, Some(Limit::Cpu | Limit::Wall))), "{spun:?}");
    let p50 = walls[walls.len() / 2];
    assert!(walls.len() > 50 && p50 < Duration::from_millis(15), "{} runs beside the spinners, p50 {p50:?}", walls.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sleeping_past_the_deadline_ends_at_the_deadline() {
    let workshop = hostile().await;
    let timeout = Duration::from_millis(150);
    let report = workshop.run_within(json!({ "mode": "sleep" }), timeout).await;
    assert_eq!(report.limit, Some(Limit::Wall));
    assert!(report.wall >= timeout && report.wall < timeout + LATE, "after {:?}", report.wall);
    assert!(transient(&report).contains("did not answer within 150ms"), "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_has_an_end_and_comes_back() {
    let workshop = hostile().await;
    for _ in 0..3 {
        let report = workshop.run(json!({ "mode": "grow" })).await;
        assert_eq!(report.limit, Some(Limit::Memory), "{report:?}");
        assert!(transient(&report).contains("67108864 bytes"), "{report:?}");
    }
    accepted(&workshop.run(json!({ "mode": "accept" })).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ways_to_give_up_are_told_apart() {
    let workshop = hostile().await;
    for (mode, says) in [
        ("recurse", "call stack exhausted"),
        ("panic", "panicked at testing/hostile/src/lib.rs"),
        ("abort", "unreachable"),
        ("exit", "exit(0) instead of answering"),
        ("handle leak", "resource table has no free keys"),
    ] {
        let report = workshop.run(json!({ "mode": mode })).await;
        assert!(transient(&report).contains(says), "{mode}: {report:?}");
        assert_eq!(report.limit, Some(Limit::Trap), "{mode}: {report:?}");
    }
    accepted(&workshop.run(json!({ "mode": "accept" })).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calling_the_host_without_end_is_counted() {
    let workshop = hostile().await;
    for mode in ["call flood", "random flood"] {
        let report = workshop.run(json!({ "mode": mode })).await;
        assert_eq!(report.limit, Some(Limit::HostCalls), "{mode}: {report:?}");
        assert!(transient(&report).contains("more than 10000 times"), "{report:?}");
    }
}

#[tokio::test]
async fn what_is_printed_becomes_log_lines_at_debug_within_the_budget_of_all_lines() {
    let workshop = hostile().await;
    let lines = Lines::default();
    let taken = lines.clone();
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_ansi(false).with_writer(move || taken.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    assert_eq!(accepted(&workshop.run(json!({ "mode": "print" })).await)["survived"], true);
    for text in ["counted 3 lines", "and told of one", "which is two", "without an end"] {
        let [line] = &lines.with(text)[..] else { panic!("{text}: {:?}", lines.with(text)) };
        assert!(line.contains("DEBUG") && line.contains("worker") && line.contains("order-1"), "{line}");
    }

    assert_eq!(accepted(&workshop.run(json!({ "mode": "stdout flood" })).await)["survived"], true);
    let flood = lines.with("xxxx");
    assert!(flood.len() <= 16, "{} lines of 4 KiB", flood.len());
    assert!(lines.with("were dropped")[0].contains(&format!("dropped={}", 200 - flood.len())), "{:?}", lines.with("were dropped"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_is_nothing_to_find_outside() {
    let workshop = hostile().await;
    let report = workshop.run(json!({ "mode": "probe" })).await;
    let nothing = json!({ "env": 0, "args": 0, "files": 0, "folders": 0, "preopens": 0, "sockets": 0, "written": false, "stdin": "" });
    assert_eq!(json!(accepted(&report)), nothing);
}

/// Takes log lines into memory.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn with(&self, part: &str) -> Vec<String> {
        let bytes = self.0.lock();
        String::from_utf8_lossy(&bytes).lines().filter(|line| line.contains(part)).map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn log_lines_have_a_budget_and_tell_whose_they_are() {
    let mut plan = Plan::of(built("hostile"));
    plan.limits.host_calls = 100_000;
    let workshop = plan.start().await;
    let lines = Lines::default();
    let taken = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || taken.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);

    accepted(&workshop.run(json!({ "mode": "log flood" })).await);
    let flood = lines.with("line ");
    assert_eq!(flood.len(), 256, "lines of one run");
    assert!(flood[0].contains(&workshop.digest()) && flood[0].contains("order-1") && flood[0].contains("worker"), "{}", flood[0]);
    assert_eq!(lines.with("dropped=19744").len(), 1, "the rest was counted");

    accepted(&workshop.run(json!({ "mode": "log once" })).await);
    let long = lines.with("a long line");
    assert_eq!(long.len(), 1, "line breaks made several lines of one");
    assert!(long[0].len() < 4_096 + 400, "{} bytes", long[0].len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_runs_than_there_is_room_for_wait_their_turn() {
    let mut plan = Plan::of(built("hostile"));
    plan.runs = 2;
    let workshop = plan.start().await;
    let runs = join_all((0..40).map(|value| workshop.run(json!({ "mode": "accept", "value": value }))));
    let reports = tokio::time::timeout(PATIENCE, runs).await.expect("all come to their turn");
    for (value, report) in reports.iter().enumerate() {
        assert_eq!(accepted(report)["echo"], json!(value));
    }
}

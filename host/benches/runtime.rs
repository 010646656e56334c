//! What the runtime takes, beside its goals: a step that does nothing in a fresh sandbox, a real step, runs from many tasks at once, the stop
//! of an infinite loop beside neighbours, and a file saved to serving.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::FutureExt as _;
use futures::future::join_all;
use millrace::clock::Clock;
use millrace::runtime::{ComponentSettings, GivenKv, Job, Report, Runtime, Settings, Source, SwapEvent, Verdict};
use millrace::shutdown::Stop;
use serde_json::json;

#[path = "../tests/runtime/fixtures.rs"]
#[expect(unused_imports, clippy::expect_used, reason = "shared with the tests, which use more of it")]
mod fixtures;
#[path = "../tests/handmade/mod.rs"]
#[expect(clippy::expect_used, reason = "shared with the tests, which use more of it")]
mod handmade;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    std::fs::write(dir.path().join("tiny.wasm"), fixtures::tiny("i32.const 96"))?;
    std::fs::write(dir.path().join("hostile.wasm"), fixtures::built("hostile"))?;
    let cold = Instant::now();
    let runtime = start(dir.path()).await?;
    let cold = cold.elapsed();
    drop(runtime);
    let warm = Instant::now();
    let runtime = start(dir.path()).await?;
    say(format_args!("start, two components: {cold:?} cold, {:?} with compiled code (goal: 100 ms to ready)", warm.elapsed()));

    overhead(&runtime, "tiny").await;
    overhead(&runtime, "hostile").await;
    throughput(&runtime).await;
    spinners(&runtime).await;
    memory(&runtime).await;
    swaps(runtime, dir.path()).await
}

fn say(line: std::fmt::Arguments<'_>) {
    // Nobody reads a closed pipe.
    let _ = writeln!(std::io::stdout(), "{line}");
}

async fn start(dir: &Path) -> anyhow::Result<Arc<Runtime>> {
    let component = |name: &str| ComponentSettings::unconfigured(name.into(), Source::File(dir.join(format!("{name}.wasm"))));
    let settings = Settings {
        cache_dir: dir.join("cache"),
        authors_cache: None,
        compiler: PathBuf::from(env!("CARGO_BIN_EXE_millrace")),
        max_concurrent_runs: 64,
    };
    let remember = Arc::new(|_| async { Ok(()) }.boxed());
    let kv = Arc::new(GivenKv::default());
    let components = vec![component("tiny"), component("hostile")];
    Runtime::start(settings, components, HashMap::new(), Vec::new(), (remember, kv), Clock::system()).await
}

fn job(mode: &str, timeout: Duration) -> Job {
    Job {
        workflow: "order-processing".into(),
        kind: "orders".into(),
        instance_id: "order-0192f0c1".into(),
        step: "step-payment".into(),
        transition: "start_payment".into(),
        from_state: "validated".into(),
        to_state: "paying".into(),
        attempt: 1,
        visit: 1,
        idempotency_key: "order-0192f0c1/step-payment/1".into(),
        timeout,
        traceparent: None,
        data: json!({ "mode": mode, "value": "x".repeat(900) }).to_string(),
    }
}

async fn run(runtime: &Runtime, component: &str, mode: &str, timeout: Duration) -> Report {
    runtime.run(component, job(mode, timeout), None).await
}

/// Sorted, for percentiles.
struct Times(Vec<Duration>);

impl Times {
    fn of(times: impl Iterator<Item = Duration>) -> Self {
        let mut times: Vec<Duration> = times.collect();
        times.sort();
        Self(times)
    }

    fn at(&self, percent: usize) -> Duration {
        self.0.get((self.0.len().saturating_sub(1)) * percent / 100).copied().unwrap_or_default()
    }
}

async fn overhead(runtime: &Runtime, component: &str) {
    let minute = Duration::from_secs(60);
    let mut reports = Vec::new();
    for _ in 0..10_000 {
        reports.push(run(runtime, component, "accept", minute).await);
    }
    assert!(reports.iter().all(|report| matches!(report.verdict, Verdict::Accepted(_))), "a run failed");
    let (host, wall) = (Times::of(reports.iter().map(|r| r.overhead)), Times::of(reports.iter().map(|r| r.wall)));
    say(format_args!(
        "step overhead, {component}: p50 {:?} p99 {:?}; whole run p50 {:?} p99 {:?} (goal: 15/50 µs)",
        host.at(50),
        host.at(99),
        wall.at(50),
        wall.at(99)
    ));
}

async fn throughput(runtime: &Runtime) {
    let began = Instant::now();
    let tasks = join_all((0..32).map(|_| async {
        for _ in 0..500 {
            run(runtime, "hostile", "accept", Duration::from_secs(60)).await;
        }
    }));
    tasks.await;
    say(format_args!("runs of a real step, 32 at once on one task: {:.0}/s", 16_000.0 / began.elapsed().as_secs_f64()));
}

/// Neighbours are timed alone, then beside eight infinite loops.
async fn spinners(runtime: &Arc<Runtime>) {
    let timeout = Duration::from_secs(2);
    let alone = neighbours(runtime, Duration::from_secs(1)).await;
    let spinning = (0..8).map(|_| {
        let runtime = Arc::clone(runtime);
        #[expect(clippy::disallowed_methods, reason = "joined below")]
        tokio::spawn(async move { run(&runtime, "hostile", "spin", timeout).await.wall })
    });
    let spinning: Vec<_> = spinning.collect();
    let beside = neighbours(runtime, Duration::from_millis(1_500)).await;
    let late = Times::of(join_all(spinning).await.into_iter().filter_map(Result::ok).map(|wall| wall.saturating_sub(timeout)));
    say(format_args!("eight infinite loops: stopped at most {:?} after their timeout (goal: 20 ms)", late.at(100)));
    say(format_args!(
        "their neighbours: p50 {:?} p99 {:?} beside, p50 {:?} p99 {:?} alone (goal: p99 under twice)",
        beside.at(50),
        beside.at(99),
        alone.at(50),
        alone.at(99)
    ));
}

async fn neighbours(runtime: &Runtime, time: Duration) -> Times {
    let began = Instant::now();
    let mut walls = Vec::new();
    while began.elapsed() < time {
        walls.push(run(runtime, "hostile", "accept", Duration::from_secs(60)).await.wall);
    }
    Times::of(walls.into_iter())
}

/// What is left of 400 attempts to take 64 MiB.
async fn memory(runtime: &Runtime) {
    let before = resident();
    for _ in 0..10 {
        join_all((0..40).map(|_| run(runtime, "hostile", "grow", Duration::from_secs(60)))).await;
    }
    say(format_args!(
        "resident memory: {before} MB before, {} MB after 400 runs that took all they could (goal: back within 10%)",
        resident()
    ));
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kb| kb.parse::<u64>().ok()).unwrap_or_default() / 1_024
}

async fn swaps(runtime: Arc<Runtime>, dir: &Path) -> anyhow::Result<()> {
    let stop = Stop::new();
    let mut events = runtime.events();
    #[expect(clippy::disallowed_methods, reason = "joined below")]
    let watching = tokio::spawn(Arc::clone(&runtime).watch(stop.clone()));
    let (source, fixture) = (dir.join("hostile.wasm"), fixtures::built("hostile"));
    let (mut saved, mut back) = (Vec::new(), Vec::new());
    for round in 0..20 {
        let before = runtime.active("hostile").context("it serves")?.digest;
        let began = Instant::now();
        std::fs::write(source.with_extension("new"), fixtures::marked(&fixture, &round.to_string()))?;
        std::fs::rename(source.with_extension("new"), &source)?;
        while !matches!(events.recv().await?, SwapEvent::Swapped { .. }) {}
        saved.push(began.elapsed());
        let began = Instant::now();
        runtime.activate("hostile", &before).await?;
        back.push(began.elapsed());
        while !matches!(events.recv().await?, SwapEvent::Swapped { .. }) {}
    }
    let (saved, back) = (Times::of(saved.into_iter()), Times::of(back.into_iter()));
    say(format_args!("file saved to serving: p50 {:?} p99 {:?} (goal: p50 200 ms)", saved.at(50), saved.at(99)));
    say(format_args!("back to a known version: p50 {:?} p99 {:?} (goal: 5 ms)", back.at(50), back.at(99)));
    stop.request();
    watching.await?
}

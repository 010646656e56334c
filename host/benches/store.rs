//! How fast the durable store is: commits one after another, and commits of many callers who share transactions.
//!
//! `cargo bench -p millrace --bench store` (add `-- quick` for a short run). Every figure is of commits that were
//! answered, so of decisions that survive a power cut. The baseline is the disk: a write of the same file with an
//! `fdatasync` behind each.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use millrace::clock::Clock;
use millrace::store::{
    Commit, Database, Guard, HistoryRow, Listing, OutboxRow, Place, Progress, Resource, RunStatus, Settled, StepRun, Store, open,
};
use millrace_workflow::{Instance, RunKind};
use serde_json::json;

/// The allocator that the program has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Changes that each order goes through after its creation.
const CHANGES: u64 = 3;

fn main() -> anyhow::Result<()> {
    let quick = std::env::args().any(|argument| argument == "quick");
    let span = if quick { Duration::from_secs(1) } else { Duration::from_secs(5) };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(measure(span))
}

async fn measure(span: Duration) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    let folder = tempfile::tempdir()?;
    writeln!(out, "baseline: {:>8.0} writes of 4 KiB with fdatasync per second", synced_writes(folder.path(), span)?)?;
    for callers in [1, 64, 512] {
        let path = folder.path().join(format!("{callers}.db"));
        let store = open(&Database { place: Place::File(path.clone()), readers: 2, keys: vec![], kinds: vec![] }, Clock::system())?;
        let before = cpu();
        let run = drive(&store, callers, span).await?;
        let used = cpu().saturating_sub(before);
        let stats = store.operations.commit_stats();
        writeln!(
            out,
            "{callers:>4} callers: {:>8.0} commits/s, {:>5.1} a transaction, {:>6.1} µs of the writer each, {:>6.1} µs of CPU each, p50 {:.2} ms, p99 {:.2} ms",
            run.rate(),
            stats.units as f64 / stats.commits as f64,
            stats.busy.as_secs_f64() * 1e6 / stats.units as f64,
            used.as_secs_f64() * 1e6 / run.latencies.len() as f64,
            run.quantile(0.50),
            run.quantile(0.99),
        )?;
        list(&store, &mut out).await?;
        store.operations.close().await;
        let bytes = std::fs::metadata(&path)?.len();
        writeln!(out, "              {:>8.0} bytes an order in the file", bytes as f64 / run.orders as f64)?;
    }
    Ok(())
}

fn synced_writes(folder: &Path, span: Duration) -> anyhow::Result<f64> {
    let mut file = std::fs::File::create(folder.join("baseline"))?;
    let (started, mut writes) = (Instant::now(), 0);
    while started.elapsed() < span / 2 {
        file.write_all(&[7; 4_096])?;
        file.sync_data()?;
        writes += 1;
    }
    Ok(f64::from(writes) / started.elapsed().as_secs_f64())
}

/// CPU time of this process, the system's work for it included, to a hundredth of a second; zero where there is no `/proc`.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name, which may hold anything: user and system time are the 12th and 13th value.
    let values = stat.rsplit_once(')').map_or("", |(_, values)| values).split_whitespace();
    let ticks: u64 = values.skip(11).take(2).filter_map(|value| value.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

struct Run {
    orders: u64,
    latencies: Vec<Duration>,
    took: Duration,
}

impl Run {
    fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.took.as_secs_f64()
    }

    /// Milliseconds.
    fn quantile(&self, share: f64) -> f64 {
        let at = (self.latencies.len() as f64 * share) as usize;
        self.latencies.get(at).map_or(0.0, |latency| latency.as_secs_f64() * 1e3)
    }
}

#[expect(clippy::disallowed_methods, reason = "joined below")]
async fn drive(store: &Store, callers: usize, span: Duration) -> anyhow::Result<Run> {
    let started = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for caller in 0..callers {
        let store = store.clone();
        tasks.spawn(async move { call(&store, caller, started, span).await });
    }
    let mut run = Run { orders: 0, latencies: Vec::new(), took: Duration::ZERO };
    while let Some(done) = tasks.join_next().await {
        let (orders, latencies) = done??;
        run.orders += orders;
        run.latencies.extend(latencies);
    }
    run.took = started.elapsed();
    run.latencies.sort_unstable();
    Ok(run)
}

/// Takes one order after another from its creation to its end.
async fn call(store: &Store, caller: usize, started: Instant, span: Duration) -> anyhow::Result<(u64, Vec<Duration>)> {
    let (mut orders, mut latencies) = (0, Vec::new());
    while started.elapsed() < span {
        let id = format!("0193f5a0-{caller:04}-7000-8000-{orders:012}");
        for seq in 0..=CHANGES {
            let commit = decision(store.instances.epoch(), &id, caller, seq)?;
            let asked = Instant::now();
            let committed = store.resources.commit(commit).await?;
            latencies.push(asked.elapsed());
            // Nothing is sent here; half of the callers mark, as the relay would, in batches.
            if seq == CHANGES && orders % 8 == 7 {
                let last = committed.positions.last().copied().unwrap_or(0);
                let positions: Vec<u64> = (last.saturating_sub(32)..=last).collect();
                store.messages.mark_published(&positions).await?;
            }
        }
        orders += 1;
    }
    Ok((orders, latencies))
}

/// The creation (`seq` 0) or what a step's answer decides: a change, two rows of history, two events, the next run.
fn decision(epoch: u64, id: &str, caller: usize, seq: u64) -> anyhow::Result<Commit> {
    let now = Timestamp::from_microsecond(1_763_900_000_000_000 + i64::try_from(seq)?)?;
    let version = seq * 2 + 1;
    let guard = if seq == 0 { Guard::Absent } else { Guard::Version(version - 2) };
    let settled = (seq > 0).then(|| Settled {
        key: format!("{id}:step-{}:1", seq - 1),
        fence: 1,
        status: RunStatus::Done,
        attempt: 1,
        due_at: now,
        error: None,
    });
    Ok(Commit {
        change: Some((guard, order(id, caller, version, seq == CHANGES, now))),
        history: (0..2).map(|n| history(version + n, now)).collect(),
        outbox: (0..2).map(|n| event(id, version + n)).collect(),
        runs: (seq < CHANGES).then(|| step_run(epoch, id, seq, now)).into_iter().collect(),
        settled,
        ..Commit::default()
    })
}

fn order(id: &str, caller: usize, version: u64, finished: bool, now: Timestamp) -> Resource {
    let line = json!({"productId": "1", "name": "Mechanical keyboard", "quantity": 2, "unitPrice": "149.99", "lineTotal": "299.98"});
    let data = json!({
        "items": [line, line],
        "total": "599.96",
        "currency": "EUR",
        "shippingAddress": {"name": "Ada Lovelace", "street": "12 St James's Square", "city": "London", "zip": "SW1Y 4JH", "country": "GB"},
        "payment": {"method": "card", "token": "tok_visa", "transactionId": "txn_0193f5a0c0de", "amount": "599.96"},
    });
    let state = format!("state-{version}");
    let visits = (0..=version / 2).map(|n| (format!("step-{n}"), 1)).collect();
    let instance = Instance { state: state.clone(), version, visits, timer_firings: [].into(), unserved: 0 };
    let progress = Progress {
        workflow: "order-processing".into(),
        machine: "ab".repeat(32),
        instance,
        attention: None,
        finished,
        deadlines: [].into(),
        traceparent: None,
    };
    Resource {
        kind: "orders".into(),
        id: id.into(),
        owner: Some(format!("user-{caller}")),
        state,
        version,
        data: Arc::new(data.as_object().cloned().unwrap_or_default()),
        workflow: Some(progress),
        created_at: now,
        updated_at: now,
    }
}

fn history(seq: u64, at: Timestamp) -> HistoryRow {
    HistoryRow {
        seq,
        from: "processing_payment".into(),
        to: "payment_confirmed".into(),
        transition: "confirm_payment".into(),
        at,
        cause: "accepted".into(),
        component: Some("payment".into()),
        digest: Some("cd".repeat(32)),
        attempt: Some(1),
        reason: None,
    }
}

fn event(id: &str, seq: u64) -> OutboxRow {
    let payload = json!({
        "specversion": "1.0", "id": format!("{id}-{seq}"), "source": "/orders", "type": "order.paid", "subject": id,
        "time": "2025-11-23T12:00:00Z", "datacontenttype": "application/json",
        "data": {"orderId": id, "state": "payment_confirmed", "from": "processing_payment", "total": "599.96", "currency": "EUR", "version": seq},
    });
    OutboxRow {
        position: 0,
        event_id: format!("{id}-{seq}"),
        topic: "order.paid".into(),
        key: id.into(),
        seq,
        payload: payload.to_string().into(),
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
    }
}

fn step_run(epoch: u64, id: &str, seq: u64, now: Timestamp) -> StepRun {
    StepRun {
        key: format!("{id}:step-{seq}:1"),
        resource_kind: "orders".into(),
        resource_id: id.into(),
        workflow: "order-processing".into(),
        input: None,
        kind: RunKind::Step,
        name: format!("step-{seq}"),
        component: "payment".into(),
        visit: 1,
        attempt: 1,
        transition: "start_payment".into(),
        from_state: "inventory_reserved".into(),
        to_state: "processing_payment".into(),
        status: RunStatus::Running,
        owner: Some(epoch),
        fence: 1,
        crashes: 0,
        due_at: now,
        last_error: None,
        traceparent: None,
    }
}

/// The fifty newest of one user among all that were just made.
async fn list(store: &Store, out: &mut impl std::io::Write) -> anyhow::Result<()> {
    let listing = Listing { kind: "orders".into(), owner: Some("user-0".into()), limit: 50, ..Listing::default() };
    let mut took = Vec::new();
    for _ in 0..500 {
        let asked = Instant::now();
        store.resources.resources(&listing).await?;
        took.push(asked.elapsed());
    }
    took.sort_unstable();
    writeln!(out, "              {:>8.2} ms p99 to list the 50 newest orders of a user", took[495].as_secs_f64() * 1e3)?;
    Ok(())
}

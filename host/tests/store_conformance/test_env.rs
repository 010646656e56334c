//! A store to test on, and rows to put into it.

use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use millrace::clock::Clock;
use millrace::store::memory::Memory;
use millrace::store::{
    AuditEntry, Commit, Conflict, Counted, Database, Dsn, Form, Guard, HistoryRow, Key, KeysOf, Object, OpenError, OutboxRow, Place,
    Progress, Resource, RunStatus, Settled, StartedBy, StepRun, StockLine, Stocking, Store, StoreError, Timer, open,
};
use millrace_workflow::{Instance, RunKind};
use serde_json::json;
use tempfile::TempDir;

use crate::postgres_server::{Disk, Server};

/// Longest that anything in a test may take.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The server for all tests of this program. It ends with the program, not before.
pub fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| Server::start(Disk::Fast))
}

enum Backend {
    Sqlite { folder: TempDir },
    Postgres { dsn: Dsn },
    Memory { current: Memory },
}

/// A store that can be closed and opened again.
pub struct TestEnv {
    pub store: Store,
    pub clock: Clock,
    backend: Backend,
}

impl TestEnv {
    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::system();
        let store = open(&settings(&folder), clock.clone()).unwrap();
        Self { store, clock, backend: Backend::Sqlite { folder } }
    }

    pub fn postgres() -> Self {
        let clock = Clock::system();
        let dsn = Dsn::parse(&server().database()).unwrap();
        let store = open(&on_server(&dsn), clock.clone()).unwrap();
        Self { store, clock, backend: Backend::Postgres { dsn } }
    }

    pub fn memory() -> Self {
        let clock = Clock::system();
        let current = Memory::with_clock(clock.clone()).with_keys(keys());
        let store = Store::of(Arc::new(current.reopen()));
        Self { store, clock, backend: Backend::Memory { current } }
    }

    /// Ends the process, as it were, and starts the next one.
    pub async fn reopen(&mut self) {
        self.store.operations.close().await;
        self.store = match &self.backend {
            Backend::Sqlite { folder } => opened_again(&settings(folder), &self.clock),
            Backend::Postgres { dsn } => open(&on_server(dsn), self.clock.clone()).unwrap(),
            Backend::Memory { current } => Store::of(Arc::new(current.reopen())),
        };
    }

    /// Whether it takes room on a disk.
    pub fn is_on_a_disk(&self) -> bool {
        matches!(self.backend, Backend::Sqlite { .. })
    }

    /// File of the database, for a back end that has one.
    pub fn path(&self) -> PathBuf {
        match &self.backend {
            Backend::Sqlite { folder } => file(folder),
            Backend::Postgres { .. } | Backend::Memory { .. } => panic!("only a store of SQLite has a file"),
        }
    }

    /// Where the database is, for a back end on a server.
    pub fn dsn(&self) -> Dsn {
        match &self.backend {
            Backend::Postgres { dsn } => dsn.clone(),
            Backend::Sqlite { .. } | Backend::Memory { .. } => panic!("only a store of PostgreSQL is on a server"),
        }
    }

    /// Lets an hour pass.
    pub fn pass_an_hour(&self) {
        self.clock.advance(SignedDuration::from_hours(1));
    }

    /// Half an hour ago.
    pub fn half_an_hour_ago(&self) -> Timestamp {
        self.clock.now() - SignedDuration::from_mins(30)
    }
}

/// What the resources of these tests are found by.
pub fn keys() -> Vec<KeysOf> {
    let key = |name: &str, path: &str, form| Key { name: name.into(), path: path.into(), form };
    let keys = vec![
        key("product", "items.productId", Form::Text),
        key("total", "total", Form::Hundredths),
        key("?transaction", "transaction", Form::Text),
    ];
    let counted = Counted { amount: "total".into(), form: Form::Hundredths, states: ["paid".to_owned(), "sent".to_owned()].into() };
    vec![KeysOf { kind: "orders".into(), keys, counted: Some(counted) }]
}

/// A program that another test is just starting has all that is open here until it runs, so a lock may be held for a moment more.
fn opened_again(database: &Database, clock: &Clock) -> Store {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match open(database, clock.clone()) {
            Err(OpenError::InUse { .. }) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(5)),
            opened => return opened.unwrap(),
        }
    }
}

pub fn file(folder: &TempDir) -> PathBuf {
    folder.path().join("data").join("millrace.db")
}

pub fn settings(folder: &TempDir) -> Database {
    Database { place: Place::File(file(folder)), readers: 2, keys: keys(), kinds: vec![] }
}

pub fn on_server(dsn: &Dsn) -> Database {
    Database { place: Place::Server(dsn.clone()), readers: 2, keys: keys(), kinds: vec![] }
}

/// Name of the database of a DSN.
pub fn name(dsn: &Dsn) -> String {
    dsn.to_string().rsplit('/').next().unwrap().to_owned()
}

/// Claims up to `limit` runs of any line.
pub async fn claim(store: &Store, now: Timestamp, limit: usize) -> Vec<StepRun> {
    let mut claimed = Vec::new();
    for (line, _) in store.instances.lines().await.unwrap() {
        claimed.extend(store.instances.claim_runs(&line, now, limit - claimed.len()).await.unwrap());
    }
    claimed
}

/// When the next run of any line is due.
pub async fn next_due(store: &Store) -> Option<Timestamp> {
    store.instances.lines().await.unwrap().into_iter().map(|(_, due)| due).min()
}

/// Runs all of `work` at the same time and answers in the sequence given.
pub async fn all_at_once<F>(work: impl IntoIterator<Item = F>) -> Vec<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let mut tasks = tokio::task::JoinSet::new();
    for (index, job) in work.into_iter().enumerate() {
        tasks.spawn(async move { (index, job.await) });
    }
    let all = tokio::time::timeout(PATIENCE, tasks.join_all());
    let mut results = all.await.expect("everything ends in time");
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

/// `seconds` after a fixed moment that is long past.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_600_000_000 + seconds).unwrap()
}

pub fn object(value: serde_json::Value) -> Arc<Object> {
    Arc::new(value.as_object().unwrap().clone())
}

/// A resource without a workflow, at version 1.
pub fn product(id: &str) -> Resource {
    Resource {
        kind: "products".into(),
        id: id.into(),
        owner: None,
        state: "active".into(),
        version: 1,
        data: object(json!({"name": format!("Product {id}"), "price": 149.99, "tags": ["a", "b"]})),
        workflow: None,
        created_at: at(0),
        updated_at: at(0),
    }
}

/// A resource that a workflow moves, at version 1.
pub fn instance(id: &str) -> Resource {
    let instance = Instance {
        state: "reserving".into(),
        version: 1,
        visits: [("inventory".to_owned(), 1)].into(),
        timer_firings: [("expire".to_owned(), 2)].into(),
        unserved: 3,
    };
    let progress = Progress {
        workflow: "order-processing".into(),
        machine: "d1".into(),
        instance,
        attention: None,
        finished: false,
        deadlines: [("expire".to_owned(), at(1_800))].into(),
        traceparent: Some("00-of-the-request-01".into()),
    };
    Resource {
        kind: "orders".into(),
        owner: Some("user-1".into()),
        state: "reserving".into(),
        data: object(json!({"total": "299.98", "lines": [{"sku": "1", "quantity": 2}]})),
        workflow: Some(progress),
        ..product(id)
    }
}

/// `resource` one version on, in `state`.
pub fn moved(resource: &Resource, state: &str) -> Resource {
    let mut next = Resource { version: resource.version + 1, state: state.into(), updated_at: at(60), ..resource.clone() };
    if let Some(progress) = &mut next.workflow {
        progress.instance.state = state.into();
        progress.instance.version += 1;
    }
    next
}

pub fn create(resource: Resource) -> Commit {
    Commit { change: Some((Guard::Absent, resource)), ..Commit::default() }
}

/// A change decided on the version before `next`.
pub fn change(next: Resource) -> Commit {
    Commit { change: Some((Guard::Version(next.version - 1), next)), ..Commit::default() }
}

pub fn history_row(seq: u64) -> HistoryRow {
    HistoryRow {
        seq,
        from: "reserving".into(),
        to: "paying".into(),
        transition: "reserved".into(),
        at: at(i64::try_from(seq).unwrap()),
        cause: "accepted".into(),
        component: Some("inventory".into()),
        digest: Some("ab".repeat(32)),
        attempt: Some(1),
        reason: None,
    }
}

pub fn event(key: &str, seq: u64) -> OutboxRow {
    OutboxRow {
        position: 0,
        event_id: format!("{key}-{seq}"),
        topic: "order.paid".into(),
        key: key.into(),
        seq,
        payload: format!("{{\"id\":\"{key}\",\"seq\":{seq}}}").into(),
        traceparent: (seq % 2 == 1).then(|| "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
    }
}

/// A run of step `name` of the order `id`, ready at once.
pub fn run(id: &str, name: &str) -> StepRun {
    let by = StartedBy {
        resource_kind: "orders".into(),
        resource_id: id.into(),
        workflow: "processing".into(),
        transition: "submit".into(),
        from_state: "new".into(),
        to_state: "reserving".into(),
    };
    let component = format!("{name}-component");
    let first = StepRun::first(format!("{id}:{name}:1"), by, RunKind::Step, (name, &component), at(0));
    StepRun { input: Some(r#"{"of":"its own"}"#.into()), traceparent: Some("00-of-the-event-01".into()), ..first }
}

pub fn with_runs(runs: impl IntoIterator<Item = StepRun>) -> Commit {
    Commit { runs: runs.into_iter().collect(), ..Commit::default() }
}

/// The run ends well.
pub fn done(run: &StepRun) -> Settled {
    Settled { key: run.key.clone(), fence: run.fence, status: RunStatus::Done, attempt: run.attempt, due_at: at(0), error: None }
}

pub fn settling(settled: Settled) -> Commit {
    Commit { settled: Some(settled), ..Commit::default() }
}

pub fn timer(id: &str, transition: &str, version: u64, due: i64) -> Timer {
    Timer { resource_kind: "orders".into(), resource_id: id.into(), transition: transition.into(), version, due_at: at(due) }
}

/// Sets the units on hand.
pub fn stocked(sku: &str, on_hand: u64) -> Commit {
    Commit { stock: Some(Stocking::Anew { sku: sku.into(), on_hand }), ..Commit::default() }
}

/// The same, unless there are some already.
pub fn first_stocked(sku: &str, on_hand: u64) -> Commit {
    Commit { stock: Some(Stocking::First { sku: sku.into(), on_hand }), ..Commit::default() }
}

/// That somebody did `action` to a product.
pub fn deed(action: &str, id: &str) -> AuditEntry {
    AuditEntry {
        at: at(7),
        actor: "ada".into(),
        roles: ["catalogue".to_owned(), "support".to_owned()].into(),
        sudo: false,
        action: action.into(),
        subject: format!("products/{id}"),
        version_before: None,
        version_after: None,
        reason: Some("she \"wanted\" to ä".into()),
        request_id: Some("r-1".into()),
        address: Some("127.0.0.1".into()),
    }
}

pub fn line(sku: &str, quantity: u64) -> StockLine {
    StockLine { sku: sku.into(), quantity }
}

/// The conflict that `result` must be.
pub fn conflict<T: std::fmt::Debug>(result: Result<T, StoreError>) -> Conflict {
    match result {
        Err(StoreError::Conflict(conflict)) => conflict,
        other => panic!("a conflict was expected, not {other:?}"),
    }
}

//! A started runtime in a folder of its own.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt as _;
use millrace::clock::Clock;
use millrace::runtime::{
    Artifact, Capabilities, ComponentSettings, ComponentStatus, Expect, Given, GivenKv, InProcess, Job, KvSource, Limits, Refusal,
    Remember, Report, Runtime, Settings, Signatures, Source, SwapEvent, Verdict,
};
use millrace::shutdown::Stop;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::sync::broadcast::Receiver;
use tokio::task::JoinHandle;

/// Long enough for a loaded machine, short enough to notice a hang.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What to start a [`Workshop`] with.
pub struct Plan {
    pub file: Option<Vec<u8>>,
    pub capabilities: Capabilities,
    pub limits: Limits,
    pub config: Value,
    pub expect: Expect,
    pub signatures: Signatures,
    /// From where in the place of the file of the workshop's own.
    pub artifact: Option<Artifact>,
    /// Another component, `beside`, from there.
    pub beside: Option<Artifact>,
    pub services: HashMap<String, InProcess>,
    pub kv: Arc<dyn KvSource>,
    pub runs: usize,
    pub remembers: Arc<AtomicBool>,
    /// Names of components of which nothing can be recorded, though of others it can.
    pub forgets: Arc<Mutex<BTreeSet<String>>>,
    /// What is started as the compiler in place of the program itself.
    pub compiler: Option<PathBuf>,
    /// Compiled code and copies are this test's alone, and come along to a next start in the same folder.
    pub own_cache: bool,
    /// Where an author's commands have kept what they compiled.
    pub authors_cache: Option<PathBuf>,
}

impl Plan {
    pub fn of(file: Vec<u8>) -> Self {
        Self {
            file: Some(file),
            capabilities: Capabilities::default(),
            limits: Limits::default(),
            config: json!({}),
            expect: Expect::default(),
            signatures: Signatures::default(),
            artifact: None,
            beside: None,
            services: HashMap::new(),
            kv: Arc::new(GivenKv::default()),
            runs: 8,
            remembers: Arc::new(AtomicBool::new(true)),
            forgets: Arc::default(),
            compiler: None,
            own_cache: false,
            authors_cache: None,
        }
    }

    pub fn own_cache(mut self) -> Self {
        self.own_cache = true;
        self
    }

    pub async fn start(self) -> Workshop {
        let dir = tempfile::tempdir().expect("a folder");
        self.start_in(dir, Vec::new()).await
    }

    /// Starts with this signature beside the file.
    pub async fn start_signed(self, signature: &str) -> Workshop {
        self.start_with(signature, None).await
    }

    /// The same with compiled code beside it too.
    pub async fn start_with(self, signature: &str, code: Option<&[u8]>) -> Workshop {
        let dir = tempfile::tempdir().expect("a folder");
        let components = dir.path().join("components");
        std::fs::create_dir_all(&components).expect("a folder");
        std::fs::write(components.join("worker.wasm.sig"), signature).expect("a signature");
        if let Some(code) = code {
            std::fs::write(components.join("worker.cwasm"), code).expect("code");
        }
        self.start_in(dir, Vec::new()).await
    }

    /// Starts in a folder where a workshop was before.
    pub async fn start_in(self, dir: TempDir, good: Vec<(String, String)>) -> Workshop {
        let source = dir.path().join("components/worker.wasm");
        std::fs::create_dir_all(source.parent().expect("it has a folder")).expect("a folder");
        if let Some(file) = &self.file {
            std::fs::write(&source, file).expect("a file");
        }
        let Value::Object(config) = self.config else { panic!("a config is an object") };
        let settings = ComponentSettings {
            name: "worker".into(),
            source: self.artifact.map_or_else(|| Source::File(source.clone()), Source::Registry),
            description: String::new(),
            expect: self.expect,
            signatures: self.signatures,
            given: vec![Given { by: "step 'work'".into(), config: config.clone() }],
            config,
            capabilities: self.capabilities,
            limits: self.limits,
            after: Vec::new(),
        };
        let mut house = house(self.runs);
        if self.own_cache {
            house.cache_dir = dir.path().join("cache");
        }
        house.authors_cache = self.authors_cache;
        if let Some(compiler) = self.compiler {
            house.compiler = compiler;
        }
        let (remembered, writes) = (Arc::default(), Arc::default());
        let remember = remember(Arc::clone(&remembered), Arc::clone(&writes), self.remembers, self.forgets);
        let beside = |artifact| ComponentSettings { name: "beside".into(), source: Source::Registry(artifact), ..settings.clone() };
        let components = self.beside.into_iter().map(beside).chain([settings.clone()]).collect();
        let runtime = Runtime::start(house, components, self.services, good, (remember, self.kv), Clock::system()).await;
        Workshop { runtime: runtime.expect("it starts"), dir, source, settings, remembered, writes, watching: None }
    }
}

/// Compiled code is shared by all tests: the same fixture is compiled once.
pub fn house(runs: usize) -> Settings {
    Settings {
        cache_dir: PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("runtime-cache"),
        authors_cache: None,
        compiler: PathBuf::from(env!("CARGO_BIN_EXE_millrace")),
        max_concurrent_runs: runs,
    }
}

fn remember(
    remembered: Arc<Mutex<Vec<(String, String)>>>,
    writes: Arc<AtomicUsize>,
    works: Arc<AtomicBool>,
    forgets: Arc<Mutex<BTreeSet<String>>>,
) -> Remember {
    Arc::new(move |versions| {
        let can = works.load(Ordering::Relaxed) && versions.iter().all(|(component, _)| !forgets.lock().contains(component));
        let (remembered, writes) = (Arc::clone(&remembered), Arc::clone(&writes));
        async move {
            anyhow::ensure!(can, "the disk is full");
            remembered.lock().extend(versions);
            writes.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
        .boxed()
    })
}

/// One component, `worker`, and its file.
pub struct Workshop {
    pub runtime: Arc<Runtime>,
    pub dir: TempDir,
    pub source: PathBuf,
    /// What it was started with.
    pub settings: ComponentSettings,
    pub remembered: Arc<Mutex<Vec<(String, String)>>>,
    /// How often something was.
    pub writes: Arc<AtomicUsize>,
    watching: Option<(Stop, JoinHandle<anyhow::Result<()>>)>,
}

impl Workshop {
    /// Runs one job with this data.
    pub async fn run(&self, data: Value) -> Report {
        self.run_within(data, PATIENCE).await
    }

    /// Runs one job within this time.
    pub async fn run_within(&self, data: Value, timeout: Duration) -> Report {
        self.runtime.run("worker", job(&data, timeout), None).await
    }

    pub fn digest(&self) -> String {
        self.runtime.active("worker").expect("a version serves").digest
    }

    pub fn status(&self) -> ComponentStatus {
        self.runtime.status().pop().expect("there is one component")
    }

    pub fn refused(&self) -> Refusal {
        self.status().refused.expect("a file was refused")
    }

    /// Watches the file from now on; gives the events.
    pub fn watch(&mut self) -> Receiver<SwapEvent> {
        let events = self.runtime.events();
        let stop = Stop::new();
        #[expect(clippy::disallowed_methods, reason = "the test joins it")]
        let task = tokio::spawn(Arc::clone(&self.runtime).watch(stop.clone()));
        self.watching = Some((stop, task));
        events
    }

    /// Puts a whole file in place at once.
    pub fn replace(&self, bytes: &[u8]) {
        let beside = self.source.with_extension("new");
        std::fs::write(&beside, bytes).expect("a file");
        std::fs::rename(beside, &self.source).expect("a rename");
    }

    /// Ends the watching, and gives the folder for a next start.
    pub async fn end(mut self) -> TempDir {
        if let Some((stop, task)) = self.watching.take() {
            stop.request();
            tokio::time::timeout(PATIENCE, task).await.expect("it ends").expect("no panic").expect("no error");
        }
        self.dir
    }
}

pub fn job(data: &Value, timeout: Duration) -> Job {
    Job {
        workflow: "order-processing".into(),
        kind: "orders".into(),
        instance_id: "order-1".into(),
        step: "step-work".into(),
        transition: "start".into(),
        from_state: "new".into(),
        to_state: "working".into(),
        attempt: 1,
        visit: 1,
        idempotency_key: "key-1".into(),
        timeout,
        traceparent: None,
        data: data.to_string(),
    }
}

pub async fn next(events: &mut Receiver<SwapEvent>) -> SwapEvent {
    tokio::time::timeout(PATIENCE, events.recv()).await.expect("an event in time").expect("the runtime lives")
}

#[track_caller]
pub fn accepted(report: &Report) -> &Map<String, Value> {
    match &report.verdict {
        Verdict::Accepted(results) => results,
        other => panic!("not accepted: {other:?}"),
    }
}

/// The text of a transient verdict, which names the component and its version.
#[track_caller]
pub fn transient(report: &Report) -> &str {
    match &report.verdict {
        Verdict::Transient(reason) => {
            assert!(reason.contains("'worker'"), "the component is not named: {reason}");
            assert!(reason.contains(&report.digest[..12]), "the version is not named: {reason}");
            reason
        }
        other => panic!("not transient: {other:?}"),
    }
}

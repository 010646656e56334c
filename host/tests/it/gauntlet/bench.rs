//! A shop with benches in it: each is a component of no good, the step that it does, and a kind of resource that takes this step alone.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sha2::Digest as _;

use super::attacks::{Attack, End, Means};
use crate::client::{Client, PATIENCE};
use crate::handmade::{marked, tiny};
use crate::process::{Home, Process};
use crate::test_app::{built, changed_monolith};

/// For a machine that is busy with everything else.
const LONG: Duration = Duration::from_secs(180);
/// Between two looks at what is awaited.
const LOOK: Duration = Duration::from_millis(20);
/// How often a file is replaced in a second, for one second.
const REPLACED: u64 = 100;

/// Who a component says that it is, and what its runs may use.
#[derive(Clone, Copy)]
pub enum Sort {
    /// Made by hand.
    Tiny,
    /// Made by hand, and given little time.
    HastyTiny,
    /// A program that does what it is asked for.
    Program,
    /// The same with little time.
    HastyProgram,
}

impl Sort {
    fn good(self) -> (&'static str, Vec<u8>) {
        match self {
            Self::Tiny | Self::HastyTiny => ("tiny", tiny("i32.const 96")),
            Self::Program | Self::HastyProgram => ("hostile", std::fs::read(built("hostile.wasm")).unwrap()),
        }
    }

    /// CPU time in milliseconds, wall time in seconds, and how often an attempt is made again.
    fn allows(self) -> (u32, u32, u32) {
        match self {
            Self::Tiny | Self::Program => (10_000, 60, 1),
            Self::HastyTiny => (300, 1, 1),
            // Eight at once would open its breaker, and who is tried again would wait for that.
            Self::HastyProgram => (300, 1, 0),
        }
    }
}

/// A place where attacks are tried, one after the other.
pub struct Bench {
    name: String,
    sort: Sort,
    good: Vec<u8>,
    file: PathBuf,
}

impl Bench {
    /// With a good component in its place.
    pub fn new(home: &Home, name: &str, sort: Sort) -> Self {
        let (_, good) = sort.good();
        let file = home.component(&format!("{name}.wasm"));
        std::fs::write(&file, &good).unwrap();
        Self { name: name.to_owned(), sort, good, file }
    }

    fn modules(&self) -> String {
        let (name, (called, _), (cpu, wall, retries)) = (&self.name, self.sort.good(), self.sort.allows());
        format!(
            r#"  - name: {name}-api
    type: api.handler
    config:
      resourceName: {name}
      owner: creator
      workflowType: {name}
      workflowEngine: order-state
      instanceIDPrefix: {name}-
      initialTransition: begin
      schema: {{type: object, additionalProperties: false, properties: {{mode: {{type: string}}}}}}
    dependsOn: [auth-middleware, persistence]
  - name: {name}
    type: dynamic.component
    config:
      source: ${{COMPONENTS_DIR}}/{name}.wasm
      expect: {{name: {called}}}
      config: {{id: forged, userId: mallory, state: done, version: 99, mode: forged}}
      limits: {{cpuMs: {cpu}}}
    dependsOn: [order-state]
  - name: step-{name}
    type: processing.step
    config:
      componentId: {name}
      successTransition: held
      compensateTransition: gave_up
      maxRetries: {retries}
      retryBackoffMs: 10
      timeoutSeconds: {wall}
    dependsOn: [{name}, order-state]
"#
        )
    }

    fn routes(&self) -> String {
        let name = &self.name;
        format!(
            "      - {{method: POST, path: /api/{name}, handler: {name}-api, middlewares: [request-id, auth-middleware]}}\n      \
             - {{method: GET, path: \"/api/{name}/{{id}}\", handler: {name}-api, middlewares: [request-id, auth-middleware]}}\n"
        )
    }

    fn machine(&self) -> String {
        format!(
            r"      - name: {}
        initialState: new
        states: {{new: {{}}, tried: {{}}, withstood: {{isFinal: true}}, failed: {{isFinal: true, isError: true}}}}
        transitions:
          begin: {{fromState: new, toState: tried}}
          held: {{fromState: tried, toState: withstood}}
          gave_up: {{fromState: tried, toState: failed}}
",
            self.name
        )
    }

    fn hook(&self) -> String {
        format!("      - {{workflowType: {0}, transitions: [begin], handler: step-{0}}}\n", self.name)
    }
}

/// The config of the shop with these benches.
pub fn shop(folder: &Path, benches: &[&Bench]) -> PathBuf {
    let all = |part: fn(&Bench) -> String| benches.iter().map(|bench| part(bench)).collect::<String>();
    let changes = [
        ("  - name: step-validate\n", all(Bench::modules)),
        ("      - method: POST\n        path: /api/orders\n", all(Bench::routes)),
        ("    hooks:\n", String::new()),
        ("    definitions:\n", String::new()),
    ]
    .map(|(anchor, before)| (anchor, format!("{before}{anchor}")));
    let [modules, routes, (hooks, _), (definitions, _)] = &changes;
    let hooks = (*hooks, format!("{hooks}{}", all(Bench::hook)));
    let definitions = (*definitions, format!("{definitions}{}", all(Bench::machine)));
    changed_monolith(folder, &[modules, routes, &hooks, &definitions].map(|(from, to)| (*from, to.as_str())))
}

/// What a process says of a component's file.
enum Told {
    Serves,
    Refused(String),
}

/// A process with benches, and who has them try something.
pub struct Trial<'a> {
    pub process: &'a Process,
    pub customer: &'a Client,
}

impl Trial<'_> {
    /// Has a bench try an attack, and puts a good component back in its place.
    pub async fn try_out(&self, bench: &Bench, attack: &Attack) {
        let what = attack.what;
        match (&attack.by, &attack.end) {
            (Means::File(bytes), End::Refused(says)) => {
                let (digest, from) = (digest(bytes), self.lines());
                replace(&bench.file, bytes);
                self.refused(what, bench, says, Some(&digest), from).await;
            }
            (Means::Link(to), end) => {
                let End::Refused(says) = end else { unreachable!("a link is no component") };
                let from = self.lines();
                let beside = bench.file.with_extension("link");
                std::os::unix::fs::symlink(to, &beside).unwrap();
                std::fs::rename(&beside, &bench.file).unwrap();
                self.refused(what, bench, says, None, from).await;
                self.swap(what, bench, &marked(&bench.good, what)).await;
            }
            (Means::File(bytes), end) => {
                self.swap(what, bench, bytes).await;
                self.answer(what, bench, "", end, &digest(bytes)).await;
            }
            (Means::Jobs(mode, times), end) => {
                let digest = digest(&std::fs::read(&bench.file).unwrap());
                let jobs = (0..*times).map(|_| self.answer(what, bench, mode, end, &digest));
                futures::future::join_all(jobs).await;
            }
        }
    }

    /// Puts a good component in the place of a bench's, and has it do some jobs: it owes nothing to what was tried before.
    pub async fn goes_on(&self, bench: &Bench, mark: &str) {
        self.swap("a good component", bench, &marked(&bench.good, mark)).await;
        self.works(bench).await;
    }

    /// A component that behaves does as many jobs as its breaker needs to see.
    pub async fn works(&self, bench: &Bench) {
        for _ in 0..3 {
            let id = self.place(bench, "accept").await;
            let done = self.ended(bench, &id).await;
            assert_eq!(done["state"], "withstood", "a good job of {} fails: {done:#}", bench.name);
        }
    }

    /// Replaces the file of a bench all the time for a second, with versions that differ: the last one serves.
    pub async fn replaced_all_the_time(&self, bench: &Bench) {
        for number in 0..REPLACED {
            replace(&bench.file, &marked(&bench.good, &format!("version {number}")));
            tokio::time::sleep(Duration::from_secs(1) / REPLACED as u32).await;
        }
        self.goes_on(bench, "the last one").await;
    }

    async fn swap(&self, what: &str, bench: &Bench, bytes: &[u8]) {
        let (digest, from) = (digest(bytes), self.lines());
        replace(&bench.file, bytes);
        match self.told(what, bench, Some(&digest), from).await {
            Told::Serves => {}
            Told::Refused(reason) => panic!("{what}: the file is refused: {reason}"),
        }
    }

    async fn refused(&self, what: &str, bench: &Bench, says: &str, digest: Option<&str>, from: usize) {
        match self.told(what, bench, digest, from).await {
            Told::Refused(reason) => {
                assert!(says.split('|').any(|part| reason.contains(part)), "{what}: '{reason}' does not say '{says}'");
                assert!(reason.contains(&format!("{}.wasm", bench.name)), "{what}: '{reason}' does not name the file");
            }
            Told::Serves => panic!("{what}: the file is taken"),
        }
        // What served before goes on.
        self.works(bench).await;
    }

    /// Lines of the log until now.
    fn lines(&self) -> usize {
        self.process.log().lock().len()
    }

    /// The first of the lines from there on that `found` finds something in.
    async fn line<T>(&self, what: &str, from: usize, found: impl Fn(&Value) -> Option<T>) -> T {
        let (log, deadline, mut next) = (self.process.log(), Instant::now() + LONG, from);
        loop {
            let lines = log.lock().get(next..).unwrap_or_default().to_vec();
            next += lines.len();
            if let Some(found) = lines.iter().filter_map(|line| serde_json::from_str(line).ok()).find_map(|line| found(&line)) {
                return found;
            }
            assert!(Instant::now() < deadline, "{what}: the log does not tell after {LONG:?}: {:#?}", log.lock().get(from..));
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn told(&self, what: &str, bench: &Bench, digest: Option<&str>, from: usize) -> Told {
        let told = |line: &Value| {
            // A file that could not be read as a whole has no digest.
            let is_it =
                line["component"] == *bench.name && (line["digest"].is_null() || digest.is_none_or(|digest| line["digest"] == *digest));
            match line["message"].as_str().filter(|_| is_it)? {
                "a new version of a component serves" => Some(Told::Serves),
                "the file of a component was refused" => Some(Told::Refused(line["reason"].as_str()?.to_owned())),
                _ => None,
            }
        };
        self.line(what, from, told).await
    }

    async fn place(&self, bench: &Bench, mode: &str) -> String {
        let answer = self.customer.post(&format!("/api/{}", bench.name), &json!({"mode": mode})).await;
        assert_eq!(answer.status, reqwest::StatusCode::CREATED, "{}: {answer:?}", bench.name);
        answer.body["id"].as_str().unwrap().to_owned()
    }

    async fn ended(&self, bench: &Bench, id: &str) -> Value {
        let (path, deadline) = (format!("/api/{}/{id}", bench.name), Instant::now() + LONG);
        loop {
            let answer = self.customer.get(&path).await;
            if answer.body["final"] == true {
                return answer.body;
            }
            assert!(Instant::now() < deadline, "{id} has not ended after {LONG:?}: {:#}", answer.body);
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Has the component do a job, and looks at what it comes to.
    async fn answer(&self, what: &str, bench: &Bench, mode: &str, end: &End, digest: &str) {
        let from = self.lines();
        let id = self.place(bench, mode).await;
        let ended = self.ended(bench, &id).await;
        let last = ended["history"].as_array().unwrap().last().unwrap();
        // Whatever it has answered, the host says what is whose.
        assert_eq!(
            (&ended["id"], last["component"].as_str(), last["digest"].as_str()),
            (&json!(id), Some(&*bench.name), Some(digest)),
            "{what}: {ended:#}"
        );
        let reason = last["reason"].as_str().unwrap_or_default();
        match end {
            End::Fails(says) => {
                assert_eq!(ended["state"], "failed", "{what}: {ended:#}");
                // Its customer is told that it broke off; the log says how.
                let failed = |line: &Value| {
                    let is_it = line["message"] == "an attempt failed" && line["instance"] == *id && line["digest"] == *digest;
                    (is_it && line["step"] == format!("step-{}", bench.name))
                        .then(|| line["reason"].as_str().unwrap_or_default().to_owned())
                };
                let reason = self.line(what, from, failed).await;
                let named = format!("component '{}' (version {})", bench.name, &digest[..12]);
                let says_so = says.split('|').any(|part| reason.contains(part));
                assert!(says_so && reason.contains(&named), "{what}: '{reason}' does not say '{says}' of {named}");
            }
            End::Rejects(says) => assert!(ended["state"] == "failed" && reason.contains(says), "{what}: {ended:#}"),
            End::NoEffect(results) => {
                assert_eq!(ended["state"], "withstood", "{what}: {ended:#}");
                let results: Value = results.map_or_else(|| json!({}), |results| serde_json::from_str(results).unwrap());
                for (name, value) in results.as_object().unwrap() {
                    assert_eq!(&ended["data"][name], value, "{what}: {ended:#}");
                }
                assert_eq!(ended["data"]["mode"], mode, "{what} changes what its customer wrote: {ended:#}");
            }
            End::Refused(_) => unreachable!("the file serves"),
        }
    }
}

pub fn digest(bytes: &[u8]) -> String {
    millrace::services::engine::hex(&sha2::Sha256::digest(bytes))
}

/// As an editor or a deploy does it: written beside, then renamed.
fn replace(path: &Path, bytes: &[u8]) {
    let beside = path.with_extension("new");
    std::fs::write(&beside, bytes).unwrap();
    std::fs::rename(&beside, path).unwrap();
}

/// Waits until the process says that it is ready; a refused file makes it no less so.
pub async fn ready(client: &Client) {
    let deadline = Instant::now() + PATIENCE;
    while client.get("/readyz").await.status != reqwest::StatusCode::OK {
        assert!(Instant::now() < deadline, "not ready: {:#}", client.get("/healthz").await.body);
        tokio::time::sleep(LOOK).await;
    }
}

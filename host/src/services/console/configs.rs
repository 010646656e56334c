//! The config of the process, for those who want to change it: what is wrong with a text, what it changes, and whose work it would strand.

use std::path::PathBuf;
use std::sync::Arc;

use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Semaphore;

use super::keeping::Keeping;
use super::newcomers::NewPlace;
use super::outward::Outward;
use super::spent::Spent;
use crate::plan::{Plan, changes};
use crate::services::ServiceError;
use crate::services::operations::{Lack, Names, Stranded};

/// What was made aside, to be put in place when it is certain that it is wanted.
pub struct TakeOver {
    /// Stores what a start has to find once it is in place.
    pub record: BoxFuture<'static, anyhow::Result<()>>,
    /// Puts it in place, after that.
    pub put: Box<dyn FnOnce() -> anyhow::Result<()> + Send>,
}

/// Reads, judges and writes the config of the process, and has the process take it.
pub trait Configs: Send + Sync {
    /// The config that the process was started from, as its file is now.
    ///
    /// # Errors
    /// It cannot be read.
    fn read(&self) -> std::io::Result<Written>;
    /// What a start would say to a text in its place.
    fn judge(&self, text: &str) -> Judged;
    /// What is different in a text from what the process was started with.
    fn changes(&self, text: &str) -> Vec<Changed>;
    /// The JSON Schema of configs.
    fn schema(&self) -> Value;
    /// The file as it is, secrets and all.
    ///
    /// # Errors
    /// It cannot be read.
    fn text(&self) -> std::io::Result<String>;
    /// Where the file of a component goes that the config does not have yet: as the config says it, and as a path.
    ///
    /// # Errors
    /// The config cannot be read.
    fn place_of_new(&self, component: &str) -> Result<(String, PathBuf), String>;
    /// A text that was made from what [`Configs::read`] shows, with the secrets that are hidden there.
    ///
    /// # Errors
    /// The problems of the places whose secret is not known, as a check tells them.
    fn restored(&self, text: &str) -> Result<String, Vec<Value>>;
    /// What of a text may leave the process.
    ///
    /// # Errors
    /// It cannot be read, in one sentence.
    fn outward(&self, text: &str) -> Result<Outward, String>;
    /// A text with its secrets hidden.
    fn shown(&self, text: &str) -> String;
    /// What a text means with the variables of the process, secrets too.
    ///
    /// # Errors
    /// It cannot run, and what to look at, without the values of variables.
    fn resolve(&self, text: &str) -> Result<Plan, String>;
    /// What the text that the process runs means with the variables that are no secrets.
    fn shown_running(&self) -> Option<Arc<Plan>>;
    /// What the process runs.
    fn running(&self) -> Arc<Plan>;
    /// Digest of the text that the process runs.
    fn running_digest(&self) -> Option<String>;
    /// Why the file cannot be written, if it cannot.
    fn refusal(&self) -> Option<String>;
    /// Writes the file, as a whole or not at all, durably.
    ///
    /// # Errors
    /// What the system says; then the file is what it was.
    fn put(&self, text: &str) -> std::io::Result<()>;
    /// Makes aside what a plan says, of which nothing takes a restart. Nothing has changed before it is [taken](Self::take).
    ///
    /// # Errors
    /// It cannot be built, and why.
    fn prepare(&self, plan: Plan) -> BoxFuture<'static, anyhow::Result<TakeOver>>;
    /// Has the process run what was made of this text, which is in the file.
    ///
    /// # Errors
    /// The process does not serve now, or the store cannot write; then it runs on as it was.
    fn take<'a>(&'a self, text: &'a str, take_over: TakeOver) -> BoxFuture<'a, anyhow::Result<()>>;
}

/// A config as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Config")]
pub struct Written {
    /// The file.
    pub path: String,
    /// Its text; variables are not filled in, and secrets that are written in it are blotted out.
    pub text: String,
    /// SHA-256 of the file, in hex; the `ETag`.
    pub digest: String,
    /// The process runs just this.
    pub runs: bool,
    /// It can be written by the process.
    pub writable: bool,
    /// Why not.
    pub why_not: Option<String>,
}

/// What a start would say to a text.
pub struct Judged {
    /// As `millrace validate --format json` tells it.
    pub report: Value,
    /// What it means; nothing if it cannot run.
    pub plan: Option<Plan>,
    /// SHA-256 of the text, in hex.
    pub digest: String,
}

/// A text that is judged.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ConfigText")]
pub struct TextBody {
    /// The whole config.
    pub text: String,
}

/// What is wrong with a text.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "ConfigCheck")]
pub struct CheckBody {
    /// It could run here.
    pub valid: bool,
    /// Errors and warnings: severity, line, column, end, module, pointer, code, message and help.
    pub problems: Vec<Value>,
}

/// Something that is different from what runs.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Changed {
    /// The part that it is in, for example `module web-server` or `route GET /api/things`.
    pub part: String,
    /// Where in that part; empty where the part itself came or went.
    pub pointer: String,
    /// What was there; null where nothing was.
    pub from: Option<Value>,
    /// What is there now; null where nothing is.
    pub to: Option<Value>,
}

/// What a text would change.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "ConfigPlan")]
pub struct PlanBody {
    /// It could run here.
    pub valid: bool,
    /// As a check tells them.
    pub problems: Vec<Value>,
    /// SHA-256 of the text, in hex.
    pub digest: String,
    /// What is different from what runs.
    pub changes: Vec<Changed>,
    /// How the process takes the changes over: `nothing` has to be done, `live` without a restart, or by a `restart`.
    pub takes: &'static str,
    /// Parts that change without a restart, for example `route GET /api/things`; they wait for it where another part takes one.
    pub live: Vec<String>,
    /// Parts that take a restart, for example `module web-server`.
    pub restart: Vec<String>,
    /// What unfinished instances need and the text does not name: their work would be set aside.
    pub stranded: Vec<StrandedBody>,
}

/// Unfinished instances that would be stranded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "Stranded")]
pub struct StrandedBody {
    /// Their workflow.
    pub workflow: String,
    /// What they need, for example `component 'x'`.
    pub what: String,
    /// How many they are.
    pub instances: u64,
}

impl From<Lack> for StrandedBody {
    fn from(Lack { workflow, what, instances }: Lack) -> Self {
        Self { workflow, what, instances }
    }
}

/// The config of a process. Clones share everything.
#[derive(Clone)]
pub struct ConfigDesk {
    pub(super) configs: Arc<dyn Configs>,
    pub(super) keeping: Arc<Keeping>,
    /// What unfinished instances need; nothing in a process without a database.
    pub(super) stranded: Option<Stranded>,
    /// A text is judged at a time: it takes a while, and is asked for with each key that somebody presses.
    turn: Arc<Semaphore>,
    /// What was asked of the model.
    pub(super) spent: Arc<Spent>,
}

impl ConfigDesk {
    /// Over these parts.
    #[must_use]
    pub fn new(configs: Arc<dyn Configs>, stranded: Option<Stranded>, keeping: Keeping) -> Self {
        Self { configs, keeping: Arc::new(keeping), stranded, turn: Arc::new(Semaphore::new(1)), spent: Arc::default() }
    }

    /// The config as its file is now.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&self) -> Result<Written, ServiceError> {
        self.configs.read().map_err(|error| ServiceError::Unavailable {
            detail: format!("the config cannot be read: {error}"),
            retry_after: std::time::Duration::from_secs(5),
        })
    }

    /// SHA-256 of the text that the process runs, in hex, if it is known.
    #[must_use]
    pub fn running_digest(&self) -> Option<String> {
        self.configs.running_digest()
    }

    /// Where the file of a component goes that the config does not have yet.
    ///
    /// # Errors
    /// The config cannot be read.
    pub fn place_of_new(&self, component: &str) -> Result<NewPlace, ServiceError> {
        let (source, file) = self.configs.place_of_new(component).map_err(ServiceError::Conflict)?;
        Ok(NewPlace { source, file })
    }

    /// The JSON Schema of configs.
    #[must_use]
    pub fn schema(&self) -> Value {
        self.configs.schema()
    }

    /// What is wrong with a text in the place of the config.
    pub async fn check(&self, text: &str) -> CheckBody {
        let _turn = self.turn.acquire().await;
        match self.configs.restored(text) {
            Ok(text) => {
                let (valid, problems) = told(self.configs.judge(&text).report);
                CheckBody { valid, problems }
            }
            Err(hidden) => CheckBody { valid: false, problems: with_hidden(hidden, told(self.configs.judge(text).report).1) },
        }
    }

    /// What a text would change, and whose work it would strand.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn plan(&self, text: &str) -> Result<PlanBody, ServiceError> {
        match self.configs.restored(text) {
            Ok(text) => self.plan_of(&text).await,
            Err(hidden) => {
                let planned = self.plan_of(text).await?;
                Ok(PlanBody { valid: false, problems: with_hidden(hidden, planned.problems), ..planned })
            }
        }
    }

    /// The same of a text as it is.
    pub(super) async fn plan_of(&self, text: &str) -> Result<PlanBody, ServiceError> {
        let turn = self.turn.acquire().await;
        let (judged, changes) = (self.configs.judge(text), self.configs.changes(text));
        // Variables that are secret read as others here, so what runs is compared as it is.
        let real = self.configs.resolve(text).ok();
        drop(turn);
        let lacks = match (&judged.plan, &self.stranded) {
            (Some(plan), Some(stranded)) => stranded.lacks_with(&Names::of(plan)).await?,
            _ => Vec::new(),
        };
        let restart = self.restart(judged.plan.as_ref(), real.as_ref());
        let mut live: Vec<String> = changes.iter().map(|change| change.part.clone()).filter(|part| !restart.contains(part)).collect();
        live.dedup();
        let takes = match (restart.is_empty(), live.is_empty()) {
            (false, _) => "restart",
            (true, false) => "live",
            (true, true) => "nothing",
        };
        let (valid, problems) = told(judged.report);
        let stranded = lacks.into_iter().map(StrandedBody::from).collect();
        Ok(PlanBody { valid, problems, digest: judged.digest, changes, takes, live, restart, stranded })
    }
}

impl ConfigDesk {
    /// Parts of a text that take a restart, by names without the secrets that variables may have put into them.
    fn restart(&self, shown: Option<&Plan>, real: Option<&Plan>) -> Vec<String> {
        let shown_running = self.configs.shown_running();
        let parts = match (&shown_running, shown) {
            (Some(running), Some(plan)) => changes::needs_restart(running, plan),
            _ => Vec::new(),
        };
        let is_needed = real.is_some_and(|plan| !changes::needs_restart(&self.configs.running(), plan).is_empty());
        if is_needed && parts.is_empty() { vec!["what a secret variable says".to_owned()] } else { parts }
    }
}

/// The problems of a text with hidden secrets that nobody knows: what else is said of these says nothing.
fn with_hidden(mut hidden: Vec<Value>, others: Vec<Value>) -> Vec<Value> {
    let others: Vec<Value> = others.into_iter().filter(|other| hidden.iter().all(|one| one["pointer"] != other["pointer"])).collect();
    hidden.extend(others);
    hidden
}

fn told(mut report: Value) -> (bool, Vec<Value>) {
    let problems = match report["problems"].take() {
        Value::Array(problems) => problems,
        _ => Vec::new(),
    };
    (report["valid"] == true, problems)
}

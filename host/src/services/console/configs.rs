//! The config of the process, for those who want to change it: what is wrong with a text, what it changes, and whose work it would strand.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::plan::Plan;
use crate::services::ServiceError;
use crate::services::operations::{Lack, Names, Stranded};

/// Reads and judges configs, and runs none.
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
    /// The process was started with just this.
    pub runs: bool,
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
    /// What takes the changes over: always `restart` for now.
    pub takes: &'static str,
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
    configs: Arc<dyn Configs>,
    /// What unfinished instances need; nothing in a process without a database.
    stranded: Option<Stranded>,
    /// A text is judged at a time: it takes a while, and is asked for with each key that somebody presses.
    turn: Arc<Semaphore>,
}

impl ConfigDesk {
    /// Over these parts.
    #[must_use]
    pub fn new(configs: Arc<dyn Configs>, stranded: Option<Stranded>) -> Self {
        Self { configs, stranded, turn: Arc::new(Semaphore::new(1)) }
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

    /// The JSON Schema of configs.
    #[must_use]
    pub fn schema(&self) -> Value {
        self.configs.schema()
    }

    /// What is wrong with a text in the place of the config.
    pub async fn check(&self, text: &str) -> CheckBody {
        let _turn = self.turn.acquire().await;
        let (valid, problems) = told(self.configs.judge(text).report);
        CheckBody { valid, problems }
    }

    /// What a text would change, and whose work it would strand.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn plan(&self, text: &str) -> Result<PlanBody, ServiceError> {
        let turn = self.turn.acquire().await;
        let (judged, changes) = (self.configs.judge(text), self.configs.changes(text));
        drop(turn);
        let lacks = match (&judged.plan, &self.stranded) {
            (Some(plan), Some(stranded)) => stranded.lacks_with(&Names::of(plan)).await?,
            _ => Vec::new(),
        };
        let (valid, problems) = told(judged.report);
        let stranded = lacks.into_iter().map(StrandedBody::from).collect();
        Ok(PlanBody { valid, problems, digest: judged.digest, changes, takes: "restart", stranded })
    }
}

fn told(mut report: Value) -> (bool, Vec<Value>) {
    let problems = match report["problems"].take() {
        Value::Array(problems) => problems,
        _ => Vec::new(),
    };
    (report["valid"] == true, problems)
}

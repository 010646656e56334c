//! Saving a config is putting it in use: judged, compared with what runs, written as a whole, and taken over as far as that goes without a restart.
//!
//! The sequence is what makes it safe to end anywhere: the text is kept in the history before the file changes, and the file changes by one
//! rename. So the file is the old text or the new one, and each text that it ever was can be found.

use std::io;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::actor::Actor;
use super::components::check_reason;
use super::configs::{Changed, ConfigDesk, PlanBody, StrandedBody, TakeOver};
use super::history::{HistoryBody, Saved, SavedText};
use super::keeping::{ConfigStanding, digest};
use crate::plan::Plan;
use crate::runtime;
use crate::services::ServiceError;
use crate::services::engine::Stillness;
use crate::services::operations::Names;
use crate::store::Object;

/// The word for programs where the file is not what the caller has seen.
pub const CONFIG_CHANGED: &str = "config_changed";
/// Errors of a config that are told in one line.
const PROBLEMS_TOLD: usize = 3;
/// Until what begins has been written; beginnings wait for as long.
const STILL_WITHIN: Duration = Duration::from_secs(5);
/// The word for programs where the text cannot be the config.
pub(super) const CONFIG_INVALID: &str = "config_invalid";
/// Who has saved a text that was found in the file.
const BY_HAND: &str = "file";

/// A text that is to be the config.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SaveConfigRequest")]
pub struct SaveBody {
    /// The whole config. A secret that is hidden keeps what its place says in the file.
    pub text: String,
    /// Why; it is written down with who it was.
    pub reason: String,
}

/// A text that is to be the config again.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RollBackConfigRequest")]
pub struct RollbackBody {
    /// SHA-256 of a text of the history, in hex.
    pub digest: String,
    /// Why; it is written down with who it was.
    pub reason: String,
}

/// What a save came to.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "SaveConfigResult")]
pub struct SaveResult {
    /// In one sentence.
    pub done: String,
    /// SHA-256 of the file, in hex; the `ETag`.
    pub digest: String,
    /// What is different from what ran before it.
    pub changes: Vec<Changed>,
    /// Whether the process runs it now. If not, it does after a restart.
    pub runs: bool,
    /// Parts that have changed without a restart, or could have.
    pub live: Vec<String>,
    /// Parts that take a restart. While there are any, nothing of the text runs.
    pub restart: Vec<String>,
    /// Why the process could not take it without a restart, though no part takes one.
    pub problem: Option<String>,
}

impl ConfigDesk {
    /// Makes a text the config. `expected` is the digest of the file that it was made from.
    ///
    /// # Errors
    /// The file is another by now ([`CONFIG_CHANGED`]); the text cannot run here or would strand instances; the file cannot
    /// be written. Then everything is as it was.
    pub async fn save(&self, actor: &Actor, body: &SaveBody, expected: Option<&str>) -> Result<SaveResult, ServiceError> {
        check_reason(&body.reason)?;
        let _turn = self.keeping.turn.acquire().await;
        let before = self.expected(expected)?;
        let text = self.configs.restored(&body.text).map_err(|problems| {
            let told: Vec<&str> = problems.iter().filter_map(|problem| problem["message"].as_str()).collect();
            refused(told.join("; "), CONFIG_INVALID, json!({"problems": problems}))
        })?;
        self.make(actor, ("config.save", &body.reason), &before, &text).await
    }

    /// Makes a text of the history the config again.
    ///
    /// # Errors
    /// There is no such text; else as for a save.
    pub async fn roll_back(&self, actor: &Actor, body: &RollbackBody, expected: Option<&str>) -> Result<SaveResult, ServiceError> {
        check_reason(&body.reason)?;
        let _turn = self.keeping.turn.acquire().await;
        let before = self.expected(expected)?;
        let found = self.keeping.history.find(&body.digest).map_err(unreadable)?;
        let (_, text) =
            found.ok_or_else(|| ServiceError::Conflict(format!("the history has no config with the digest '{}'", body.digest)))?;
        self.make(actor, ("config.rollback", &body.reason), &before, &text).await
    }

    /// The texts that the config had.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn history(&self) -> Result<HistoryBody, ServiceError> {
        let text = self.configs.text().map_err(unreadable)?;
        Ok(HistoryBody { items: self.keeping.history.list().map_err(unreadable)?, current: digest(&text) })
    }

    /// One of them.
    ///
    /// # Errors
    /// There is none with this digest.
    pub fn earlier(&self, digest: &str) -> Result<SavedText, ServiceError> {
        let found = self.keeping.history.find(digest).map_err(unreadable)?;
        let (saved, text) = found.ok_or_else(|| ServiceError::NotFound { what: format!("config '{digest}'") })?;
        Ok(SavedText { saved, text: self.configs.shown(&text) })
    }

    /// What going back to one of them would change, and whose work it would strand: of the text as it was, with its secrets.
    ///
    /// # Errors
    /// There is none with this digest, or the store cannot be read.
    pub async fn plan_earlier(&self, digest: &str) -> Result<PlanBody, ServiceError> {
        let found = self.keeping.history.find(digest).map_err(unreadable)?;
        let (_, text) = found.ok_or_else(|| ServiceError::NotFound { what: format!("config '{digest}'") })?;
        self.plan_of(&text).await
    }

    /// The text of the file, if it is what the caller has seen.
    fn expected(&self, expected: Option<&str>) -> Result<String, ServiceError> {
        let text = self.configs.text().map_err(unreadable)?;
        let now = digest(&text);
        if expected.is_none_or(|expected| expected == now) {
            return Ok(text);
        }
        let last = self.keeping.history.find(&now).map_err(unreadable)?.map(|(saved, _)| saved);
        let who = last.as_ref().map_or(BY_HAND, |saved| saved.who.as_str());
        let members = json!({
            "digest": now, "text": self.configs.shown(&text), "who": who,
            "at": last.as_ref().map(|saved| saved.at), "reason": last.as_ref().map(|saved| saved.reason.as_str()),
        });
        let detail = format!("the config has changed since it was read: it was saved by '{who}'; `text` is what it says now");
        Err(ServiceError::Differs { detail, code: CONFIG_CHANGED, members: object(members) })
    }

    async fn make(&self, actor: &Actor, (action, reason): (&str, &str), before: &str, text: &str) -> Result<SaveResult, ServiceError> {
        if let Some(why) = self.configs.refusal() {
            return Err(ServiceError::Conflict(why));
        }
        let planned = self.plan_of(text).await?;
        let (take_over, names) = self.judged(text, &planned).await?;
        let (was, new) = (digest(before), digest(text));
        // Judging takes its time: instances have begun meanwhile, and none may here until the text is in place, and runs if it takes no restart.
        let _still = self.last_look(&names).await?;
        if was != new {
            // Others write the file too.
            self.expected(Some(&was))?;
            self.note(actor, action, (&was, &new), reason).await?;
            self.expected(Some(&was))?;
            self.write(actor, reason, before, text)?;
        }
        tracing::info!(digest = new, was, who = actor.who(), reason, "the config was saved");
        Ok(self.taken(planned, text, take_over).await)
    }

    /// Whether a text may be the config: its components can be built. What has the process run it, if nothing of it takes a restart and it does
    /// not run it yet; and what it names.
    pub(super) async fn judged(&self, text: &str, planned: &PlanBody) -> Result<(Option<TakeOver>, Names), ServiceError> {
        if !planned.valid {
            let detail = format!("the config cannot run here: {}", in_words(&planned.problems));
            return Err(refused(detail, CONFIG_INVALID, json!({"problems": planned.problems})));
        }
        let plan = self.configs.resolve(text).map_err(|why| refused(why, CONFIG_INVALID, json!({"problems": []})))?;
        strands_nobody(&planned.stranded)?;
        let names = Names::of(&plan);
        if planned.restart.is_empty() {
            return Ok((self.prepared(text, plan).await?, names));
        }
        self.check_components(&plan).await?;
        Ok((None, names))
    }

    /// Refuses what would strand an instance that has begun by now. No other one begins while the answer is there, if the config has fewer
    /// names than the one that runs.
    pub(super) async fn last_look(&self, names: &Names) -> Result<Option<Stillness>, ServiceError> {
        let Some(stranded) = &self.stranded else { return Ok(None) };
        let looked = tokio::time::timeout(STILL_WITHIN, stranded.last_look(names)).await;
        let (lacks, still) = looked.map_err(|_| ServiceError::Unavailable {
            detail: "an instance that begins is not written in time; nothing was changed".into(),
            retry_after: STILL_WITHIN,
        })??;
        strands_nobody(&lacks.into_iter().map(StrandedBody::from).collect::<Vec<_>>())?;
        Ok(still)
    }

    async fn prepared(&self, text: &str, plan: Plan) -> Result<Option<TakeOver>, ServiceError> {
        if self.configs.running_digest().is_some_and(|running| running == digest(text)) {
            return Ok(None);
        }
        let take_over = self.configs.prepare(plan).await.map_err(|error| {
            let problem = json!({"severity": "error", "message": format!("{error:#}")});
            let detail = format!("the config cannot be built, and the process runs on as it was: {error:#}");
            refused(detail, CONFIG_INVALID, json!({"problems": [problem]}))
        })?;
        Ok(Some(take_over))
    }

    async fn check_components(&self, plan: &Plan) -> Result<(), ServiceError> {
        let running = self.configs.running();
        let changed: Vec<_> = plan.components.iter().filter(|component| !running.components.contains(component)).cloned().collect();
        if !changed.is_empty() {
            let judged = runtime::check(self.keeping.compiler.clone(), changed, self.keeping.clock.clone(), true).await;
            let rejected = judged.map_err(|error| ServiceError::Conflict(format!("{error:#}")))?;
            let problems: Vec<Value> =
                rejected.into_iter().map(|one| json!({"severity": "error", "module": one.module, "message": one.reason})).collect();
            if !problems.is_empty() {
                let detail = format!("a component of the config cannot be built: {}", in_words(&problems));
                return Err(refused(detail, CONFIG_INVALID, json!({"problems": problems})));
            }
        }
        Ok(())
    }

    async fn note(&self, actor: &Actor, action: &str, (was, new): (&str, &str), reason: &str) -> Result<(), ServiceError> {
        let Some(audit) = &self.keeping.audit else { return Ok(()) };
        let subject = format!("config@{new} (was {})", &was[..12.min(was.len())]);
        audit.note(vec![actor.of.did(self.keeping.clock.now(), action, subject, Some(reason.to_owned()))]).await?;
        Ok(())
    }

    fn write(&self, actor: &Actor, reason: &str, before: &str, text: &str) -> Result<(), ServiceError> {
        let failed = |error: io::Error| {
            let is = self.configs.text().map_or("cannot be read", |now| if now == before { "is what it was" } else { "is another by now" });
            ServiceError::Conflict(format!("the config cannot be written: {error}; the file {is}"))
        };
        let history = &self.keeping.history;
        self.find_by_hand(before).map_err(failed)?;
        let saved = Saved { number: 0, at: self.keeping.clock.now(), who: actor.who().into(), reason: reason.into(), digest: digest(text) };
        let saved = history.add(saved, text).map_err(failed)?;
        self.configs.put(text).map_err(|error| {
            history.remove(saved.number);
            failed(error)
        })
    }

    /// Keeps what somebody has written into the file by hand, if it can run: where the secrets of another text are, nobody knows.
    pub(super) fn find_by_hand(&self, text: &str) -> io::Result<()> {
        let (history, digest) = (&self.keeping.history, digest(text));
        if history.find(&digest)?.is_none() && self.configs.resolve(text).is_ok() {
            let reason = "found in the file".to_owned();
            history.add(Saved { number: 0, at: self.keeping.clock.now(), who: BY_HAND.into(), reason, digest }, text)?;
        }
        Ok(())
    }

    /// Has the process take what is in the file, if nothing of it takes a restart.
    pub(super) async fn taken(&self, planned: PlanBody, text: &str, take_over: Option<TakeOver>) -> SaveResult {
        let PlanBody { changes, live, restart, .. } = planned;
        let problem = match take_over {
            Some(take_over) => self.configs.take(text, take_over).await.err().map(|error| format!("{error:#}")),
            None => None,
        };
        let runs = restart.is_empty() && problem.is_none();
        let done = match &problem {
            None if runs => "the config is saved, and the process runs it".to_owned(),
            None => format!("the config is saved; it takes a restart of the process, for {}", restart.join(", ")),
            Some(problem) => format!("the config is saved, and the process runs on as it was: {problem}"),
        };
        let standing = match &problem {
            None if runs => ConfigStanding::Runs,
            None => ConfigStanding::Restart(restart.clone()),
            Some(problem) => ConfigStanding::Refused(problem.clone()),
        };
        *self.keeping.seen.lock() = (Some(digest(text)), standing);
        SaveResult { done, digest: digest(text), changes, runs, live, restart, problem }
    }
}

fn strands_nobody(stranded: &[StrandedBody]) -> Result<(), ServiceError> {
    if stranded.is_empty() {
        return Ok(());
    }
    let told: Vec<String> = stranded.iter().map(|one| format!("{} of '{}' need {}", one.instances, one.workflow, one.what)).collect();
    let detail = format!("unfinished instances would be stranded: {}; keep the names until they have ended", told.join("; "));
    Err(refused(detail, "would_strand", json!({"stranded": stranded})))
}

fn unreadable(error: io::Error) -> ServiceError {
    let detail = format!("the config or its history cannot be read: {error}");
    ServiceError::Unavailable { detail, retry_after: Duration::from_secs(5) }
}

/// The errors among `problems`, as far as a line of a log or of the health takes them: there is no list beside these.
fn in_words(problems: &[Value]) -> String {
    let errors: Vec<&Value> = problems.iter().filter(|problem| problem["severity"] == "error").collect();
    let told = errors.iter().take(PROBLEMS_TOLD).map(|problem| {
        let message = problem["message"].as_str().unwrap_or_default();
        match (problem["line"].as_u64(), problem["column"].as_u64(), problem["module"].as_str()) {
            (Some(line), Some(column), _) => format!("line {line}, column {column}: {message}"),
            (.., Some(module)) => format!("'{module}': {message}"),
            _ => message.to_owned(),
        }
    });
    let told = told.collect::<Vec<_>>().join("; ");
    match errors.len().saturating_sub(PROBLEMS_TOLD) {
        0 => told,
        more => format!("{told}; and {more} more"),
    }
}

fn refused(detail: String, code: &'static str, members: Value) -> ServiceError {
    ServiceError::Differs { detail, code, members: object(members) }
}

fn object(members: Value) -> Object {
    match members {
        Value::Object(members) => members,
        _ => Object::new(),
    }
}

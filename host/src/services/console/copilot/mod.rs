//! A model that is asked for changes of the config, where the config names one: what it is told, how often, and what of its answer is believed.
//!
//! It has no say: what it proposes is edits, which a person sees as a difference, judged like any other text, before anything is changed. What it
//! reads is data, its answer too.

mod answer;
mod model;
mod prompt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

use self::answer::{Answer, Rules};
pub use self::answer::{Edit, Look};
pub use self::model::ModelError;
use self::model::{Model, Reply};
use super::actor::Actor;
use super::configs::ConfigDesk;
use super::outward::Outward;
use crate::plan;
use crate::services::ServiceError;
use crate::services::error::FieldError;

/// Bytes of a question.
const MAX_QUESTION: usize = 4_000;
/// How often a model is asked again, since something was wrong with its answer.
const MAX_AGAIN: usize = 2;
/// Problems that it is told of at once, and bytes of each.
const MAX_PROBLEMS: usize = 20;
const MAX_PROBLEM: usize = 500;
/// Characters of a question in the audit log.
const MAX_AUDITED: usize = 200;

/// A question to the model.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "CopilotQuestion")]
pub struct AskBody {
    /// What is wanted, in 4000 bytes or less.
    pub question: String,
    /// The whole config that it is about.
    pub text: String,
    /// What is selected, as a JSON pointer.
    pub selected: Option<String>,
    /// What the model has proposed before, and what was wrong with each; two at most.
    #[serde(default)]
    pub earlier: Vec<Earlier>,
}

/// A proposal that something was wrong with.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CopilotEarlier")]
pub struct Earlier {
    /// Its edits.
    pub edits: Vec<Edit>,
    /// What was wrong with them.
    pub problems: Vec<String>,
}

/// What the model proposes.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "CopilotAnswer")]
pub struct AskResult {
    /// By which it is named when it is applied.
    pub id: String,
    /// Name of the model.
    pub model: String,
    /// What it says.
    pub explanation: String,
    /// Edits of the config, each of what the one before leaves; none where it only has something to say.
    pub edits: Vec<Edit>,
    /// What of them deserves a second look, since it is about who may do what.
    pub look: Vec<Look>,
    /// Tokens that it has taken, where the endpoint tells.
    pub tokens: Option<u64>,
}

/// A proposal that somebody has applied.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CopilotApplied")]
pub struct AppliedBody {
    /// The `id` of the answer.
    pub id: String,
}

/// That it was written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "CopilotNoted")]
pub struct AppliedResult {
    /// Always.
    pub noted: bool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// It was not asked.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// It has not answered, or nothing that is of use.
    #[error(transparent)]
    Model(#[from] ModelError),
}

impl ConfigDesk {
    /// What the model proposes for a text. It is asked again, twice at most, where its answer cannot be used.
    ///
    /// # Errors
    /// The question is none, the text cannot be read, somebody has asked often enough, or the model does not answer.
    pub async fn ask(&self, settings: &plan::Copilot, actor: &Actor, body: &AskBody) -> Result<AskResult, AskError> {
        check(body)?;
        let outward = self.configs.outward(&body.text).map_err(|why| field("/text", why))?;
        let id = uuid::Uuid::now_v7().to_string();
        let _place = self.spent.begin(actor.who())?;
        let problems = self.check(&body.text).await.problems;
        let messages = prompt::messages(&self.configs.schema(), &outward, body, &problems)?;
        let question = crate::text::quoted(&(outward.blotted)(&body.question), MAX_AUDITED);
        self.note_copilot(actor, "ask", &id, format!("{}: {question}", settings.model)).await?;
        let asked = self.ask_until_useful(settings, actor, (&outward, messages)).await;
        let said = match &asked {
            Ok((answer, tokens)) => format!("{} edits, {} tokens", answer.edits.len(), told(*tokens)),
            Err(error) => error.to_string(),
        };
        self.note_copilot(actor, "answer", &id, said).await?;
        let (Answer { explanation, edits, look }, tokens) = asked?;
        self.spent.gave(&id, actor.who());
        Ok(AskResult { id, model: settings.model.clone(), explanation, edits, look, tokens })
    }

    /// Writes down that a proposal was applied.
    ///
    /// # Errors
    /// Nothing of that name was proposed to who asks, or it was applied already.
    pub async fn applied(&self, actor: &Actor, body: &AppliedBody) -> Result<AppliedResult, ServiceError> {
        if !self.spent.take(&body.id, actor.who()) {
            return Err(ServiceError::NotFound { what: format!("a proposal '{}' to you", crate::text::quoted(&body.id, 40)) });
        }
        self.note_copilot(actor, "applied", &body.id, String::new()).await?;
        Ok(AppliedResult { noted: true })
    }

    async fn ask_until_useful(
        &self,
        settings: &plan::Copilot,
        actor: &Actor,
        (outward, mut messages): (&Outward, Vec<Value>),
    ) -> Result<(Answer, Option<u64>), AskError> {
        let end = Instant::now() + settings.timeout;
        let model = Model::new(settings, end)?;
        let rules = Rules { outward };
        let (mut tokens, mut again) = (None, 0);
        loop {
            self.spent.spend(actor.who(), settings.per_hour, self.keeping.clock.steady())?;
            let Reply { content, tokens: taken } = model.ask(&messages).await?;
            tokens = tokens.zip(taken).map(|(a, b): (u64, u64)| a + b).or(taken);
            match rules.read(&content) {
                Ok(answer) => return Ok((answer, tokens)),
                Err(flaws) if again == MAX_AGAIN => return Err(ModelError::Useless(flaws.join("; ")).into()),
                Err(flaws) => {
                    again += 1;
                    messages.extend(prompt::again(&content, &flaws));
                }
            }
        }
    }

    async fn note_copilot(&self, actor: &Actor, action: &str, id: &str, reason: String) -> Result<(), ServiceError> {
        let Some(audit) = &self.keeping.audit else { return Ok(()) };
        let reason = Some(reason).filter(|reason| !reason.is_empty());
        let entry = actor.of.did(self.keeping.clock.now(), format!("copilot.{action}"), format!("copilot/{id}"), reason);
        audit.note(vec![entry]).await?;
        Ok(())
    }
}

fn told(tokens: Option<u64>) -> String {
    tokens.map_or_else(|| "an unknown number of".to_owned(), |tokens| tokens.to_string())
}

fn field(pointer: &str, detail: String) -> ServiceError {
    let errors = vec![FieldError { pointer: pointer.to_owned(), detail: detail.clone() }];
    ServiceError::Invalid { detail, errors }
}

fn check(body: &AskBody) -> Result<(), ServiceError> {
    let length = body.question.len();
    if body.question.trim().is_empty() || length > MAX_QUESTION {
        return Err(field("/question", format!("a question has 1 to {MAX_QUESTION} bytes, and this has {length}")));
    }
    if body.earlier.len() > MAX_AGAIN {
        return Err(field(
            "/earlier",
            format!("a model is asked again {MAX_AGAIN} times at most, and this would be time {}", body.earlier.len()),
        ));
    }
    Ok(())
}

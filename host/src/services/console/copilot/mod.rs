//! A model that is asked for changes of the config, where the config names one: what it is told, how often, and what of its answer is believed.
//!
//! It has no say: what it proposes is edits, which a person sees as a difference, judged like any other text, before anything is changed. What it
//! reads is data, its answer too.

mod answer;
mod draft;
mod model;
mod prompt;

use std::future::Future;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

pub use self::answer::Look;
use self::answer::{Answer, Rules};
pub use self::draft::Edit;
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
/// How often a model is asked for one question: again twice, since something was wrong with its answer, whoever has found that.
const MOST_ASKED: usize = 3;
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
    /// How often the model was asked for it already, as the answer before has told; two at most.
    #[serde(default)]
    pub asked: usize,
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
    /// How often it was asked for it by now, three times at most.
    pub asked: usize,
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
    /// Nobody waits for the answer.
    #[error("who has asked has stopped it")]
    Stopped,
}

/// What a question has taken by now.
#[derive(Debug, Default)]
struct Taken {
    /// How often the model was asked, also on behalf of the page before.
    asked: usize,
    /// Tokens of its answers, where the endpoint tells.
    tokens: Option<u64>,
}

impl ConfigDesk {
    /// What the model proposes for a text. It is asked again where its answer cannot be used, three times in all at most. It is asked no more
    /// once `stopped` ends; what was spent by then is written down all the same, so whoever calls this has to see it to its end.
    ///
    /// # Errors
    /// The question is none, the text cannot be read, somebody has asked often enough, or the model does not answer.
    pub async fn ask<S>(&self, settings: &plan::Copilot, actor: &Actor, body: &AskBody, stopped: S) -> Result<AskResult, AskError>
    where
        S: Future<Output = ()> + Send,
    {
        check(body)?;
        let outward = self.configs.outward(&body.text).map_err(|why| field("/text", why))?;
        let id = uuid::Uuid::now_v7().to_string();
        let _place = self.spent.begin(actor.who())?;
        let problems = self.check(&body.text).await.problems;
        let messages = prompt::messages(&self.configs.schema(), &outward, body, &problems)?;
        let question = crate::text::quoted(&(outward.blotted)(&body.question), MAX_AUDITED);
        self.note_copilot(actor, "ask", &id, format!("{}: {question}", settings.model)).await?;
        let mut taken = Taken { asked: body.asked.max(body.earlier.len()), tokens: None };
        let asked = tokio::select! {
            biased;
            () = stopped => Err(AskError::Stopped),
            asked = self.ask_until_useful(settings, actor, (&outward, messages), &mut taken) => asked,
        };
        let said = match &asked {
            Ok(answer) => format!("{} edits, {} tokens", answer.edits.len(), told(taken.tokens)),
            Err(error) => taken.tokens.map_or_else(|| error.to_string(), |tokens| format!("{error}; {tokens} tokens")),
        };
        self.note_copilot(actor, "answer", &id, said).await?;
        let Answer { explanation, edits, look } = asked?;
        self.spent.gave(&id, actor.who());
        let Taken { asked, tokens } = taken;
        Ok(AskResult { id, model: settings.model.clone(), explanation, edits, look, tokens, asked })
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
        taken: &mut Taken,
    ) -> Result<Answer, AskError> {
        let end = Instant::now() + settings.timeout;
        let model = Model::new(settings, end)?;
        let rules = Rules { outward };
        loop {
            self.spent.spend(actor.who(), settings.per_hour, self.keeping.clock.steady())?;
            taken.asked += 1;
            let Reply { content, tokens } = model.ask(&messages).await?;
            taken.tokens =
                taken.tokens.zip(tokens).map(|(before, more): (u64, u64)| before.saturating_add(more)).or(tokens).or(taken.tokens);
            let flaws = match rules.read(&content) {
                Ok(answer) => return Ok(answer),
                Err(flaws) => flaws,
            };
            messages.extend(prompt::again(&content, &flaws));
            if taken.asked >= MOST_ASKED || !prompt::is_told(&messages) {
                return Err(ModelError::Useless(flaws.join("; ")).into());
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
    for (pointer, asked) in [("/earlier", body.earlier.len()), ("/asked", body.asked)] {
        if asked >= MOST_ASKED {
            let most = MOST_ASKED - 1;
            return Err(field(pointer, format!("a model is asked again {most} times at most, and this would be time {asked}")));
        }
    }
    Ok(())
}

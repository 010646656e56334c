//! The model that the copilot of the editor may ask.

use std::time::Duration;

use super::secret::Secret;

/// `copilot` of an `operator.api`: a model behind an endpoint as OpenAI has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copilot {
    /// What comes before `/chat/completions`, without a slash at its end.
    pub base_url: String,
    /// Whether that is somewhere that a proxy of the environment leads to.
    pub is_outside: bool,
    /// Name of the model, as the endpoint knows it.
    pub model: String,
    /// Key of the endpoint; nothing where it wants none.
    pub api_key: Option<Secret>,
    /// From a question to its answer, at most; less than its listener has for an answer.
    pub timeout: Duration,
    /// Tokens of one answer, at most.
    pub max_tokens: u32,
    /// How often the model is asked for one person in an hour, at most.
    pub per_hour: u32,
}

//! What of a config a model may be told, and what nobody may be.

use serde_json::Value;

/// A config as it may leave the process.
pub struct Outward {
    /// As values, without secrets, comments and the values of variables.
    pub config: Value,
    /// Whether a place is that of a secret, by its JSON pointer: of the text, or as such a setting always is.
    pub is_secret: fn(&str) -> bool,
    /// Where the text has secrets.
    pub secrets: Vec<String>,
    /// Whether a text only names a variable.
    pub is_open: fn(&str) -> bool,
    /// Whether a text has something of what stands for what was not told.
    pub is_blot: fn(&str) -> bool,
    /// Words without what may not be said.
    pub blotted: Box<dyn Fn(&str) -> String + Send + Sync>,
}

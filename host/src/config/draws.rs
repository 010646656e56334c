//! `draws` of an `api.handler`: what its resources take their amounts from.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

/// `draws` of an `api.handler`. What is created is checked and written in one commit: what it draws from is there and in a state of `while`, and all
/// that is drawn of it, what has ended as an error aside, is no more than it has. It belongs to who owns what it draws from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DrawsSettings {
    /// An `api.handler` of this config.
    #[schemars(length(min = 1))]
    pub from: String,
    /// Field with the id of what it draws from.
    #[schemars(length(min = 1))]
    pub by: String,
    /// Field with the amount, in minor units: a whole number, 1 or more.
    #[schemars(length(min = 1))]
    pub amount: String,
    /// Field of what it draws from, with an amount as a decimal number: so much may be drawn of it.
    #[schemars(length(min = 1))]
    pub up_to: String,
    /// In which states of what it draws from it can.
    #[serde(rename = "while")]
    #[schemars(length(min = 1))]
    pub states: Vec<String>,
    /// Fields of what it draws from that are copied, so that steps know them.
    #[serde(default)]
    pub take: Vec<String>,
    /// Fields that may be `true` in one of all that draw from the same.
    #[serde(default)]
    pub once: Vec<String>,
    /// Other fields of one that a hook of the workflow of `from` makes, with this handler as its `handler`: in the commit of the transition, of all
    /// that is left, if the state that the transition leaves is one of `while`. Together with `by` and `amount` they have to fit the `schema`.
    #[serde(default)]
    pub by_hook: Map<String, Value>,
    /// In which of these states it has been fulfilled: the goods have gone out, for example. Elsewhere no field of `once` may be `true`, and not all
    /// of it can be drawn but by `emptied`. If not given, in all of them.
    pub fulfilled: Option<Vec<String>>,
    /// A transition of what it draws from, to be made in the same commit where all of it is drawn before it is fulfilled. Nobody fires it by hand.
    #[schemars(length(min = 1))]
    pub emptied: Option<String>,
}

//! `figures` of an `api.handler`: what is counted of its resources.

use schemars::JsonSchema;
use serde::Deserialize;

use super::context::{At, Context};
use super::finding::Findings;
use super::found_by::FormName;
use super::report::Code;
use crate::plan::{FieldForm, Figures};

/// `figures` of an `api.handler`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FiguresSettings {
    /// Field with the amount of a resource, a number: `a.b` is `b` within `a`.
    #[schemars(length(min = 1))]
    pub amount: String,
    /// What is in it: `money` for a decimal number, which is counted in minor units, or `number`.
    #[serde(default = "money")]
    pub form: FormName,
    /// States in which a resource counts: once it enters one of them, until it is in none of them any more.
    #[schemars(length(min = 1))]
    pub states: Vec<String>,
}

const fn money() -> FormName {
    FormName::Money
}

/// What is meant.
pub(super) fn figures(
    settings: &FiguresSettings,
    workflow: Option<&str>,
    at: At<'_>,
    context: &Context<'_>,
    findings: &mut Findings,
) -> Figures {
    let form = match settings.form {
        FormName::Money => FieldForm::Money,
        FormName::Number => FieldForm::Number,
        FormName::Text => {
            let help = "accepted: money, number".to_owned();
            findings.error(at.setting("figures/form"), Code::InvalidValue, "a text is no amount", help);
            FieldForm::Number
        }
    };
    let definitions = context.workflows.statemachine.iter().flat_map(|section| &section.definitions);
    let definition = definitions.into_iter().find(|definition| Some(definition.name.as_str()) == workflow);
    for (index, name) in settings.states.iter().enumerate() {
        if let Some(definition) = definition.filter(|definition| !definition.states.contains_key(name)) {
            let help = context.suggest(name, definition.states.keys().map(String::as_str));
            let message = format!("workflow '{}' has no state '{name}'", definition.name);
            findings.error(at.setting(&format!("figures/states/{index}")), Code::UnknownName, message, help);
        }
    }
    if workflow.is_none() {
        let message = "what is counted enters states, and these resources have no `workflowType`";
        findings.error(at.setting("figures"), Code::MissingPart, message, "write the workflow that moves them".to_owned());
    }
    Figures { field: settings.amount.clone(), form, states: settings.states.iter().cloned().collect() }
}

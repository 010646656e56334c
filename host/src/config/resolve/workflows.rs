//! Names of workflows and of their transitions, wherever a config has them.

use crate::config::context::Context;
use crate::config::finding::Findings;
use crate::config::report::Code;
use crate::config::sections::DefinitionEntry;

/// The definition of that name; an unknown one is reported.
pub(super) fn workflow<'d>(context: &Context<'d>, name: &str, pointer: &str, findings: &mut Findings) -> Option<&'d DefinitionEntry> {
    if name.is_empty() {
        return None;
    }
    let definitions = context.workflows.statemachine.as_ref().map(|s| s.definitions.as_slice()).unwrap_or_default();
    let found = definitions.iter().find(|d| d.name == name);
    if found.is_none() {
        let help = context.suggest(name, definitions.iter().map(|d| d.name.as_str()));
        findings.error(
            pointer,
            Code::UnknownName,
            format!("no workflow is named '{name}' under `workflows.statemachine.definitions`"),
            help,
        );
    }
    found
}

/// Whether the workflow has the transition; an unknown one is reported.
pub(super) fn transition(
    context: &Context<'_>,
    workflow: &DefinitionEntry,
    name: &str,
    pointer: &str,
    findings: &mut Findings,
) -> Option<()> {
    if name.is_empty() || workflow.transitions.contains_key(name) {
        return (!name.is_empty()).then_some(());
    }
    let help = context.suggest(name, workflow.transitions.keys().map(String::as_str));
    findings.error(pointer, Code::UnknownName, format!("workflow '{}' has no transition '{name}'", workflow.name), help);
    None
}

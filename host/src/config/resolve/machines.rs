//! State machines: definitions with the steps and hooks that belong to them, handed to the core, whose defects are put back
//! where they were written. What a definition may say is the core's to check, not this file's.

use std::collections::{BTreeMap, BTreeSet};

use millrace_workflow::{Deadline, Definition, Hook, Machine, Reaction, State, Step, Transition, limits};

use super::triggers::Entries;
use super::{draws, workflows};
use crate::config::context::{At, Context};
use crate::config::finding::Findings;
use crate::config::module_type::ModuleType as _;
use crate::config::modules::api_handler::ApiHandler;
use crate::config::modules::dynamic_component::DynamicComponent;
use crate::config::modules::engine::StateMachineEngine;
use crate::config::modules::messaging_handler::MessagingHandler;
use crate::config::modules::processing_step::ProcessingStep;
use crate::config::report::Code;
use crate::config::sections::{DefinitionEntry, HookEntry, TransitionEntry};
use crate::config::tree::child;
use crate::plan::Workflow;

const AT: &str = "/workflows/statemachine";
const REACTIONS: [&str; 4] = [ProcessingStep::TYPE, MessagingHandler::TYPE, DynamicComponent::TYPE, ApiHandler::TYPE];
/// First transition of a new resource, where its workflow has it and nothing else is said.
const DEFAULT_INITIAL_TRANSITION: &str = "start_validation";

/// A definition and where its parts are written.
struct Written {
    definition: Definition,
    /// Pointer of the definition.
    at: String,
    /// Position in the config of each of its hooks.
    hooks: Vec<usize>,
    /// Where its initial transition is written.
    initial_transition: String,
}

/// Every definition as a checked machine.
pub(super) fn workflows(context: &Context<'_>, entries: &Entries, findings: &mut Findings) -> Vec<Workflow> {
    check_handlers(context, findings);
    let Some(section) = &context.workflows.statemachine else { return Vec::new() };
    context.named(&section.engine, &[StateMachineEngine::TYPE], &format!("{AT}/engine"), findings);
    check_mappings(context, findings);
    let reactions: Vec<Option<Reaction>> =
        section.hooks.iter().enumerate().map(|(i, hook)| reaction(context, hook, &format!("{AT}/hooks/{i}"), findings)).collect();
    let engine = context.first::<StateMachineEngine>().map(|(_, engine)| engine);
    let max_instances = engine.and_then(|engine| engine.max_instances).map(u64::from);
    let most_made = engine.and_then(|engine| engine.max_transitions).map_or(limits::MAX_TRANSITIONS_MADE, u64::from);
    let steps: BTreeSet<String> = context.all::<ProcessingStep>().into_iter().map(|(at, _)| at.name.to_owned()).collect();
    let mut workflows = Vec::new();
    for (index, entry) in section.definitions.iter().enumerate() {
        check_definition_name(context, index, entry, findings);
        let written = definition(context, index, entry, &reactions, entries, findings);
        let step_config = step_config(context, &written.definition);
        match Machine::new(written.definition.clone()) {
            Ok(machine) => {
                workflows.push(Workflow { machine: machine.bounded(most_made), max_instances, steps: steps.clone(), step_config })
            }
            Err(defects) => {
                for defect in defects {
                    findings.error(
                        pointer_of(context, &written, &defect.path),
                        Code::Machine,
                        format!("workflow '{}': {}", entry.name, defect.message),
                        None,
                    );
                }
            }
        }
    }
    workflows
}

fn check_definition_name(context: &Context<'_>, index: usize, entry: &DefinitionEntry, findings: &mut Findings) {
    let definitions = context.workflows.statemachine.iter().flat_map(|s| &s.definitions);
    if !entry.name.is_empty() && definitions.take(index).any(|d| d.name == entry.name) {
        let message = format!("a workflow named '{}' is already defined", entry.name);
        findings.error(format!("{AT}/definitions/{index}/name"), Code::Duplicate, message, None);
    }
    let started = context.all::<ApiHandler>().iter().any(|(_, h)| h.workflow_type.as_deref() == Some(&entry.name));
    if !entry.name.is_empty() && !started {
        let help = "name it as the `workflowType` of an api.handler".to_owned();
        findings.warning(format!("{AT}/definitions/{index}"), Code::Unused, format!("nothing starts the workflow '{}'", entry.name), help);
    }
}

/// What `api.handler`s say of workflows.
fn check_handlers(context: &Context<'_>, findings: &mut Findings) {
    for (at, handler) in context.all::<ApiHandler>() {
        if let Some(engine) = &handler.workflow_engine {
            context.named(engine, &[StateMachineEngine::TYPE], &at.setting("workflowEngine"), findings);
        }
        let workflow = handler.workflow_type.as_ref().map(|name| workflows::workflow(context, name, &at.setting("workflowType"), findings));
        match workflow {
            Some(None) => {}
            Some(Some(workflow)) => check_transitions(context, handler, at, workflow, findings),
            None => {
                for (key, given) in [("initialTransition", handler.initial_transition.is_some()), ("actions", !handler.actions.is_empty())]
                {
                    if given {
                        let message = format!("`{key}` names transitions, but this handler has no `workflowType`");
                        findings.error(at.setting(key), Code::MissingPart, message, None);
                    }
                }
            }
        }
    }
}

fn check_transitions(context: &Context<'_>, handler: &ApiHandler, at: At<'_>, workflow: &DefinitionEntry, findings: &mut Findings) {
    for (action, entry) in &handler.actions {
        let mut pointer = child(&at.setting("actions"), action);
        if entry.roles.is_some() {
            pointer = child(&pointer, "transitions");
        }
        if entry.transitions.is_empty() {
            findings.error(&pointer, Code::InvalidValue, format!("action '{action}' has no transitions"), None);
        }
        for (i, name) in entry.transitions.iter().enumerate() {
            workflows::transition(context, workflow, name, &child(&pointer, &i.to_string()), findings);
        }
    }
}

fn check_mappings(context: &Context<'_>, findings: &mut Findings) {
    let Some(section) = &context.workflows.statemachine else { return };
    let handlers = context.all::<ApiHandler>();
    let kinds: Vec<&str> = handlers.iter().map(|(_, h)| h.resource_name.as_str()).collect();
    let machines: Vec<&str> = std::iter::once(section.engine.as_str()).chain(section.definitions.iter().map(|d| d.name.as_str())).collect();
    for (index, mapping) in section.resource_mappings.iter().enumerate() {
        let at = format!("{AT}/resourceMappings/{index}");
        if !mapping.resource_type.is_empty() && !kinds.contains(&mapping.resource_type.as_str()) {
            let message = format!("no api.handler has the resources '{}'", mapping.resource_type);
            findings.error(
                format!("{at}/resourceType"),
                Code::UnknownName,
                message,
                context.suggest(&mapping.resource_type, kinds.iter().copied()),
            );
        }
        if !mapping.state_machine.is_empty() && !machines.contains(&mapping.state_machine.as_str()) {
            let message = format!("'{}' is neither the engine nor a definition", mapping.state_machine);
            findings.error(
                format!("{at}/stateMachine"),
                Code::UnknownName,
                message,
                context.suggest(&mapping.state_machine, machines.iter().copied()),
            );
        }
    }
}

/// What a hook starts follows from the type of its handler.
fn reaction(context: &Context<'_>, hook: &HookEntry, pointer: &str, findings: &mut Findings) -> Option<Reaction> {
    workflows::workflow(context, &hook.workflow_type, &format!("{pointer}/workflowType"), findings);
    let module = context.named(&hook.handler, &REACTIONS, &format!("{pointer}/handler"), findings)?;
    let name = module.at.name.to_owned();
    Some(match module.type_name? {
        ProcessingStep::TYPE => Reaction::Step(name),
        DynamicComponent::TYPE => Reaction::Task(name),
        ApiHandler::TYPE => {
            draws::check_hook(context, module.at, (&hook.workflow_type, pointer), findings);
            Reaction::Create(name)
        }
        _ => Reaction::Announce(name),
    })
}

fn definition(
    context: &Context<'_>,
    index: usize,
    entry: &DefinitionEntry,
    reactions: &[Option<Reaction>],
    entries: &Entries,
    findings: &mut Findings,
) -> Written {
    let section_hooks = context.workflows.statemachine.iter().flat_map(|s| &s.hooks).zip(reactions).enumerate();
    let (positions, hooks): (Vec<usize>, Vec<Hook>) = section_hooks
        .filter(|(_, (hook, _))| hook.workflow_type == entry.name)
        .filter_map(|(i, (entry, reaction))| Some((i, hook(entry, reaction.clone()?))))
        .unzip();
    let (initial_transition, initial_pointer) = initial_transition(context, index, entry, entries, findings);
    let states = entry.states.iter().map(|(name, s)| {
        (name.clone(), State { description: s.description.clone().unwrap_or_default(), is_final: s.is_final, is_error: s.is_error })
    });
    let definition = Definition {
        name: entry.name.clone(),
        description: entry.description.clone().unwrap_or_default(),
        initial_state: entry.initial_state.clone(),
        initial_transition,
        states: states.collect(),
        transitions: transitions(entry),
        steps: steps(context, &hooks),
        hooks,
    };
    Written { definition, at: format!("{AT}/definitions/{index}"), hooks: positions, initial_transition: initial_pointer }
}

fn transitions(entry: &DefinitionEntry) -> BTreeMap<String, Transition> {
    let transition = |(name, t): (&String, &TransitionEntry)| {
        let transition = Transition {
            from: t.from_state.clone(),
            to: t.to_state.clone(),
            automatic: t.auto_transform,
            after: t.after.map(|d| d.0),
            max_attempts: t.max_attempts,
            exhausted: t.exhausted.clone(),
            attention_after: t.attention_after,
            deadline: t.deadline.as_ref().map(|deadline| Deadline { after: deadline.after.0, since: deadline.since.clone() }),
        };
        (name.clone(), transition)
    };
    entry.transitions.iter().map(transition).collect()
}

fn hook(entry: &HookEntry, reaction: Reaction) -> Hook {
    let given = |names: &[String]| names.iter().filter(|name| !name.is_empty()).cloned().collect();
    Hook { transitions: given(&entry.transitions), from_states: given(&entry.from_states), to_states: given(&entry.to_states), reaction }
}

/// The steps that these hooks start.
fn steps(context: &Context<'_>, hooks: &[Hook]) -> BTreeMap<String, Step> {
    let started = |name: &str| hooks.iter().any(|hook| matches!(&hook.reaction, Reaction::Step(step) if step == name));
    let modules = context.all::<ProcessingStep>().into_iter().filter(|(at, _)| started(at.name));
    modules.map(|(at, settings)| (at.name.to_owned(), settings.step(context))).collect()
}

fn step_config(context: &Context<'_>, definition: &Definition) -> BTreeMap<String, serde_json::Map<String, serde_json::Value>> {
    let steps = context.all::<ProcessingStep>().into_iter();
    let own = steps.filter(|(at, step)| definition.steps.contains_key(at.name) && !step.config.is_empty());
    own.map(|(at, step)| (at.name.to_owned(), step.config.clone())).collect()
}

/// What the handlers of a workflow say that a new instance does first, and where; they have to agree.
fn initial_transition(
    context: &Context<'_>,
    index: usize,
    entry: &DefinitionEntry,
    entries: &Entries,
    findings: &mut Findings,
) -> (Option<String>, String) {
    let mut chosen: Option<(String, String)> = None;
    let handlers = context.all::<ApiHandler>().into_iter();
    for (at, handler) in handlers.filter(|(_, handler)| handler.workflow_type.as_deref() == Some(&entry.name)) {
        let own = handler.initial_transition.clone().map(|name| (name, at.setting("initialTransition")));
        let triggered = entries.initial.get(at.name).cloned();
        for (name, pointer) in own.into_iter().chain(triggered).filter(|(name, _)| !name.is_empty()) {
            match &chosen {
                Some((first, _)) if *first != name => {
                    let message = format!("workflow '{}' starts with '{first}' elsewhere, and with '{name}' here", entry.name);
                    findings.error(pointer, Code::InvalidValue, message, "a workflow has one initial transition".to_owned());
                }
                _ => chosen = Some((name, pointer)),
            }
        }
    }
    let fallback = format!("{AT}/definitions/{index}/name");
    let earlier = context.workflows.statemachine.iter().flat_map(|s| &s.definitions).take(index);
    if earlier.into_iter().any(|d| d.name == entry.name) {
        return (None, fallback);
    }
    match chosen {
        Some((name, pointer)) => (Some(name), pointer),
        None => (entry.transitions.contains_key(DEFAULT_INITIAL_TRANSITION).then(|| DEFAULT_INITIAL_TRANSITION.to_owned()), fallback),
    }
}

/// Where a defect is written, from where the core says it is.
fn pointer_of(context: &Context<'_>, written: &Written, path: &[String]) -> String {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let append = |start: String, rest: &[&str]| rest.iter().fold(start, |pointer, step| child(&pointer, key_of(step)));
    match path.as_slice() {
        ["hooks", index, rest @ ..] => match index.parse::<usize>().ok().and_then(|i| written.hooks.get(i)) {
            Some(position) => append(format!("{AT}/hooks/{position}"), rest),
            None => written.at.clone(),
        },
        ["steps", name, rest @ ..] => match context.module(name) {
            Some(module) => append(module.at.setting(""), rest),
            None => written.at.clone(),
        },
        ["initial_transition" | "initialTransition", ..] => written.initial_transition.clone(),
        ["states", name, rest @ ..] => append(child(&format!("{}/states", written.at), name), rest),
        ["transitions", name, rest @ ..] => append(child(&format!("{}/transitions", written.at), name), rest),
        rest => append(written.at.clone(), rest),
    }
}

/// The key in a config for a field of the core.
fn key_of(field: &str) -> &str {
    match field {
        "from" => "fromState",
        "to" => "toState",
        "automatic" => "autoTransform",
        "max_attempts" => "maxAttempts",
        "attention_after" => "attentionAfter",
        "initial_state" => "initialState",
        "is_final" => "isFinal",
        "is_error" => "isError",
        "from_states" => "fromStates",
        "to_states" => "toStates",
        "component" => "componentId",
        "success" => "successTransition",
        "compensate" => "compensateTransition",
        "reject" => "rejectTransition",
        "timeout" => "timeoutSeconds",
        "max_retries" | "retry" => "maxRetries",
        "backoff" => "retryBackoffMs",
        "reaction" => "handler",
        other => other,
    }
}

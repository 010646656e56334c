//! A component written into the text of a config: its module, and where wanted a step of a workflow. Everything else stays as it is, comments
//! and layout too.
//!
//! Lines are added to what is written one entry a line; what is written otherwise (within braces, through an alias) is refused and left to
//! its author. Whether the text means afterwards what it should is compared with the values that were meant.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::env::Environment;
use super::files;
use super::finding::Span;
use super::report::Severity;
use super::tree::{Place, Tree, Unset, child};

/// Where workflows are defined.
const DEFINITIONS: &str = "/workflows/statemachine/definitions";
/// What a change of state starts.
const HOOKS: &str = "/workflows/statemachine/hooks";

/// A component that a config is to have.
#[derive(Debug, Clone, Copy)]
pub struct NewComponent<'a> {
    /// Name of the module, and of its file.
    pub name: &'a str,
    /// The name that the component gives itself.
    pub expect: &'a str,
    /// What it does; may be empty.
    pub description: &'a str,
    /// HTTP services that it may call, each with its address.
    pub grants: &'a [(String, String)],
}

/// Where a workflow is to run it.
#[derive(Debug, Clone, Copy)]
pub struct Between<'a> {
    /// The workflow; not needed if one alone has both states.
    pub workflow: Option<&'a str>,
    /// The state before it.
    pub from: &'a str,
    /// The state that follows.
    pub to: &'a str,
    /// The state that follows where it refuses or fails; not needed if one alone is final and an error.
    pub otherwise: Option<&'a str>,
}

/// A config with the component.
#[derive(Debug, PartialEq, Eq)]
pub struct Inserted {
    /// The whole text.
    pub text: String,
    /// Places that name the state before it in a list, which may have to name the new ones too: line and pointer of each.
    pub also_named: Vec<(usize, String)>,
}

/// Adds a component to the text of a config.
///
/// # Errors
/// Why it cannot be added, in words for the author of the config.
pub fn insert(text: &str, new: &NewComponent<'_>, between: Option<&Between<'_>>, environment: &Environment) -> Result<Inserted, String> {
    let mut page = Page::read(text, environment)?;
    page.component(new)?;
    let also_named = match between {
        Some(between) => {
            page.step(new.name, between)?;
            page.lists_with(between.from)
        }
        None => Vec::new(),
    };
    Ok(Inserted { text: page.written(environment)?, also_named })
}

/// Where the file of a new component goes, beside those of the others: as its `source` says it in this config, and as a path.
///
/// # Errors
/// The text cannot be read, and where.
pub fn place_of_new(config: &Path, text: &str, name: &str, environment: &Environment) -> Result<(String, PathBuf), String> {
    let page = Page::read(text, environment)?;
    let (source, expanded) = page.source_like(name);
    Ok((source, files::absolute(config.parent().unwrap_or(Path::new("/")), &expanded)))
}

/// A text, what it means, and what is to become of both.
struct Page<'a> {
    text: &'a str,
    lines: Vec<&'a str>,
    value: Value,
    places: std::collections::HashMap<String, Place>,
    /// Lines to be added, by the number of the line before them.
    added: BTreeMap<usize, String>,
    /// A scalar to be written instead of another.
    replaced: Option<(Span, String)>,
    meant: Value,
}

impl<'a> Page<'a> {
    fn read(text: &'a str, environment: &Environment) -> Result<Self, String> {
        let Tree { value, places, problems, .. } = Tree::parse(text, environment, Unset::Open);
        if let Some((wrong, span)) = problems.into_iter().find(|(finding, _)| finding.severity == Severity::Error) {
            let line = span.map_or_else(String::new, |span| format!("line {}: ", span.start.line));
            return Err(format!("it cannot be read: {line}{}", wrong.message));
        }
        let meant = value.clone();
        Ok(Self { text, lines: text.split_inclusive('\n').collect(), value, places, added: BTreeMap::new(), replaced: None, meant })
    }

    fn component(&mut self, new: &NewComponent<'_>) -> Result<(), String> {
        let (source, _) = self.source_like(new.name);
        let mut config = json!({"source": source, "expect": {"name": new.expect}});
        let mut lines = format!("config:\n  source: {source}\n  expect: {{name: {}}}\n", quoted(new.expect));
        // A dollar sign would be taken for a variable.
        if !new.description.is_empty() && !new.description.contains('$') {
            config["description"] = new.description.into();
            let _ = writeln!(lines, "  description: {}", quoted(new.description));
        }
        if !new.grants.is_empty() {
            lines.push_str("  capabilities:\n    http:\n");
            let mut granted = Vec::new();
            for (service, url) in new.grants {
                let _ = writeln!(lines, "      - {{service: {}, url: {}}}", quoted(service), quoted(url));
                granted.push(json!({"service": service, "url": url}));
            }
            config["capabilities"] = json!({"http": granted});
        }
        self.item("/modules", &format!("name: {}\ntype: dynamic.component\n{lines}", new.name), true)?;
        self.mean("/modules", json!({"name": new.name, "type": "dynamic.component", "config": config}))
    }

    fn step(&mut self, name: &str, between: &Between<'_>) -> Result<(), String> {
        let word = name.replace('-', "_");
        let machine = self.machine(between)?;
        let way = self.way(&machine, between)?;
        let failed = self.failed(&machine, between)?;
        let (step, accept, reject) = (format!("step-{name}"), format!("accept_{word}"), format!("reject_{word}"));
        self.item(
            "/modules",
            &format!("name: {step}\ntype: processing.step\nconfig:\n  componentId: {name}\n  successTransition: {accept}\n  compensateTransition: {reject}\n"),
            true,
        )?;
        let config = json!({"componentId": name, "successTransition": accept, "compensateTransition": reject});
        self.mean("/modules", json!({"name": step, "type": "processing.step", "config": config}))?;
        let (running, passed) = (word.clone(), format!("{word}_passed"));
        let states = child(&machine, "states");
        self.entry(&states, &running, &format!("Running {step}"))?;
        let transitions = child(&machine, "transitions");
        let (hooked, accepted) = match way {
            // It goes by itself: from behind the step instead.
            Way::Automatic(transition) => {
                self.entry(&states, &passed, &format!("{step} has accepted"))?;
                let start = format!("start_{word}");
                self.transition(&transitions, &start, between.from, &running, true)?;
                self.replace(&child(&child(&transitions, &transition), "fromState"), &passed)?;
                (start, passed.as_str())
            }
            // Somebody makes it: it leads to the step, and the step goes on.
            Way::Made(transition) => {
                self.replace(&child(&child(&transitions, &transition), "toState"), &running)?;
                (transition, between.to)
            }
        };
        self.transition(&transitions, &accept, &running, accepted, false)?;
        self.transition(&transitions, &reject, &running, &failed, false)?;
        let workflow = self.at(&child(&machine, "name")).as_str().unwrap_or_default().to_owned();
        self.item(HOOKS, &format!("workflowType: {workflow}\ntransitions: [{hooked}]\nhandler: {step}\n"), false)?;
        self.mean(HOOKS, json!({"workflowType": workflow, "transitions": [hooked], "handler": step}))
    }

    /// The pointer of the workflow that has both states.
    fn machine(&self, between: &Between<'_>) -> Result<String, String> {
        let definitions = self.at(DEFINITIONS).as_array().cloned().unwrap_or_default();
        let named = |definition: &Value| between.workflow.is_none_or(|name| definition["name"] == name);
        let fits = |definition: &Value| [between.from, between.to].iter().all(|state| definition["states"].get(state).is_some());
        let found: Vec<usize> = (0..definitions.len()).filter(|index| named(&definitions[*index]) && fits(&definitions[*index])).collect();
        let (from, to) = (between.from, between.to);
        match found.as_slice() {
            [one] => Ok(child(DEFINITIONS, &one.to_string())),
            [] => {
                let known = definitions.iter().filter(|definition| named(definition)).map(|definition| {
                    let states = definition["states"].as_object().into_iter().flat_map(|states| states.keys().cloned());
                    format!("'{}' has {}", definition["name"].as_str().unwrap_or_default(), states.collect::<Vec<_>>().join(", "))
                });
                let known = known.collect::<Vec<_>>().join("; ");
                Err(format!("no workflow{} has the states '{from}' and '{to}': {}", called(between.workflow), or_none(&known)))
            }
            several => {
                let names = several.iter().map(|index| definitions[*index]["name"].as_str().unwrap_or_default());
                Err(format!(
                    "several workflows have the states '{from}' and '{to}': say which by --workflow: {}",
                    names.collect::<Vec<_>>().join(", ")
                ))
            }
        }
    }

    /// The one transition between the two states.
    fn way(&self, machine: &str, between: &Between<'_>) -> Result<Way, String> {
        let transitions = self.at(&child(machine, "transitions")).as_object().cloned().unwrap_or_default();
        let (from, to) = (between.from, between.to);
        let direct: Vec<(&String, &Value)> =
            transitions.iter().filter(|(_, transition)| transition["fromState"] == from && transition["toState"] == to).collect();
        let (name, transition) = match direct.as_slice() {
            [one] => *one,
            [] => {
                let ways = transitions.iter().filter(|(_, transition)| transition["fromState"] == from);
                let next = ways.map(|(name, transition)| format!("{} by {name}", transition["toState"].as_str().unwrap_or_default()));
                let next = next.collect::<Vec<_>>().join(", ");
                return Err(format!("no transition leads from '{from}' to '{to}'; from '{from}' lead: {}", or_none(&next)));
            }
            several => {
                let names = several.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
                return Err(format!("several transitions lead from '{from}' to '{to}' ({names}): write the step by hand"));
            }
        };
        if transition["autoTransform"] == true {
            return Ok(Way::Automatic(name.clone()));
        }
        let hooks = self.at(HOOKS).as_array().cloned().unwrap_or_default();
        let workflow = self.at(&child(machine, "name"));
        let started = hooks.iter().find(|hook| {
            hook["workflowType"] == *workflow
                && hook["transitions"].as_array().is_some_and(|names| names.iter().any(|one| one == name.as_str()))
        });
        match started {
            Some(hook) => {
                let handler = hook["handler"].as_str().unwrap_or_default();
                Err(format!(
                    "the transition '{name}' from '{from}' to '{to}' starts '{handler}', and two cannot start at once: write the step by hand"
                ))
            }
            None if !transition["after"].is_null() => {
                Err(format!("the transition '{name}' from '{from}' to '{to}' is made by a timer: write the step by hand"))
            }
            None => Ok(Way::Made(name.clone())),
        }
    }

    /// Where an instance goes whose step has refused or failed.
    fn failed(&self, machine: &str, between: &Between<'_>) -> Result<String, String> {
        let states = self.at(&child(machine, "states")).as_object().cloned().unwrap_or_default();
        if let Some(name) = between.otherwise {
            let known = || states.keys().cloned().collect::<Vec<_>>().join(", ");
            return if states.contains_key(name) {
                Ok(name.to_owned())
            } else {
                Err(format!("there is no state '{name}'; there are {}", known()))
            };
        }
        let ends: Vec<&String> =
            states.iter().filter(|(_, state)| state["isFinal"] == true && state["isError"] == true).map(|(name, _)| name).collect();
        match ends.as_slice() {
            [one] => Ok((*one).clone()),
            _ => {
                let ends = ends.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
                Err(format!(
                    "say by --otherwise which state follows where the step refuses; final states that are errors: {}",
                    or_none(&ends)
                ))
            }
        }
    }

    /// Lists outside of the workflows that name a state, by the line of it.
    fn lists_with(&self, state: &str) -> Vec<(usize, String)> {
        let named = self.places.iter().filter(|(pointer, _)| {
            let in_list = pointer.rsplit('/').next().is_some_and(|last| last.parse::<usize>().is_ok());
            in_list && pointer.starts_with("/modules/") && self.value.pointer(pointer).is_some_and(|value| value == state)
        });
        let mut lines: Vec<(usize, String)> = named.map(|(pointer, place)| (place.value.start.line, pointer.clone())).collect();
        lines.sort();
        lines
    }

    fn at(&self, pointer: &str) -> &Value {
        self.value.pointer(pointer).unwrap_or(&Value::Null)
    }

    /// How the file of another component is written, if there is one, for a file of this name; and the same with variables filled in.
    fn source_like(&self, name: &str) -> (String, String) {
        let modules = self.at("/modules").as_array().map_or(0, Vec::len);
        let written = (0..modules).rev().find_map(|index| {
            let pointer = format!("/modules/{index}/config/source");
            let place = self.places.get(&pointer)?;
            let line = self.lines.get(place.value.start.line.checked_sub(1)?)?;
            let raw: String =
                line.chars().skip(place.value.start.column - 1).take(place.value.end.column - place.value.start.column).collect();
            let raw = raw.trim_matches(['"', '\'']).to_owned();
            let is_path = place.value.start.line == place.value.end.line && raw.ends_with(".wasm");
            is_path.then(|| (raw, self.at(&pointer).as_str().unwrap_or_default().to_owned()))
        });
        let beside = |(written, expanded): (String, String)| {
            let ((folder, _), (there, _)) = (written.rsplit_once('/')?, expanded.rsplit_once('/')?);
            Some((format!("{folder}/{name}.wasm"), format!("{there}/{name}.wasm")))
        };
        let own = format!("components/{name}.wasm");
        written.and_then(beside).unwrap_or_else(|| (own.clone(), own))
    }

    /// Adds lines as a further item of a list.
    fn item(&mut self, list: &str, lines: &str, apart: bool) -> Result<(), String> {
        let (last, first) = self.block(list)?;
        let written = self.lines[first - 1];
        let indent = written.len() - written.trim_start_matches(' ').len();
        if !written.trim_start().starts_with("- ") {
            return Err(format!("its `{}` is not written as one `- ` a line", list.rsplit('/').next().unwrap_or_default()));
        }
        let mut text = if apart { "\n".to_owned() } else { String::new() };
        for (index, line) in lines.lines().enumerate() {
            let _ = writeln!(text, "{}{}{line}", " ".repeat(indent), if index == 0 { "- " } else { "  " });
        }
        self.add(last, &text);
        Ok(())
    }

    /// Adds a state.
    fn entry(&mut self, states: &str, name: &str, description: &str) -> Result<(), String> {
        self.key(states, name, &format!("{name}:\n  description: {description}\n"))?;
        self.mean_key(states, name, json!({"description": description}))
    }

    fn transition(&mut self, transitions: &str, name: &str, from: &str, to: &str, automatic: bool) -> Result<(), String> {
        let mut meant = json!({"fromState": from, "toState": to});
        let mut text = format!("{name}:\n  fromState: {from}\n  toState: {to}\n");
        if automatic {
            text.push_str("  autoTransform: true\n");
            meant["autoTransform"] = true.into();
        }
        self.key(transitions, name, &text)?;
        self.mean_key(transitions, name, meant)
    }

    /// Adds lines as a further key of a mapping.
    fn key(&mut self, mapping: &str, name: &str, lines: &str) -> Result<(), String> {
        let (last, first) = self.block(mapping)?;
        if self.meant.pointer(mapping).is_some_and(|mapping| mapping.get(name).is_some()) {
            return Err(format!("there is '{name}' already, at {}", child(mapping, name)));
        }
        let written = self.lines[first - 1];
        let indent = written.len() - written.trim_start_matches(' ').len();
        let text = lines.lines().fold(String::new(), |text, line| text + &" ".repeat(indent) + line + "\n");
        self.add(last, &text);
        Ok(())
    }

    /// The last line of a list or mapping and the first, if it is written one entry a line.
    fn block(&self, pointer: &str) -> Result<(usize, usize), String> {
        let name = pointer.rsplit('/').next().unwrap_or_default();
        let lines = || format!("its `{name}` is not written one entry a line");
        let place = self.places.get(pointer).ok_or_else(|| format!("it has no `{name}` that could be added to"))?;
        let start = place.value.start;
        let line = self.lines.get(start.line.wrapping_sub(1)).ok_or_else(lines)?;
        let within_brackets = matches!(line.chars().nth(start.column - 1), Some('[' | '{'));
        let many = match self.at(pointer) {
            Value::Array(items) => !items.is_empty(),
            Value::Object(entries) => !entries.is_empty(),
            _ => false,
        };
        if within_brackets || !many || place.key.is_some_and(|key| key.start.line == start.line) {
            return Err(lines());
        }
        let last = self.places.iter().filter(|(one, _)| one.strip_prefix(pointer).is_some_and(|rest| rest.starts_with('/')));
        let last = last.filter(|(one, _)| self.is_leaf(one)).map(|(_, place)| self.end_of(place.value)).max();
        Ok((last.ok_or_else(lines)?, start.line))
    }

    fn is_leaf(&self, pointer: &str) -> bool {
        match self.at(pointer) {
            Value::Array(items) => items.is_empty(),
            Value::Object(entries) => entries.is_empty(),
            _ => true,
        }
    }

    /// The last line with something of a scalar: a text of several lines ends where the next begins.
    fn end_of(&self, span: Span) -> usize {
        let mut last = if span.end.column == 1 && span.end.line > span.start.line { span.end.line - 1 } else { span.end.line };
        while last > span.start.line && self.lines.get(last - 1).is_none_or(|line| line.trim().is_empty()) {
            last -= 1;
        }
        last
    }

    fn add(&mut self, after: usize, text: &str) {
        self.added.entry(after).or_default().push_str(text);
    }

    /// Writes another scalar in the place of one.
    fn replace(&mut self, pointer: &str, with: &str) -> Result<(), String> {
        let place = self.places.get(pointer).ok_or_else(|| format!("it has no {pointer}"))?;
        self.replaced = Some((place.value, with.to_owned()));
        *self.meant.pointer_mut(pointer).ok_or_else(|| format!("it has no {pointer}"))? = with.into();
        Ok(())
    }

    fn mean(&mut self, list: &str, item: Value) -> Result<(), String> {
        let list = self.meant.pointer_mut(list).and_then(Value::as_array_mut).ok_or("it has no list there")?;
        list.push(item);
        Ok(())
    }

    fn mean_key(&mut self, mapping: &str, name: &str, value: Value) -> Result<(), String> {
        let mapping = self.meant.pointer_mut(mapping).and_then(Value::as_object_mut).ok_or("it has no mapping there")?;
        mapping.insert(name.to_owned(), value);
        Ok(())
    }

    /// The text with everything that was added, if it means what it should.
    fn written(&self, environment: &Environment) -> Result<String, String> {
        let end = if self.text.contains("\r\n") { "\r\n" } else { "\n" };
        let mut text = String::new();
        for (number, line) in (1..).zip(&self.lines) {
            match &self.replaced {
                Some((span, with)) if span.start.line == number && span.end.line == number => {
                    text.extend(line.chars().take(span.start.column - 1));
                    text.push_str(with);
                    text.extend(line.chars().skip(span.end.column - 1));
                }
                _ => text.push_str(line),
            }
            if let Some(added) = self.added.get(&number) {
                if !line.ends_with('\n') {
                    text.push_str(end);
                }
                text.push_str(&added.replace('\n', end));
            }
        }
        let says = Tree::parse(&text, environment, Unset::Open);
        // Where a source has a variable, the values have what it stands for.
        if expanded(&says.value, environment) == expanded(&self.meant, environment) {
            Ok(text)
        } else {
            Err("it is written in a way (aliases, several lines, braces) that this cannot be added to: write it by hand".into())
        }
    }
}

/// The transition that a step is put into.
enum Way {
    /// Made by the program as soon as its state is entered.
    Automatic(String),
    /// Made by a step, an event or somebody.
    Made(String),
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn called(workflow: Option<&str>) -> String {
    workflow.map_or_else(String::new, |name| format!(" '{name}'"))
}

fn or_none(list: &str) -> &str {
    if list.is_empty() { "none" } else { list }
}

/// The same with the variables of every text filled in.
fn expanded(value: &Value, environment: &Environment) -> Value {
    match value {
        Value::String(text) if text.contains('$') => {
            super::expand::expand(text, environment).map_or_else(|_| Value::Null, |done| done.text.into())
        }
        Value::Array(items) => items.iter().map(|item| expanded(item, environment)).collect(),
        Value::Object(entries) => entries.iter().map(|(key, value)| (key.clone(), expanded(value, environment))).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: NewComponent<'static> =
        NewComponent { name: "fraud-check", expect: "fraud", description: "Looks for \"fraud\"", grants: &[] };

    fn shop() -> String {
        "\
# The shop.
modules:
  # What is there already.
  - name: worker
    type: dynamic.component
    config:
      source: ${DIR:-../c}/worker.wasm # ours
  - name: step-work
    type: processing.step
    config: {componentId: worker, successTransition: done, compensateTransition: undone}

  - name: things
    type: api.handler
    config:
      maxPerOwner: {states: [new, ready]}

# How it goes.
workflows:
  statemachine:
    definitions:
      - name: thing
        initialState: new
        states:
          new:
            description: New   # really
          ready: {description: Ready}
          working:
            description: >
              Working,
              hard

          ended: {isFinal: true}
          failed:
            isFinal: true
            isError: true
        transitions:
          prepare:
            fromState: new
            toState: ready
          # By itself.
          start:
            fromState: ready # then
            toState: working
            autoTransform: true
          done: {fromState: working, toState: ended}
          undone: {fromState: working, toState: failed}
    hooks:
      - workflowType: thing
        transitions: [start]
        handler: step-work
    # The end.
"
        .to_owned()
    }

    fn inserted(text: &str, between: Option<(&str, &str)>) -> Result<Inserted, String> {
        let between = between.map(|(from, to)| Between { workflow: None, from, to, otherwise: None });
        insert(text, &NEW, between.as_ref(), &Environment::default())
    }

    #[test]
    fn a_module_belongs_behind_the_last_one_and_its_file_beside_the_others() {
        let (text, inserted) = (shop(), inserted(&shop(), None).unwrap());
        let module = "\n  - name: fraud-check\n    type: dynamic.component\n    config:\n      source: ${DIR:-../c}/fraud-check.wasm\n      expect: {name: \"fraud\"}\n      description: \"Looks for \\\"fraud\\\"\"\n";
        let (before, after) = text.split_once("\n\n# How").unwrap();
        assert_eq!(inserted.text, format!("{before}\n{module}\n# How{after}"));
    }

    #[test]
    fn a_step_goes_between_two_states_and_nothing_else_is_touched() {
        let (text, inserted) = (shop(), inserted(&shop(), Some(("ready", "working"))).unwrap());
        let lines: Vec<&str> = inserted.text.lines().collect();
        let gone: Vec<&str> = text.lines().filter(|line| !lines.contains(line)).collect();
        assert_eq!(gone, ["            fromState: ready # then"], "one line is another");
        for says in [
            "            fromState: fraud_check_passed # then\n            toState: working\n            autoTransform: true\n",
            "            isError: true\n          fraud_check:\n            description: Running step-fraud-check\n          fraud_check_passed:\n",
            "          start_fraud_check:\n            fromState: ready\n            toState: fraud_check\n            autoTransform: true\n",
            "          accept_fraud_check:\n            fromState: fraud_check\n            toState: fraud_check_passed\n",
            "          reject_fraud_check:\n            fromState: fraud_check\n            toState: failed\n    hooks:\n",
            "        handler: step-work\n      - workflowType: thing\n        transitions: [start_fraud_check]\n        handler: step-fraud-check\n    # The end.\n",
        ] {
            assert!(inserted.text.contains(says), "{says}\nis not in\n{}", inserted.text);
        }
        assert_eq!(inserted.also_named, [(15, "/modules/2/config/maxPerOwner/states/1".to_owned())]);
    }

    #[test]
    fn a_transition_that_somebody_makes_leads_to_the_step() {
        let inserted = inserted(&shop(), Some(("new", "ready"))).unwrap();
        assert!(inserted.text.contains("            fromState: new\n            toState: fraud_check\n"), "{}", inserted.text);
        assert!(inserted.text.contains("            fromState: fraud_check\n            toState: ready\n"), "{}", inserted.text);
        assert!(inserted.text.contains("        transitions: [prepare]\n        handler: step-fraud-check\n"), "{}", inserted.text);
    }

    #[test]
    fn lines_of_windows_stay_lines_of_windows() {
        let inserted = inserted(&shop().replace('\n', "\r\n"), Some(("ready", "working"))).unwrap();
        assert_eq!(inserted.text.matches('\n').count(), inserted.text.matches("\r\n").count());
    }

    #[test]
    fn what_cannot_be_added_to_is_refused_in_words() {
        let text = shop();
        for (text, between, says) in [
            ("modules: []\n".to_owned(), None, "its `modules` is not written one entry a line"),
            ("modules:\n  [{name: a}]\n".to_owned(), None, "is not written one entry a line"),
            ("name: shop\n".to_owned(), None, "it has no `modules`"),
            (String::new(), None, "it cannot be read: line 1: the file is empty"),
            ("modules:\n  - name: [\n".to_owned(), None, "it cannot be read: line"),
            (text.clone(), Some(("ready", "shipped")), "no workflow has the states 'ready' and 'shipped': 'thing' has new, ready, working"),
            (text.clone(), Some(("new", "working")), "no transition leads from 'new' to 'working'; from 'new' lead: ready by prepare"),
            (text.replace("            isError: true\n", ""), Some(("ready", "working")), "say by --otherwise which state follows"),
            (text.replace("          ended:", "          fraud_check:"), Some(("ready", "working")), "there is 'fraud_check' already"),
        ] {
            let refused = inserted(&text, between).unwrap_err();
            assert!(refused.contains(says), "{says}: {refused}");
        }
    }
}

//! Random definitions: wild ones, where anything may be anything, and sound ones, which a machine can be made of.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use millrace_workflow::{Deadline, Definition, Hook, Machine, Reaction, State, Transition};
use proptest::prelude::*;
use proptest::sample::select;

use crate::builder::{Builder, automatic, edge, names, runs, starts, step, tells, timed, workflow};

const NAMES: [&str; 8] = ["a", "b", "c", "working", "workign", "", "ghost", "Ω"];

fn name() -> impl Strategy<Value = String> {
    select(&NAMES[..]).prop_map(str::to_owned)
}

fn list() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(name(), 0..3)
}

fn wild_transition() -> impl Strategy<Value = Transition> {
    let after = prop::option::of(select(vec![Duration::ZERO, Duration::from_secs(1), Duration::MAX]));
    let counts = (prop::option::of(0..3u32), prop::option::of(0..3u32));
    let deadline = prop::option::weighted(0.1, (select(vec![Duration::ZERO, Duration::from_secs(60)]), name()));
    let deadline = deadline.prop_map(|given| given.map(|(after, since)| Deadline { after, since }));
    (name(), name(), any::<bool>(), after, counts, prop::option::of(name()), deadline).prop_map(
        |(from, to, automatic, after, (max_attempts, attention_after), exhausted, deadline)| Transition {
            from,
            to,
            automatic,
            after,
            max_attempts,
            exhausted,
            attention_after,
            deadline,
        },
    )
}

fn wild_hook() -> impl Strategy<Value = Hook> {
    let reaction = (0..4, name()).prop_map(|(kind, name)| match kind {
        0 => Reaction::Step(name),
        1 => Reaction::Task(name),
        2 => Reaction::Create(name),
        _ => Reaction::Announce(name),
    });
    (list(), list(), list(), reaction).prop_map(|(transitions, from_states, to_states, reaction)| Hook {
        transitions,
        from_states,
        to_states,
        reaction,
    })
}

/// A definition in which every name may dangle and every setting contradict another.
pub fn wild() -> impl Strategy<Value = Definition> {
    let state = any::<[bool; 2]>().prop_map(|[is_final, is_error]| State { is_final, is_error, ..State::default() });
    let step = (name(), name(), name()).prop_map(|(component, success, compensate)| step(&component, &success, &compensate));
    let parts = (
        (name(), prop::option::of(name())),
        prop::collection::btree_map(name(), state, 0..6),
        prop::collection::btree_map(name(), wild_transition(), 0..8),
        prop::collection::btree_map(name(), step, 0..3),
        prop::collection::vec(wild_hook(), 0..4),
    );
    parts.prop_map(|((initial_state, initial_transition), states, transitions, steps, hooks)| Definition {
        initial_transition,
        states,
        transitions,
        steps,
        hooks,
        ..workflow(&initial_state).0
    })
}

/// What makes one state of a sound machine: raw numbers, of which [`sound`] makes sense.
#[derive(Debug, Clone)]
struct Seed {
    kind: u8,
    forward: usize,
    anywhere: usize,
    count: u32,
    extra: Vec<usize>,
    hooked: u8,
    reactions: u8,
}

fn seed() -> impl Strategy<Value = Seed> {
    let numbers = (0..6u8, 0..8usize, 0..8usize, 1..4u32);
    (numbers, prop::collection::vec(0..8usize, 0..3), any::<u8>(), any::<u8>()).prop_map(
        |((kind, forward, anywhere, count), extra, hooked, reactions)| Seed { kind, forward, anywhere, count, extra, hooked, reactions },
    )
}

/// A machine with two to eight states that are not final, made so that most definitions have no defect.
pub fn sound() -> impl Strategy<Value = Machine> {
    let seeds = prop::collection::vec(seed(), 2..9);
    (seeds, 1..3usize, any::<bool>())
        .prop_filter_map("a defect", |(seeds, finals, begins)| Machine::new(assemble(&seeds, finals, begins)).ok())
}

/// What is changed in a sound definition, and with which number.
type Bend = (u8, usize);

/// A definition that was sound and was changed in a few places since: often just as good, often not.
pub fn bent() -> impl Strategy<Value = Definition> {
    (sound(), prop::collection::vec((0..10u8, 0..64usize), 1..4)).prop_map(|(machine, bends)| {
        let mut definition = machine.definition().clone();
        bends.into_iter().for_each(|one| bend(&mut definition, one));
        definition
    })
}

fn bend(definition: &mut Definition, (kind, number): Bend) {
    let states: Vec<String> = definition.states.keys().cloned().collect();
    let names: Vec<String> = definition.transitions.keys().cloned().collect();
    let (state, name) = (states[number % states.len()].clone(), names[number / 3 % names.len()].clone());
    let hook = number % definition.hooks.len().max(1);
    let Some(transition) = definition.transitions.get_mut(&name) else { return };
    match kind {
        0 => transition.to = state,
        1 => transition.from = state,
        2 => transition.automatic ^= true,
        3 => transition.after = if transition.after.is_some() { None } else { Some(Duration::from_secs(1)) },
        4 => limit_attempts(definition, &name),
        5 => definition.initial_state = state,
        6 => definition.initial_transition = None,
        7 if !definition.hooks.is_empty() => drop(definition.hooks.remove(hook)),
        8 if !definition.hooks.is_empty() => definition.hooks[hook].transitions.push(name),
        _ => definition.transitions.extend([(format!("{name}-too"), edge(&state, &states[number / 7 % states.len()]))]),
    }
}

/// Makes a transition one of a timer that is used up soon; what is fired then is another way out of the same state.
fn limit_attempts(definition: &mut Definition, name: &str) {
    let from = definition.transitions[name].from.clone();
    let others = definition.transitions.iter().filter(|(other, transition)| *other != name && transition.from == from);
    let exhausted = others.map(|(other, _)| other.clone()).next_back();
    if let Some(transition) = definition.transitions.get_mut(name) {
        (transition.after, transition.max_attempts, transition.exhausted) = (Some(Duration::from_secs(1)), Some(1), exhausted);
    }
}

fn assemble(seeds: &[Seed], finals: usize, begins: bool) -> Definition {
    let all: Vec<String> = (0..seeds.len() + finals).map(|number| format!("s{number}")).collect();
    let mut builder =
        if begins { workflow("new").states(&["new"]).begin("begin").transition("begin", edge("new", "s0")) } else { workflow("s0") };
    for (number, seed) in seeds.iter().enumerate() {
        builder = add_state(builder.states(&[&all[number]]), number, seed, &all);
    }
    for (number, name) in all.iter().enumerate().skip(seeds.len()) {
        builder = if number % 2 == 0 { builder.finals(&[name]) } else { builder.error(name) };
    }
    prune(&mut builder.0);
    for (number, seed) in seeds.iter().enumerate().filter(|(number, _)| builder.0.states.contains_key(&all[*number])).collect::<Vec<_>>() {
        builder = add_hooks(builder, &all[number], number, seed);
    }
    builder
        .0
        .steps
        .retain(|name, _| builder.0.hooks.iter().any(|hook| matches!(&hook.reaction, Reaction::Step(started) if started == name)));
    builder.0
}

/// Adds the ways out of a state; the first always leads on, so that there is an end.
fn add_state(mut builder: Builder, number: usize, seed: &Seed, all: &[String]) -> Builder {
    let here = all[number].as_str();
    let on = all[number + 1 + seed.forward % (all.len() - number - 1)].as_str();
    let anywhere = all[seed.anywhere % all.len()].as_str();
    let name = |what: &str| format!("{what}-{number}");
    builder = match seed.kind {
        0 => builder.transition(&name("auto"), automatic(here, on)),
        1 => {
            let timer = Transition { attention_after: Some(seed.count), ..timed(here, anywhere, 1) };
            let deadline = Some(Deadline { after: Duration::from_secs(60), since: anywhere.to_owned() });
            builder.transition(&name("timer"), timer).transition(&name("leave"), Transition { deadline, ..edge(here, on) })
        }
        2 => {
            let timer = Transition { max_attempts: Some(seed.count), exhausted: Some(name("used-up")), ..timed(here, anywhere, 1) };
            builder.transition(&name("timer"), timer).transition(&name("used-up"), edge(here, on))
        }
        3 => builder.transition(&name("leave"), edge(here, on)),
        _ => add_steps(builder, number, seed, [here, on, anywhere]),
    };
    for (extra, to) in seed.extra.iter().enumerate() {
        builder = builder.transition(&format!("extra-{number}-{extra}"), edge(here, &all[to % all.len()]));
    }
    builder
}

fn add_steps(builder: Builder, number: usize, seed: &Seed, [here, on, anywhere]: [&str; 3]) -> Builder {
    let name = |what: &str| format!("{what}-{number}");
    let (accept, reject) = (name("accept"), name("reject"));
    let mut builder = builder
        .transition(&accept, edge(here, on))
        .transition(&reject, edge(here, anywhere))
        .step(&name("step"), step(&name("worker"), &accept, &reject))
        .step(&name("other"), step(&name("worker"), &accept, &reject));
    if seed.kind == 5 && seed.count == 1 {
        builder = builder.transition(&name("watchdog"), timed(here, anywhere, 60));
    }
    builder
}

/// Removes what cannot be reached.
fn prune(definition: &mut Definition) {
    let mut reached: BTreeSet<String> = [definition.initial_state.clone()].into();
    let mut before = 0;
    while reached.len() > before {
        before = reached.len();
        let found: Vec<String> =
            definition.transitions.values().filter(|transition| reached.contains(&transition.from)).map(|one| one.to.clone()).collect();
        reached.extend(found);
    }
    definition.states.retain(|name, _| reached.contains(name));
    definition.transitions.retain(|_, transition| reached.contains(&transition.from));
}

/// Starts a state's step by some of the transitions into it, now and then another step by others, and adds other reactions.
fn add_hooks(mut builder: Builder, state: &str, number: usize, seed: &Seed) -> Builder {
    let entering: BTreeMap<String, bool> = builder
        .0
        .transitions
        .iter()
        .filter(|(_, transition)| transition.to == state)
        .enumerate()
        .map(|(position, (name, _))| (name.clone(), seed.hooked >> (position % 8) & 1 == 1))
        .collect();
    let chosen = |which: bool| entering.iter().filter(|(_, chosen)| **chosen == which).map(|(name, _)| name.as_str()).collect::<Vec<_>>();
    if builder.0.steps.contains_key(&format!("step-{number}")) {
        let (some, rest) = (chosen(true), chosen(false));
        let step = starts(&format!("step-{number}"));
        builder = match (some.is_empty(), seed.count) {
            (true, _) => builder.entering(&[state], step),
            (false, 3) if !rest.is_empty() => builder.on(&some, step).on(&rest, starts(&format!("other-{number}"))),
            (false, _) => builder.on(&some, step),
        };
    }
    if entering.is_empty() {
        return builder;
    }
    if seed.reactions & 1 == 1 {
        builder = builder.entering(&[state], tells("notify"));
    }
    if seed.reactions & 5 == 5 {
        builder = builder.entering(&[state], Reaction::Create("others".into()));
    }
    if seed.reactions & 6 == 6 {
        builder = builder.hook(Hook { to_states: names(&[state]), reaction: runs("mailer"), ..Hook::default() });
    }
    builder
}

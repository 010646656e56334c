//! The machine as a whole: every state can be reached and can be finished from, and nothing moves for ever by itself.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{Report, leaving};
use crate::Definition;
use crate::suggest::list;

/// A transition between known states.
#[derive(Clone, Copy)]
struct Edge<'a> {
    name: &'a str,
    from: &'a str,
    to: &'a str,
    automatic: bool,
    /// It fires without waiting: automatic, or instead of a timer that is used up.
    at_once: bool,
}

/// Edges by the state that they leave.
type Ways<'a> = BTreeMap<&'a str, Vec<Edge<'a>>>;

pub(super) fn check(definition: &Definition, report: &mut Report) {
    let edges = edges(definition);
    check_reachable(definition, &edges, report);
    let loops = check_loops(definition, &edges, report);
    check_finishing(definition, &edges, loops, report);
}

fn edges(definition: &Definition) -> Vec<Edge<'_>> {
    let exhausted: BTreeSet<&str> = definition.transitions.values().filter_map(|transition| transition.exhausted.as_deref()).collect();
    let known = definition
        .transitions
        .iter()
        .filter(|(_, transition)| definition.states.contains_key(&transition.from) && definition.states.contains_key(&transition.to));
    known
        .map(|(name, transition)| Edge {
            name,
            from: &transition.from,
            to: &transition.to,
            automatic: transition.automatic,
            at_once: transition.automatic || exhausted.contains(name.as_str()),
        })
        .collect()
}

fn ways<'a>(edges: impl IntoIterator<Item = Edge<'a>>) -> Ways<'a> {
    let mut ways = Ways::new();
    for edge in edges {
        ways.entry(edge.from).or_default().push(edge);
    }
    ways
}

/// The states that `ways` lead to from `sources`, these included.
fn reach<'a>(sources: impl IntoIterator<Item = &'a str>, ways: &Ways<'a>) -> BTreeSet<&'a str> {
    let mut reached: BTreeSet<&str> = sources.into_iter().collect();
    let mut open: Vec<&str> = reached.iter().copied().collect();
    while let Some(state) = open.pop() {
        open.extend(ways.get(state).into_iter().flatten().map(|edge| edge.to).filter(|to| reached.insert(to)));
    }
    reached
}

fn check_reachable(definition: &Definition, edges: &[Edge<'_>], report: &mut Report) {
    let initial = definition.initial_state.as_str();
    if !definition.states.contains_key(initial) {
        return;
    }
    let reached = reach([initial], &ways(edges.iter().copied()));
    for state in definition.states.keys().filter(|state| !reached.contains(state.as_str())) {
        let message = format!(
            "state '{state}' cannot be reached from the initial state '{initial}'; add a transition that leads to it, or remove it"
        );
        report.add(&["states", state], message);
    }
}

/// Reports transitions that fire one after the other for ever, and says whether there were any.
fn check_loops(definition: &Definition, edges: &[Edge<'_>], report: &mut Report) -> bool {
    let ways = ways(edges.iter().filter(|edge| edge.at_once).copied());
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for state in definition.states.keys().map(String::as_str) {
        if seen.contains(state) {
            continue;
        }
        let Some(round) = round_trip(state, &ways) else { continue };
        seen.extend(round.iter().map(|edge| edge.from));
        let legs: Vec<String> = round.iter().map(|edge| format!("'{}' from '{}' to '{}'", edge.name, edge.from, edge.to)).collect();
        let message =
            format!("transitions that do not wait form a loop without end: {}; one of them has to wait for something", legs.join(", "));
        report.add(&["transitions", round[0].name], message);
    }
    !seen.is_empty()
}

/// The shortest way from `start` back to itself.
fn round_trip<'a>(start: &'a str, ways: &Ways<'a>) -> Option<Vec<Edge<'a>>> {
    let mut arrived_by: BTreeMap<&str, Edge<'_>> = BTreeMap::new();
    let mut open = VecDeque::from([start]);
    while let Some(state) = open.pop_front() {
        for edge in ways.get(state).into_iter().flatten() {
            if arrived_by.contains_key(edge.to) {
                continue;
            }
            arrived_by.insert(edge.to, *edge);
            if edge.to == start {
                return Some(trace(start, &arrived_by));
            }
            open.push_back(edge.to);
        }
    }
    None
}

fn trace<'a>(start: &str, arrived_by: &BTreeMap<&'a str, Edge<'a>>) -> Vec<Edge<'a>> {
    let mut legs = Vec::new();
    let mut state = start;
    while let Some(edge) = arrived_by.get(state) {
        legs.push(*edge);
        state = edge.from;
        if state == start {
            break;
        }
    }
    legs.reverse();
    legs
}

fn check_finishing(definition: &Definition, edges: &[Edge<'_>], loops: bool, report: &mut Report) {
    let finals: Vec<&str> = definition.states.iter().filter(|(_, state)| state.is_final).map(|(name, _)| name.as_str()).collect();
    if finals.is_empty() {
        return report.add(&["states"], format!("none of the states is final; mark at least one state of '{}' as final", definition.name));
    }
    // An automatic transition leaves at once, so the others out of its state are no way out, unless it is part of a loop and
    // wrong itself.
    let automatic: BTreeSet<&str> = edges.iter().filter(|edge| edge.automatic && !loops).map(|edge| edge.from).collect();
    let usable = edges.iter().filter(|edge| edge.automatic || !automatic.contains(edge.from));
    let finishing = reach(finals.iter().copied(), &ways(usable.map(|edge| Edge { from: edge.to, to: edge.from, ..*edge })));
    for state in definition.states.keys().filter(|state| !finishing.contains(state.as_str())) {
        let message = format!(
            "no final state can be reached from state '{state}'; final states: {}; {}",
            list(finals.iter().copied()),
            leaving(definition, state)
        );
        report.add(&["states", state], message);
    }
}

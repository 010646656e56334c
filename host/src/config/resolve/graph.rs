//! `dependsOn`: who starts before whom.

use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::{DfsEvent, depth_first_search};

use crate::config::context::Context;
use crate::config::finding::Findings;
use crate::config::report::Code;

/// Positions of the modules so that each comes after what it depends on, otherwise as written.
pub(super) fn start_sequence(context: &Context<'_>, findings: &mut Findings) -> Vec<usize> {
    let modules = &context.modules;
    let mut graph: DiGraph<usize, ()> = DiGraph::new();
    let nodes: Vec<NodeIndex> = (0..modules.len()).map(|index| graph.add_node(index)).collect();
    for (index, module) in modules.iter().enumerate() {
        for (position, name) in module.depends_on.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
            match context.module(name) {
                Some(on) => {
                    graph.add_edge(nodes[index], nodes[on.at.index], ());
                }
                None => {
                    let others = modules.iter().map(|other| other.at.name).filter(|other| !other.is_empty() && *other != module.at.name);
                    let help = context.suggest(name, others);
                    findings.error(
                        format!("/modules/{index}/dependsOn/{position}"),
                        Code::UnknownName,
                        format!("no module is named '{name}'"),
                        help,
                    );
                }
            }
        }
    }
    report_cycles(context, &graph, findings);
    let mut sequence = Vec::with_capacity(modules.len());
    // A module is finished after everything it depends on. As deep as the longest chain of modules, whose number is bounded.
    depth_first_search(&graph, nodes, |event| {
        if let DfsEvent::Finish(node, _) = event {
            sequence.push(graph[node]);
        }
    });
    sequence
}

fn report_cycles(context: &Context<'_>, graph: &DiGraph<usize, ()>, findings: &mut Findings) {
    for component in kosaraju_scc(graph) {
        let mut members: Vec<usize> = component.iter().map(|node| graph[*node]).collect();
        members.sort_unstable();
        let Some(&first) = members.first() else { continue };
        if members.len() == 1 && !graph.contains_edge(component[0], component[0]) {
            continue;
        }
        let cycle = cycle_through(graph, first, &members);
        let names: Vec<&str> = cycle.iter().map(|index| context.modules[*index].at.name).collect();
        let message = format!("modules wait for each other: {} -> {}", names.join(" -> "), names[0]);
        findings.error(
            format!("/modules/{first}/dependsOn"),
            Code::DependencyCycle,
            message,
            "remove one of these dependencies".to_owned(),
        );
    }
}

/// A shortest way from `first` back to itself within `members`.
fn cycle_through(graph: &DiGraph<usize, ()>, first: usize, members: &[usize]) -> Vec<usize> {
    let mut ways: Vec<Vec<usize>> = vec![vec![first]];
    let mut seen = vec![first];
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            let last = way.last().copied().unwrap_or(first);
            for next in graph.neighbors(NodeIndex::new(last)).map(|node| graph[node]).filter(|next| members.contains(next)) {
                if next == first {
                    return way;
                }
                if !seen.contains(&next) {
                    seen.push(next);
                    longer.push([way.as_slice(), &[next]].concat());
                }
            }
        }
        ways = longer;
    }
    vec![first]
}

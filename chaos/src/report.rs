//! What a person reads of a run.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::bank::Posting;
use crate::checker::database::Database;
use crate::journal::{self, Entry, Line};
use crate::nemesis::Crash;
use crate::power::Lost;
use crate::schedule::Shape;
use crate::trial::Verdict;

/// Violations that are told one by one.
const TOLD: usize = 20;

/// One line of a run that has passed, all about one that has not.
pub fn of(verdict: &Verdict) -> String {
    let figures = &verdict.figures;
    let mut text = format!(
        "seed {} ({}): {} orders {:?}, {} kills, {} faults, {} runs begun again, {} of {} operations succeeded, ready after {}, went on after {}, \
         at rest after {} ms, took {} s\n",
        figures.seed,
        match figures.shape {
            Shape::Monolith => "monolith",
            Shape::Processes => "three processes",
            Shape::Scale => "several of orders",
        },
        figures.orders,
        figures.ends,
        figures.kills,
        figures.faults,
        figures.claimed_again,
        figures.succeeded,
        figures.operations,
        percentiles(&figures.ready),
        percentiles(&figures.resumed),
        figures.rest,
        figures.took / 1_000
    );
    if figures.shape == Shape::Scale {
        let _ = writeln!(
            text,
            "  taken over elsewhere {} times, after {}; {} processes that lived were taken for dead",
            figures.taken_over.len(),
            percentiles(&figures.taken_over),
            figures.replaced
        );
    }
    if figures.lost.cuts > 0 {
        let Lost { cuts, unsynced, left_out, torn, names } = figures.lost;
        let _ = writeln!(
            text,
            "  the power was cut {cuts} times; of {unsynced} changes that were not synced {left_out} were lost and {torn} torn, and {names} names taken back"
        );
    }
    text.push_str(&places(&figures.crashes));
    if !figures.count() {
        text.push_str("  It does not count: too little of it succeeded.\n");
    }
    let Some(first) = verdict.violations.first() else { return text };
    let _ = writeln!(
        text,
        "  {} violations. The first: {}",
        verdict.violations.len(),
        told(first.invariant.as_str(), first.order.as_deref(), &first.why)
    );
    for violation in verdict.violations.iter().skip(1).take(TOLD) {
        let _ = writeln!(text, "  then: {}", told(&violation.invariant, violation.order.as_deref(), &violation.why));
    }
    if let Some(order) = &first.order {
        text.push_str(&time_line(order, verdict).unwrap_or_else(|problem| format!("  no time line: {problem:#}\n")));
    }
    let _ = writeln!(text, "  Everything of it is in {}\n  Again: {}", verdict.folder.display(), again(verdict));
    text
}

/// A seed stands for a schedule only where that is made from nothing else.
fn again(verdict: &Verdict) -> String {
    let figures = &verdict.figures;
    if figures.lost.cuts > 0 || !figures.crashes.is_empty() {
        let with = if figures.crashes.is_empty() { "debug/millrace" } else { "chaos/millrace-with-faults" };
        return format!("target/debug/chaos run --program target/{with} --schedule {}", verdict.folder.join("schedule.json").display());
    }
    let option = match figures.shape {
        Shape::Monolith => "--replay",
        Shape::Processes => "--processes",
        Shape::Scale => "--scale",
    };
    format!("cargo xtask chaos {option} {}", figures.seed)
}

/// A row for each place at which the program was to kill itself, a column for each number.
fn places(crashes: &[Crash]) -> String {
    let hits: BTreeSet<u32> = crashes.iter().map(|crash| crash.hit).collect();
    let mut rows: BTreeMap<&str, BTreeMap<u32, bool>> = BTreeMap::new();
    for crash in crashes {
        rows.entry(&crash.point).or_default().insert(crash.hit, crash.is_reached);
    }
    let mut text = String::new();
    if !rows.is_empty() {
        let _ = writeln!(text, "  | crash point | {} |", hits.iter().map(u32::to_string).collect::<Vec<_>>().join(" | "));
    }
    for (point, reached) in rows {
        let cell = |hit: &u32| match reached.get(hit) {
            Some(true) => "killed",
            Some(false) => "not reached",
            None => "",
        };
        let _ = writeln!(text, "  | `{point}` | {} |", hits.iter().map(cell).collect::<Vec<_>>().join(" | "));
    }
    text
}

/// Of times in milliseconds: what half of them, and what 95 of a hundred, are not longer than, and the longest.
pub fn percentiles(times: &[u64]) -> String {
    let mut times = times.to_vec();
    times.sort_unstable();
    let of = |percent: usize| times.get((times.len() * percent).div_ceil(100).saturating_sub(1));
    match (of(50), of(95), times.last()) {
        (Some(half), Some(most), Some(longest)) => format!("{half}/{most}/{longest} ms"),
        _ => "(never)".to_owned(),
    }
}

fn told(invariant: &str, order: Option<&str>, why: &str) -> String {
    match order {
        Some(order) => format!("{invariant}: {order}: {why}"),
        None => format!("{invariant}: {why}"),
    }
}

/// What has happened to an order: what customers were told, what the bank has done, and the faults in between by the harness's clock; then its
/// history by the program's own.
fn time_line(order: &str, verdict: &Verdict) -> anyhow::Result<String> {
    let folder = &verdict.folder;
    let mut rows: Vec<(u64, String)> = Vec::new();
    let told = journal::read(&folder.join("journal.jsonl"))?;
    let key = told.iter().find_map(|line| match &line.entry {
        Entry::Created { order: id, key, .. } if id == order => Some(key.clone()),
        _ => None,
    });
    rows.extend(told.iter().filter(|line| is_about(line, order, key.as_deref())).map(|line| (line.at, format!("{:?}", line.entry))));
    let books: Vec<Posting> = journal::read_lines(&folder.join("bank.jsonl")).unwrap_or_default();
    rows.extend(
        books
            .iter()
            .filter(|posting| posting.key.starts_with(order))
            .map(|posting| (posting.at, format!("bank: {:?} {} {}", posting.what, posting.key, posting.amount))),
    );
    rows.sort();
    let (first, last) = (
        rows.iter().find(|(_, row)| !is_fault(row)).map_or(0, |row| row.0),
        rows.iter().rfind(|(_, row)| !is_fault(row)).map_or(0, |row| row.0),
    );
    let mut text = format!("  What is known of {order}:\n");
    for (at, row) in rows.iter().filter(|(at, _)| (first.saturating_sub(2_000)..=last + 5_000).contains(at)) {
        let _ = writeln!(text, "    {at} {row}");
    }
    let database = Database::read_both(&verdict.databases)?;
    for passed in database.order(order).map_or(&[][..], |order| order.history.as_slice()) {
        let _ = writeln!(
            text,
            "    history {} at {}: {} -> {} ({}, {})",
            passed.seq,
            passed.at / 1_000,
            passed.edge.from,
            passed.edge.to,
            passed.edge.name,
            passed.cause
        );
    }
    for run in database.runs.iter().filter(|run| run.order == order && run.kind != "task") {
        let _ = writeln!(text, "    run {} ({}): {}", run.key, run.kind, run.status);
    }
    Ok(text)
}

fn is_fault(row: &str) -> bool {
    row.starts_with("Fault") || row.starts_with("Started")
}

fn is_about(line: &Line, about: &str, its_key: Option<&str>) -> bool {
    match &line.entry {
        Entry::Fault { .. } | Entry::Started { .. } => true,
        Entry::Asked { key, .. } => its_key == Some(key.as_str()),
        Entry::Created { order, .. } | Entry::Seen { order, .. } | Entry::Acted { order, .. } => order == about,
        Entry::Broken { order, .. } => order.as_deref() == Some(about),
        Entry::Registered { .. } | Entry::Copied { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_a_table_of_what_was_reached() {
        let crash = |point: &str, hit, is_reached| Crash { point: point.to_owned(), hit, is_reached };
        let table = places(&[crash("b", 7, false), crash("b", 1, true), crash("a", 1, true)]);
        assert_eq!(table, "  | crash point | 1 | 7 |\n  | `a` | killed |  |\n  | `b` | killed | not reached |\n");
        assert_eq!(places(&[]), "");
    }

    #[test]
    fn percentiles_are_times_that_were_measured() {
        assert_eq!(percentiles(&[]), "(never)");
        assert_eq!(percentiles(&[7]), "7/7/7 ms");
        assert_eq!(percentiles(&(1..=100).rev().collect::<Vec<_>>()), "50/95/100 ms");
    }
}

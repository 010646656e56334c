//! What was measured beside what was meant.

use std::fmt;

/// A goal with its unit.
#[derive(Clone, Copy)]
pub struct Goal {
    bound: Option<Bound>,
    unit: &'static str,
}

#[derive(Clone, Copy)]
enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Goal {
    pub fn at_most(value: f64, unit: &'static str) -> Self {
        Self { bound: Some(Bound::AtMost(value)), unit }
    }

    pub fn at_least(value: f64, unit: &'static str) -> Self {
        Self { bound: Some(Bound::AtLeast(value)), unit }
    }

    pub fn none(unit: &'static str) -> Self {
        Self { bound: None, unit }
    }
}

struct Row {
    what: String,
    goal: Goal,
    measured: f64,
}

/// The figures, in the sequence measured.
#[derive(Default)]
pub struct Table(Vec<Row>);

impl Table {
    pub fn add(&mut self, what: &str, goal: Goal, measured: f64) {
        self.0.push(Row { what: what.to_owned(), goal, measured });
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<58} {:>14} {:>14}   of goal", "figure", "measured", "goal")?;
        for Row { what, goal, measured } in &self.0 {
            let unit = goal.unit;
            let (bound, ratio, met) = match goal.bound {
                None => (String::new(), String::new(), ' '),
                Some(Bound::AtMost(goal)) => (format!("<= {goal} {unit}"), format!("{:.2}x", measured / goal), mark(*measured <= goal)),
                Some(Bound::AtLeast(goal)) => (format!(">= {goal} {unit}"), format!("{:.2}x", measured / goal), mark(*measured >= goal)),
            };
            writeln!(f, "{what:<58} {:>14} {bound:>14}   {ratio} {met}", format!("{measured:.3} {unit}"))?;
        }
        Ok(())
    }
}

fn mark(met: bool) -> char {
    if met { '✓' } else { '✗' }
}

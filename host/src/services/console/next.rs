//! What happens next to an instance, in words.

use jiff::Timestamp;

use super::view::{Fireable, Following, InstanceRow, RunBody, TimerBody, WaitingBody};

/// A run waits because the breaker of its component is open.
pub(super) struct Alone {
    pub component: String,
    /// Whose runs alone it is open for; for those of everybody if nobody's.
    pub owner: Option<String>,
    /// When one is tried.
    pub until: Timestamp,
}

/// What follows for an instance with these runs and timers.
pub(super) fn following(
    row: &InstanceRow,
    (runs, alone, timers, waiting): (&[RunBody], &[Alone], &[TimerBody], &[WaitingBody]),
    transitions: &[Fireable],
    now: Timestamp,
) -> Vec<Following> {
    let mut all = Vec::new();
    if let Some(hold) = &row.held {
        let text = format!("it is held: {}. Nothing begins, no timer fires and no event moves it until it is released", hold.reason);
        all.push(Following { what: "held", text, at: None });
    }
    if let Some(first) = waiting.first() {
        let (count, them) =
            if waiting.len() == 1 { ("an event waits".to_owned(), "it") } else { (format!("{} events wait", waiting.len()), "the first") };
        let text = format!("{count} for its release: {them} asks for '{}'", first.transition);
        all.push(Following { what: "events", text, at: None });
    }
    let when = |at: Timestamp| match row.held {
        None => when(at, now),
        Some(_) if at > now => format!("{}, or once it is released after that", when(at, now)),
        Some(_) => "once it is released".to_owned(),
    };
    all.extend(runs.iter().filter_map(|run| of_run(run, when)));
    all.extend(alone.iter().map(|alone| {
        let Alone { component, owner, until } = alone;
        let why = match owner {
            Some(owner) => format!("is open for what belongs to '{owner}' alone: those runs fail again and again"),
            None => "is open: runs of this version fail again and again".to_owned(),
        };
        let text = format!("the breaker of '{component}' {why}, so none is begun for a while; `millrace components show {component}`");
        Following { what: "breaker", text, at: Some(*until) }
    }));
    all.extend(timers.iter().map(|timer| {
        let of = timer.of.map_or_else(String::new, |of| format!(", time {} of {of}", timer.time));
        let text = format!("the timer fires '{}' {}{of}", timer.transition, when(timer.due_at));
        Following { what: "timer", text, at: Some(timer.due_at) }
    }));
    if row.is_final {
        all.push(Following { what: "end", text: format!("it has ended in '{}'", row.state), at: None });
    } else if all.iter().all(|one| matches!(one.what, "held" | "events")) {
        let names: Vec<String> = transitions.iter().map(|one| format!("'{}'", one.transition)).collect();
        let text = match names.as_slice() {
            [] => format!("nothing follows from '{}' by itself: it waits for an event", row.state),
            names => format!("it waits for somebody, or for an event: {} may be fired", names.join(" or ")),
        };
        all.push(Following { what: "waits", text, at: None });
    }
    all
}

fn of_run(run: &RunBody, when: impl Fn(Timestamp) -> String) -> Option<Following> {
    let RunBody { name, kind, .. } = run;
    let attempt = match run.of {
        Some(of) => format!("attempt {} of {of}", run.attempt),
        None => format!("attempt {}", run.attempt),
    };
    let because = run.last_error.as_ref().map_or_else(String::new, |error| format!(": {error}"));
    let (what, text, at) = match (run.status, run.due_at) {
        ("running", _) => ("running", format!("{attempt} of the {kind} '{name}' is under way"), None),
        ("ready", Some(at)) => ("attempt", format!("{attempt} of the {kind} '{name}' {}", when(at)), Some(at)),
        ("quarantined" | "stranded", _) => ("aside", format!("the {kind} '{name}' is set aside{because}"), None),
        _ => return None,
    };
    Some(Following { what, text, at })
}

/// `in 7 s`, or `as soon as there is room`.
fn when(at: Timestamp, now: Timestamp) -> String {
    let left = at.duration_since(now);
    let seconds = left.as_secs() + i64::from(left.subsec_nanos() > 0);
    match seconds {
        ..=0 => "as soon as there is room".to_owned(),
        1..=119 => format!("in {seconds} s"),
        120..=7_199 => format!("in {} min", seconds / 60),
        _ => format!("in {} h", seconds / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::super::view::HoldBody;
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn row() -> InstanceRow {
        InstanceRow {
            kind: "claims".into(),
            id: "claim-1".into(),
            workflow: "making".into(),
            definition: "d".into(),
            state: "paying".into(),
            is_final: false,
            version: 3,
            owner: None,
            attention: None,
            held: None,
            created_at: at(0),
            last_update: at(0),
        }
    }

    #[test]
    fn an_open_breaker_is_named_with_whom_it_is_open_for() {
        let row = row();
        let text = |owner: Option<&str>| {
            let alone = [Alone { component: "payment-processor".into(), owner: owner.map(str::to_owned), until: at(130) }];
            following(&row, (&[], &alone, &[], &[]), &[], at(100)).remove(0).text
        };
        let ends = "fail again and again, so none is begun for a while; `millrace components show payment-processor`";
        assert_eq!(text(None), format!("the breaker of 'payment-processor' is open: runs of this version {ends}"));
        assert_eq!(
            text(Some("eve")),
            format!("the breaker of 'payment-processor' is open for what belongs to 'eve' alone: those runs {ends}")
        );
    }

    #[test]
    fn what_is_due_while_somebody_holds_an_instance_waits_for_its_release() {
        let mut row = row();
        let timer = |transition: &str, second| TimerBody { transition: transition.into(), due_at: at(second), time: 1, of: None };
        let timers = [timer("retry", 107), timer("expire", 90)];
        let texts =
            |row: &InstanceRow| following(row, (&[], &[], &timers, &[]), &[], at(100)).into_iter().map(|one| one.text).collect::<Vec<_>>();
        assert_eq!(texts(&row), ["the timer fires 'retry' in 7 s", "the timer fires 'expire' as soon as there is room"]);
        row.held = Some(HoldBody { who: "user-9".into(), reason: "the bank calls".into(), at: at(50) });
        let expected = [
            "it is held: the bank calls. Nothing begins, no timer fires and no event moves it until it is released",
            "the timer fires 'retry' in 7 s, or once it is released after that",
            "the timer fires 'expire' once it is released",
        ];
        assert_eq!(texts(&row), expected);
    }
}

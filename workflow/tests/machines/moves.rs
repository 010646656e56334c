//! Each rule of how an instance moves, on the smallest machine that shows it.

use std::time::Duration;

use millrace_workflow::{Cause, Effect, Input, Instance, Machine, Reaction, Refusal, Step, StepOutcome, Transition};

use crate::builder::{automatic, edge, runs, starts, step, tells, timed, workflow};

/// `new -> working`, where a step decides between `done` and `broken`.
fn one_step() -> Machine {
    workflow("new")
        .states(&["new", "working"])
        .finals(&["done"])
        .error("broken")
        .transition("begin", edge("new", "working"))
        .transition("finish", edge("working", "done"))
        .transition("break", edge("working", "broken"))
        .step("step-work", step("worker", "finish", "break"))
        .on(&["begin"], starts("step-work"))
        .begin("begin")
        .machine()
}

#[test]
fn a_rejection_may_lead_elsewhere_than_a_failure() {
    let machine = workflow("new")
        .states(&["new", "working", "broken"])
        .finals(&["done"])
        .error("refused")
        .transition("begin", edge("new", "working"))
        .transition("finish", edge("working", "done"))
        .transition("break", edge("working", "broken"))
        .transition("again", edge("broken", "working"))
        .transition("refuse", edge("working", "refused"))
        .step("step-work", Step { reject: Some("refuse".into()), ..step("worker", "finish", "break") })
        .on(&["begin", "again"], starts("step-work"))
        .begin("begin")
        .machine();
    let (working, _) = machine.create();
    for (outcome, state) in [
        (StepOutcome::Accepted, "done"),
        (StepOutcome::Rejected, "refused"),
        (StepOutcome::Permanent, "broken"),
        (StepOutcome::Transient, "broken"),
    ] {
        let (instance, _) = machine.advance(&working, &finished(1, 99, outcome)).unwrap();
        assert_eq!(instance.state, state, "{outcome:?}");
    }
}

fn finished(visit: u32, attempt: u32, outcome: StepOutcome) -> Input {
    Input::StepFinished { step: "step-work".into(), visit, attempt, outcome, jitter: 1.0 }
}

fn fire(transition: &str) -> Input {
    Input::Fire { transition: transition.into(), cause: Cause::Api }
}

fn ring(transition: &str, version: u64) -> Input {
    Input::TimerFired { transition: transition.into(), version }
}

fn causes(effects: &[Effect]) -> Vec<Cause> {
    effects.iter().filter_map(|effect| if let Effect::Transitioned { cause, .. } = effect { Some(cause.clone()) } else { None }).collect()
}

fn handlers(effects: &[Effect]) -> Vec<&str> {
    effects.iter().filter_map(|effect| if let Effect::Announce { handler, .. } = effect { Some(handler.as_str()) } else { None }).collect()
}

fn at(state: &str) -> Instance {
    Instance { state: state.into(), version: 0, visits: Default::default(), timer_firings: Default::default(), unserved: 0 }
}

#[test]
fn a_hook_creates_once_what_several_name_and_before_anything_runs() {
    let creates = || Reaction::Create("refunds".into());
    let machine = workflow("new")
        .states(&["new"])
        .finals(&["done"])
        .transition("finish", edge("new", "done"))
        .on(&["finish"], creates())
        .on(&["finish"], creates())
        .on(&["finish"], runs("tidy"))
        .machine();
    let (_, effects) = machine.advance(&machine.create().0, &fire("finish")).expect("it leaves the state");
    assert!(
        matches!(&effects[1..3], [Effect::Create { handler, seq: 1 }, Effect::Run { seq: 1, .. }] if handler == "refunds"),
        "{effects:?}"
    );
}

#[test]
fn without_an_initial_transition_an_instance_waits_in_the_initial_state() {
    let machine = workflow("new").states(&["new"]).finals(&["done"]).transition("finish", edge("new", "done")).machine();
    assert_eq!(machine.create(), (at("new"), vec![]));
}

#[test]
fn what_is_automatic_in_the_initial_state_is_made_on_creation() {
    let machine = workflow("new").states(&["new"]).finals(&["done"]).transition("finish", automatic("new", "done")).machine();
    let (instance, effects) = machine.create();
    assert_eq!((instance.state.as_str(), causes(&effects)), ("done", vec![Cause::Automatic]));
}

#[test]
fn a_timer_of_the_initial_state_is_started_on_creation() {
    let machine = workflow("new").states(&["new"]).finals(&["done"]).transition("expire", timed("new", "done", 5)).machine();
    let (instance, effects) = machine.create();
    assert_eq!(effects, [Effect::Timer { transition: "expire".into(), after: Duration::from_secs(5), version: 0 }]);
    let (instance, effects) = machine.advance(&instance, &ring("expire", 0)).expect("the timer is running");
    assert_eq!((instance.state.as_str(), causes(&effects)), ("done", vec![Cause::Timer]));
}

#[test]
fn a_step_that_accepts_fires_its_success_and_any_other_end_its_compensation() {
    let ends = [
        (StepOutcome::Accepted, "done", Cause::Accepted),
        (StepOutcome::Rejected, "broken", Cause::Rejected),
        (StepOutcome::Permanent, "broken", Cause::Failed),
    ];
    for (outcome, state, cause) in ends {
        let machine = one_step();
        let (instance, effects) = machine.advance(&machine.create().0, &finished(1, 1, outcome)).expect("the answer is awaited");
        assert_eq!((instance.state.as_str(), causes(&effects)), (state, vec![cause]));
    }
}

#[test]
fn a_transient_failure_is_tried_again_with_longer_waits_and_then_compensated() {
    let machine = one_step();
    let (instance, _) = machine.create();
    for (attempt, seconds) in [(1, 1), (2, 2)] {
        let (after, effects) = machine.advance(&instance, &finished(1, attempt, StepOutcome::Transient)).expect("the answer is awaited");
        let delay = Duration::from_secs(seconds);
        assert_eq!(
            (after, effects),
            (instance.clone(), vec![Effect::Retry { name: "step-work".into(), visit: 1, attempt: attempt + 1, delay }])
        );
    }
    let (instance, effects) = machine.advance(&instance, &finished(1, 3, StepOutcome::Transient)).expect("the answer is awaited");
    assert_eq!((instance.state.as_str(), causes(&effects)), ("broken", vec![Cause::Failed]));
}

#[test]
fn an_answer_for_another_visit_is_refused() {
    let machine = one_step();
    let (instance, _) = machine.create();
    for visit in [0, 2, u32::MAX] {
        let refusal = Refusal::StaleStep { step: "step-work".into(), visit, current: 1, state: "working".into() };
        assert_eq!(machine.advance(&instance, &finished(visit, 1, StepOutcome::Accepted)), Err(refusal));
    }
}

#[test]
fn an_answer_of_a_step_that_was_never_started_or_does_not_exist_is_refused() {
    let machine = one_step();
    assert!(matches!(machine.advance(&at("working"), &finished(0, 1, StepOutcome::Accepted)), Err(Refusal::StaleStep { current: 0, .. })));
    let unknown = Input::StepFinished { step: "step-play".into(), visit: 1, attempt: 1, outcome: StepOutcome::Accepted, jitter: 0.0 };
    assert!(matches!(machine.advance(&at("working"), &unknown), Err(Refusal::StaleStep { .. })));
}

#[test]
fn an_answer_after_the_state_was_left_is_refused() {
    let machine = one_step();
    let (instance, _) = machine.advance(&machine.create().0, &fire("break")).expect("it leaves the state");
    let refusal = Refusal::StaleStep { step: "step-work".into(), visit: 1, current: 1, state: "broken".into() };
    assert_eq!(refusal.to_string(), "step 'step-work' visit 1 is not awaited: the state is 'broken', the last visit 1");
    assert_eq!(machine.advance(&instance, &finished(1, 1, StepOutcome::Accepted)), Err(refusal));
}

/// `working` can be entered with the step and, by a person, without it.
fn with_manual_review() -> Machine {
    workflow("new")
        .states(&["new", "working", "aside"])
        .finals(&["done"])
        .transition("begin", edge("new", "working"))
        .transition("finish", edge("working", "done"))
        .transition("park", edge("working", "aside"))
        .transition("review", edge("aside", "working"))
        .transition("approve", edge("working", "done"))
        .transition("again", edge("aside", "new"))
        .step("step-work", step("worker", "finish", "park"))
        .on(&["begin"], starts("step-work"))
        .begin("begin")
        .machine()
}

#[test]
fn a_state_with_a_way_out_of_its_own_may_be_entered_without_the_step() {
    let machine = with_manual_review();
    let (instance, _) = machine.advance(&machine.create().0, &fire("park")).expect("it leaves the state");
    let (_, effects) = machine.advance(&instance, &fire("review")).expect("it leaves the state");
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Run { .. })), "{effects:?}");
}

#[test]
fn an_answer_to_an_earlier_stay_in_the_state_is_late() {
    let machine = with_manual_review();
    let (instance, _) = machine.advance(&machine.create().0, &fire("park")).expect("it leaves the state");
    let (instance, _) = machine.advance(&instance, &fire("review")).expect("it leaves the state");
    let late = machine.advance(&instance, &finished(1, 1, StepOutcome::Accepted));
    assert!(matches!(late, Err(Refusal::StaleStep { visit: 1, .. })), "{late:?}");
}

#[test]
fn an_answer_is_late_when_another_step_was_started_in_the_same_state_since() {
    let machine = workflow("new")
        .states(&["new", "working", "aside"])
        .finals(&["done"])
        .transition("begin", edge("new", "working"))
        .transition("finish", edge("working", "done"))
        .transition("park", edge("working", "aside"))
        .transition("count", edge("aside", "working"))
        .step("step-work", step("worker", "finish", "park"))
        .step("step-count", step("counter", "finish", "park"))
        .on(&["begin"], starts("step-work"))
        .on(&["count"], starts("step-count"))
        .begin("begin")
        .machine();
    let (instance, _) = machine.advance(&machine.create().0, &fire("park")).expect("it leaves the state");
    let (instance, _) = machine.advance(&instance, &fire("count")).expect("it leaves the state");
    let late = machine.advance(&instance, &finished(1, 1, StepOutcome::Accepted));
    assert!(matches!(late, Err(Refusal::StaleStep { visit: 1, .. })), "{late:?}");
}

#[test]
fn entering_a_state_counts_visits_of_its_own_step_only() {
    let machine = workflow("new")
        .states(&["new", "working", "checking"])
        .finals(&["done"])
        .error("broken")
        .transition("begin", edge("new", "working"))
        .transition("finish", edge("working", "checking"))
        .transition("break", edge("working", "broken"))
        .transition("pass", edge("checking", "done"))
        .transition("fail", edge("checking", "broken"))
        .step("step-work", step("worker", "finish", "break"))
        .step("step-check", step("checker", "pass", "fail"))
        .on(&["begin"], starts("step-work"))
        .on(&["finish"], starts("step-check"))
        .begin("begin")
        .machine();
    let visits = |instance: &Instance| instance.visits.iter().map(|(step, visit)| format!("{step} {visit}")).collect::<Vec<_>>();
    let (instance, _) = machine.create();
    assert_eq!(visits(&instance), ["step-work 1"]);
    let (instance, _) = machine.advance(&instance, &finished(1, 1, StepOutcome::Accepted)).expect("the answer is awaited");
    assert_eq!(visits(&instance), ["step-check 1", "step-work 1"]);
}

#[test]
fn each_start_of_a_step_is_a_new_visit() {
    let machine = with_manual_review();
    let (mut instance, _) = machine.create();
    let mut last = 1;
    for _ in 0..3 {
        for transition in ["park", "again", "begin"] {
            (instance, _) = machine.advance(&instance, &fire(transition)).expect("it leaves the state");
        }
        assert!(instance.visits["step-work"] > last);
        last = instance.visits["step-work"];
    }
}

#[test]
fn an_awaited_step_is_started_by_every_transition_into_its_state() {
    let machine = workflow("new")
        .states(&["new", "working", "failed"])
        .finals(&["done"])
        .transition("begin", edge("new", "working"))
        .transition("finish", edge("working", "done"))
        .transition("fail", edge("working", "failed"))
        .transition("retry", timed("failed", "working", 1))
        .step("step-work", step("worker", "finish", "fail"))
        .on(&["begin"], starts("step-work"))
        .begin("begin")
        .machine();
    let (instance, _) = machine.advance(&machine.create().0, &finished(1, 1, StepOutcome::Rejected)).expect("the answer is awaited");
    let (instance, effects) = machine.advance(&instance, &ring("retry", 2)).expect("the timer is running");
    assert!(matches!(effects.last(), Some(Effect::Run { visit: 2, seq: 3, .. })), "{effects:?}");
    assert!(machine.advance(&instance, &finished(1, 1, StepOutcome::Accepted)).is_err());
    assert!(machine.advance(&instance, &finished(2, 1, StepOutcome::Accepted)).is_ok());
}

#[test]
fn a_timer_of_an_earlier_version_is_refused() {
    let machine = workflow("new").states(&["new"]).finals(&["done"]).transition("expire", timed("new", "done", 5));
    let machine = machine.transition("touch", edge("new", "new")).machine();
    let (instance, effects) = machine.advance(&machine.create().0, &fire("touch")).expect("it leaves the state");
    assert!(matches!(effects.last(), Some(Effect::Timer { version: 1, .. })));
    let refusal = Refusal::StaleTimer { transition: "expire".into(), started: 0, current: 1 };
    assert_eq!(machine.advance(&instance, &ring("expire", 0)), Err(refusal));
}

#[test]
fn a_timer_that_the_machine_does_not_have_is_refused() {
    let machine = with_manual_review();
    let (instance, _) = machine.create();
    assert!(matches!(machine.advance(&instance, &ring("nothing", 1)), Err(Refusal::UnknownTransition { .. })));
    assert!(matches!(machine.advance(&instance, &ring("begin", 1)), Err(Refusal::WrongState { .. })));
    assert!(matches!(machine.advance(&instance, &ring("approve", 1)), Err(Refusal::StaleTimer { .. })));
}

#[test]
fn only_the_state_that_is_rested_in_gets_a_timer() {
    let machine = workflow("a")
        .states(&["a", "b", "c"])
        .finals(&["done"])
        .transition("first", edge("a", "b"))
        .transition("on", automatic("b", "c"))
        .transition("expire", timed("c", "done", 5))
        .begin("first")
        .machine();
    let timers: Vec<Effect> = machine.create().1.into_iter().filter(|effect| matches!(effect, Effect::Timer { .. })).collect();
    assert_eq!(timers, [Effect::Timer { transition: "expire".into(), after: Duration::from_secs(5), version: 2 }]);
}

#[test]
fn a_used_up_timer_fires_its_exhausted_transition_on_entering_the_state() {
    let poll = Transition { max_attempts: Some(2), exhausted: Some("give_up".into()), ..timed("waiting", "waiting", 1) };
    let machine = workflow("waiting")
        .states(&["waiting", "lost"])
        .finals(&["done"])
        .transition("poll", poll)
        .transition("give_up", edge("waiting", "lost"))
        .transition("close", automatic("lost", "done"))
        .machine();
    let (instance, _) = machine.create();
    let (instance, effects) = machine.advance(&instance, &ring("poll", 0)).expect("the timer is running");
    assert!(matches!(effects.last(), Some(Effect::Timer { version: 1, .. })));
    let (instance, effects) = machine.advance(&instance, &ring("poll", 1)).expect("the timer is running");
    assert_eq!(causes(&effects), [Cause::Timer, Cause::Exhausted, Cause::Automatic]);
    assert_eq!((instance.state.as_str(), instance.timer_firings["poll"]), ("done", 2));
}

#[test]
fn a_hook_matches_when_every_list_that_it_gives_has_the_value() {
    let hook = |transitions: &[&str], from: &[&str], to: &[&str], handler: &str| millrace_workflow::Hook {
        transitions: crate::builder::names(transitions),
        from_states: crate::builder::names(from),
        to_states: crate::builder::names(to),
        reaction: tells(handler),
    };
    let machine = workflow("a")
        .states(&["a", "b"])
        .finals(&["done"])
        .transition("left", edge("a", "b"))
        .transition("right", edge("a", "b"))
        .transition("end", edge("b", "done"))
        .hook(hook(&["left"], &[], &[], "by transition"))
        .hook(hook(&[], &["a"], &[], "by state left"))
        .hook(hook(&[], &[], &["b", "done"], "by state entered"))
        .hook(hook(&["left", "end"], &["b"], &["done"], "by all three"))
        .machine();
    let (instance, effects) = machine.advance(&machine.create().0, &fire("left")).expect("it leaves the state");
    assert_eq!(handlers(&effects), ["by transition", "by state left", "by state entered"]);
    let (_, effects) = machine.advance(&machine.create().0, &fire("right")).expect("it leaves the state");
    assert_eq!(handlers(&effects), ["by state left", "by state entered"]);
    let (_, effects) = machine.advance(&instance, &fire("end")).expect("it leaves the state");
    assert_eq!(handlers(&effects), ["by state entered", "by all three"]);
}

#[test]
fn what_two_hooks_start_by_one_transition_is_started_once() {
    let machine = workflow("a")
        .states(&["a"])
        .finals(&["done"])
        .transition("end", edge("a", "done"))
        .on(&["end"], runs("mailer"))
        .entering(&["done"], runs("mailer"))
        .on(&["end"], tells("notify"))
        .entering(&["done"], tells("notify"))
        .machine();
    let (instance, effects) = machine.advance(&machine.create().0, &fire("end")).expect("it leaves the state");
    assert_eq!((effects.len(), instance.visits["mailer"]), (4, 1), "{effects:?}");
}

#[test]
fn a_final_state_absorbs() {
    let machine = one_step();
    let (instance, _) = machine.advance(&machine.create().0, &finished(1, 1, StepOutcome::Accepted)).expect("the answer is awaited");
    let inputs = [fire("finish"), fire("begin"), finished(1, 1, StepOutcome::Accepted), ring("finish", 2)];
    for input in inputs {
        assert!(machine.advance(&instance, &input).is_err(), "{input:?}");
    }
}

#[test]
fn what_does_not_exist_is_refused_by_name() {
    let machine = one_step();
    let unknown_transition = machine.advance(&at("new"), &fire("fly")).expect_err("there is no such transition");
    assert_eq!(unknown_transition.to_string(), "workflow 'test' has no transition 'fly'");
    let unknown_state = machine.advance(&at("moon"), &fire("begin")).expect_err("there is no such state");
    assert_eq!(unknown_state.to_string(), "workflow 'test' has no state 'moon'");
}

#[test]
fn counters_at_their_end_do_not_panic() {
    let machine = one_step();
    let instance = Instance { version: u64::MAX, visits: [("step-work".to_owned(), u32::MAX)].into(), ..at("working") };
    let last = finished(u32::MAX, u32::MAX, StepOutcome::Transient);
    assert_eq!(machine.advance(&instance, &last).map(|(instance, _)| instance.state), Ok("broken".into()));
}

/// `waiting <-> working` by timer or by hand, and out of `waiting` by hand.
fn loop_of_two() -> Machine {
    workflow("waiting")
        .states(&["waiting", "working"])
        .finals(&["done", "given up"])
        .transition("again", timed("waiting", "working", 1))
        .transition("give_up", edge("waiting", "given up"))
        .transition("finish", edge("working", "done"))
        .transition("fail", edge("working", "waiting"))
        .step("step-work", step("worker", "finish", "fail"))
        .on(&["again"], starts("step-work"))
        .machine()
        .bounded(4)
}

#[test]
fn an_instance_that_has_made_as_many_transitions_as_it_may_is_moved_by_nobody_but_to_its_end() {
    let machine = loop_of_two();
    let (mut instance, _) = machine.create();
    for visit in [1, 2] {
        (instance, _) = machine.advance(&instance, &fire("again")).expect("it may be made");
        let (rested, effects) = machine.advance(&instance, &finished(visit, 1, StepOutcome::Rejected)).expect("the answer is awaited");
        let attention = |effect: &Effect| matches!(effect, Effect::Attention { reason } if reason.contains("4 transitions"));
        assert_eq!(effects.iter().any(attention), visit == 2, "{effects:?}");
        assert_eq!(effects.iter().any(|effect| matches!(effect, Effect::Timer { .. })), visit == 1, "{effects:?}");
        instance = rested;
    }
    assert_eq!(machine.advance(&instance, &fire("again")), Err(Refusal::Worn { made: 4, most: 4 }));
    let (same, effects) = machine.advance(&instance, &ring("again", 4)).expect("a timer of before the limit");
    assert_eq!(same, instance);
    assert!(matches!(&effects[..], [Effect::Attention { .. }]), "{effects:?}");
    let (ended, _) = machine.advance(&instance, &fire("give_up")).expect("its end is always possible");
    assert_eq!(ended.state, "given up");
    let more = machine.bounded(6);
    assert_eq!(more.advance(&instance, &fire("again")).map(|(instance, _)| instance.state), Ok("working".into()), "more are allowed");
}

#[test]
fn what_was_begun_before_the_limit_is_finished_beyond_it() {
    let machine = loop_of_two().bounded(1);
    let (working, _) = machine.advance(&machine.create().0, &fire("again")).expect("the first");
    let (done, effects) = machine.advance(&working, &finished(1, 1, StepOutcome::Accepted)).expect("the answer is awaited");
    assert_eq!(done.state, "done");
    assert!(matches!(effects.last(), Some(Effect::Finished { .. })), "{effects:?}");
}

#[test]
fn steps_and_automatic_transitions_alone_come_to_an_end_too() {
    let machine = workflow("new")
        .states(&["new", "working", "failed"])
        .finals(&["done"])
        .transition("begin", edge("new", "working"))
        .transition("again", automatic("failed", "working"))
        .transition("finish", edge("working", "done"))
        .transition("fail", edge("working", "failed"))
        .step("step-work", step("worker", "finish", "fail"))
        .on(&["begin", "again"], starts("step-work"))
        .begin("begin")
        .machine()
        .bounded(10);
    let (mut instance, mut visit) = (machine.create().0, 1);
    while instance.state == "working" {
        (instance, _) = machine.advance(&instance, &finished(visit, 1, StepOutcome::Rejected)).expect("the answer is awaited");
        visit += 1;
        assert!(instance.version < 20, "it goes on for ever");
    }
    assert_eq!(instance.state, "failed");
}

#[test]
fn a_deadline_begins_with_a_state_and_is_fired_out_of_another() {
    let deadline = millrace_workflow::Deadline { after: Duration::from_secs(60), since: "held".into() };
    let machine = workflow("held")
        .states(&["held", "waiting"])
        .finals(&["done"])
        .transition("wait", edge("held", "waiting"))
        .transition("again", timed("waiting", "held", 1))
        .transition("expire", Transition { deadline: Some(deadline), ..edge("waiting", "done") })
        .machine();
    assert_eq!(machine.deadlines_since("held").collect::<Vec<_>>(), [("expire", Duration::from_secs(60))]);
    assert_eq!(machine.deadlines_since("waiting").count(), 0);
    assert_eq!((machine.deadline("waiting").map(|(name, _)| name), machine.deadline("held")), (Some("expire"), None));
    let (waiting, _) = machine.advance(&machine.create().0, &fire("wait")).expect("it leaves the state");
    let (done, effects) = machine.advance(&waiting, &ring("expire", 1)).expect("its time has come");
    assert_eq!((done.state.as_str(), causes(&effects)), ("done", vec![Cause::Timer]));
    assert!(done.timer_firings.is_empty());
}

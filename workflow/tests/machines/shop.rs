//! The shop of the contract: twelve states, fifteen transitions, and the walks that an order can take.

use std::time::Duration;

use millrace_workflow::{
    Cause, Deadline, Definition, Effect, Input, Instance, Machine, NotNow, Refusal, Rest, RunKind, StepOutcome, Transition,
};

use crate::builder::{Builder, automatic, edge, names, runs, starts, step, tells, timed, workflow};

/// The states and transitions that every config of the shop has; payment and shipping are hooked where they are first started
/// only, not where they are retried.
fn plain() -> Builder {
    workflow("new")
        .begin("start_validation")
        .states(&["new", "validating", "validated", "paying", "paid", "payment_failed", "shipping", "shipped", "ship_failed"])
        .finals(&["delivered", "cancelled"])
        .error("failed")
        .transition("start_validation", edge("new", "validating"))
        .transition("validation_passed", edge("validating", "validated"))
        .transition("validation_failed", edge("validating", "failed"))
        .transition("start_payment", automatic("validated", "paying"))
        .transition("payment_approved", edge("paying", "paid"))
        .transition("payment_declined", edge("paying", "payment_failed"))
        .transition("retry_payment", edge("payment_failed", "paying"))
        .transition("start_shipping", automatic("paid", "shipping"))
        .transition("shipping_confirmed", edge("shipping", "shipped"))
        .transition("shipping_failed", edge("shipping", "ship_failed"))
        .transition("retry_shipping", edge("ship_failed", "shipping"))
        .transition("deliver_order", automatic("shipped", "delivered"))
        .transition("cancel_order", edge("new", "cancelled"))
        .transition("cancel_validated", edge("validated", "cancelled"))
        .step("step-validate", step("inventory-checker", "validation_passed", "validation_failed"))
        .step("step-payment", step("payment-processor", "payment_approved", "payment_declined"))
        .step("step-shipping", step("shipping-service", "shipping_confirmed", "shipping_failed"))
        .on(&["start_validation"], starts("step-validate"))
        .on(&["start_payment"], starts("step-payment"))
        .on(&["start_shipping"], starts("step-shipping"))
        .entering(&["validated", "paid", "shipped", "delivered", "cancelled", "failed", "payment_failed", "ship_failed"], tells("notify"))
}

/// The shop as the contract wants it: retries by timer, and stock released when an order comes to nothing.
pub fn shop() -> Definition {
    let retry_payment =
        Transition { max_attempts: Some(3), exhausted: Some("abandon_payment".into()), ..timed("payment_failed", "paying", 30) };
    let retry_shipping = Transition { attention_after: Some(5), ..timed("ship_failed", "shipping", 60) };
    plain()
        .transition("retry_payment", retry_payment)
        .transition("abandon_payment", edge("payment_failed", "cancelled"))
        .transition("retry_shipping", retry_shipping)
        .entering(&["cancelled", "failed"], runs("release-stock"))
        .0
}

fn machine() -> Machine {
    Machine::new(shop()).unwrap_or_else(|defects| panic!("{defects:#?}"))
}

fn answer(machine: &Machine, instance: &Instance, step: &str, outcome: StepOutcome) -> (Instance, Vec<Effect>) {
    let visit = instance.visits[step];
    let input = Input::StepFinished { step: step.into(), visit, attempt: 1, outcome, jitter: 1.0 };
    machine.advance(instance, &input).expect("the answer is awaited")
}

fn ring(machine: &Machine, instance: &Instance, transition: &str) -> (Instance, Vec<Effect>) {
    let input = Input::TimerFired { transition: transition.into(), version: instance.version };
    machine.advance(instance, &input).expect("the timer is running")
}

fn to_paying(machine: &Machine) -> Instance {
    let (instance, _) = machine.create();
    answer(machine, &instance, "step-validate", StepOutcome::Accepted).0
}

fn transitions(effects: &[Effect]) -> Vec<(&str, &'static str)> {
    effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Transitioned { transition, cause, .. } => Some((transition.as_str(), cause.as_str())),
            _ => None,
        })
        .collect()
}

fn moved(seq: u64, transition: &str, from: &str, to: &str, cause: Cause) -> Effect {
    Effect::Transitioned { seq, transition: transition.into(), from: from.into(), to: to.into(), cause }
}

fn told(seq: u64, state: &str) -> Effect {
    Effect::Announce { handler: "notify".into(), seq, state: state.into() }
}

fn run(kind: RunKind, name: &str, component: &str, visit: u32, seq: u64) -> Effect {
    Effect::Run { kind, name: name.into(), component: component.into(), visit, seq }
}

#[test]
fn a_config_without_timers_loads_and_a_retry_by_hand_runs_the_payment_again() {
    let machine = plain().machine();
    let paying = to_paying(&machine);
    let (declined, effects) = answer(&machine, &paying, "step-payment", StepOutcome::Rejected);
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Timer { .. })));
    let retry = Input::Fire { transition: "retry_payment".into(), cause: Cause::Api };
    let (_, effects) = machine.advance(&declined, &retry).expect("it leaves the state");
    assert_eq!(effects.last(), Some(&run(RunKind::Step, "step-payment", "payment-processor", 2, 5)));
}

#[test]
fn an_answer_is_awaited_for_the_last_visit_of_a_step_and_where_it_leads_on() {
    let machine = machine();
    let paying = to_paying(&machine);
    assert!(machine.awaits(&paying, "step-payment", 1));
    for (step, visit) in [("step-payment", 0), ("step-payment", 2), ("step-validate", 1), ("no-such-step", 1)] {
        assert!(!machine.awaits(&paying, step, visit), "{step} {visit}");
    }
    let (declined, _) = answer(&machine, &paying, "step-payment", StepOutcome::Rejected);
    assert!(!machine.awaits(&declined, "step-payment", 1));
    let (again, _) = ring(&machine, &declined, "retry_payment");
    assert!(!machine.awaits(&again, "step-payment", 1) && machine.awaits(&again, "step-payment", 2));
}

#[test]
fn a_good_order_is_delivered_in_four_commits() {
    let machine = machine();
    let (instance, effects) = machine.create();
    let expected =
        [moved(1, "start_validation", "new", "validating", Cause::Created), run(RunKind::Step, "step-validate", "inventory-checker", 1, 1)];
    assert_eq!(effects, expected);

    let (instance, effects) = answer(&machine, &instance, "step-validate", StepOutcome::Accepted);
    let expected = [
        moved(2, "validation_passed", "validating", "validated", Cause::Accepted),
        told(2, "validated"),
        moved(3, "start_payment", "validated", "paying", Cause::Automatic),
        run(RunKind::Step, "step-payment", "payment-processor", 1, 3),
    ];
    assert_eq!(effects, expected);

    let (instance, effects) = answer(&machine, &instance, "step-payment", StepOutcome::Accepted);
    assert_eq!(transitions(&effects), [("payment_approved", "accepted"), ("start_shipping", "automatic")]);

    let (instance, effects) = answer(&machine, &instance, "step-shipping", StepOutcome::Accepted);
    let expected = [
        moved(6, "shipping_confirmed", "shipping", "shipped", Cause::Accepted),
        told(6, "shipped"),
        moved(7, "deliver_order", "shipped", "delivered", Cause::Automatic),
        told(7, "delivered"),
        Effect::Finished { state: "delivered".into(), is_error: false },
    ];
    assert_eq!(effects, expected);
    assert_eq!((instance.state.as_str(), instance.version), ("delivered", 7));
}

#[test]
fn a_declined_payment_is_tried_three_times_more_and_then_abandoned() {
    let machine = machine();
    let mut instance = to_paying(&machine);
    for visit in 1..=3 {
        let (declined, effects) = answer(&machine, &instance, "step-payment", StepOutcome::Rejected);
        let timer = Effect::Timer { transition: "retry_payment".into(), after: Duration::from_secs(30), version: declined.version };
        assert_eq!((declined.state.as_str(), effects.last()), ("payment_failed", Some(&timer)));
        let (retried, effects) = ring(&machine, &declined, "retry_payment");
        assert_eq!(transitions(&effects), [("retry_payment", "timer")]);
        assert_eq!(effects.last(), Some(&run(RunKind::Step, "step-payment", "payment-processor", visit + 1, retried.version)));
        instance = retried;
    }
    let (instance, effects) = answer(&machine, &instance, "step-payment", StepOutcome::Rejected);
    let expected = [
        moved(10, "payment_declined", "paying", "payment_failed", Cause::Rejected),
        told(10, "payment_failed"),
        moved(11, "abandon_payment", "payment_failed", "cancelled", Cause::Exhausted),
        told(11, "cancelled"),
        run(RunKind::Task, "release-stock", "release-stock", 1, 11),
        Effect::Finished { state: "cancelled".into(), is_error: false },
    ];
    assert_eq!(effects, expected);
    assert_eq!(instance.timer_firings["retry_payment"], 3);
}

#[test]
fn retries_by_hand_and_by_timer_use_up_the_same_attempts() {
    let machine = machine();
    let by_hand = |instance: &Instance| {
        let retry = Input::Fire { transition: "retry_payment".into(), cause: Cause::Api };
        machine.advance(instance, &retry).expect("it leaves the state").0
    };
    for hands in [1, 2, 3] {
        let mut instance = to_paying(&machine);
        for attempt in 1..=3 {
            let (declined, _) = answer(&machine, &instance, "step-payment", StepOutcome::Rejected);
            assert_eq!(declined.state, "payment_failed");
            instance = if attempt <= hands { by_hand(&declined) } else { ring(&machine, &declined, "retry_payment").0 };
        }
        let (cancelled, effects) = answer(&machine, &instance, "step-payment", StepOutcome::Rejected);
        assert_eq!(cancelled.state, "cancelled", "{hands} by hand");
        assert_eq!(transitions(&effects), [("payment_declined", "rejected"), ("abandon_payment", "exhausted")]);
    }
}

#[test]
fn the_second_retry_by_hand_of_what_is_tried_without_end_has_to_wait_a_moment() {
    let machine = machine();
    let (shipping, _) = answer(&machine, &to_paying(&machine), "step-payment", StepOutcome::Accepted);
    let (failed, _) = answer(&machine, &shipping, "step-shipping", StepOutcome::Permanent);
    assert_eq!(machine.pause_by_hand(&failed, "retry_shipping"), None, "the first is free");
    let (again, _) = ring(&machine, &failed, "retry_shipping");
    let (failed, _) = answer(&machine, &again, "step-shipping", StepOutcome::Permanent);
    assert_eq!(machine.pause_by_hand(&failed, "retry_shipping"), Some(Duration::from_secs(5)));
    assert_eq!(machine.pause_by_hand(&failed, "cancel_order"), None, "no timer fires it");
    let retried = Instance { timer_firings: [("retry_payment".to_owned(), 2)].into(), ..failed };
    assert_eq!(machine.pause_by_hand(&retried, "retry_payment"), None, "its attempts are limited");
}

fn names_of(actions: &[&str]) -> Vec<String> {
    actions.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn what_may_be_asked_for_is_what_leaves_the_state() {
    let machine = machine();
    let cancel = names_of(&["cancel_order", "cancel_validated", "abandon_payment"]);
    let at = |state: &str| Instance { state: state.into(), ..machine.create().0 };
    for (state, transition) in [("new", "cancel_order"), ("validated", "cancel_validated"), ("payment_failed", "abandon_payment")] {
        assert_eq!(machine.by_hand(&at(state), &cancel, Rest::default()), Ok(transition), "{state}");
    }
    for state in ["validating", "paying", "paid", "shipping", "shipped", "ship_failed", "delivered", "cancelled", "failed"] {
        let refused = machine.by_hand(&at(state), &cancel, Rest::default());
        assert!(matches!(refused, Err(NotNow::Refused(Refusal::WrongState { .. }))), "{state}: {refused:?}");
    }
    assert!(machine.by_hand(&at("new"), &[], Rest::default()).is_err());
}

#[test]
fn what_was_asked_for_a_moment_ago_may_be_asked_for_after_a_pause() {
    let machine = machine();
    let retry = names_of(&["retry_payment", "retry_shipping"]);
    let at = |state: &str, transition: &str| Instance {
        state: state.into(),
        timer_firings: [(transition.to_owned(), 1)].into(),
        ..machine.create().0
    };
    let shipping = at("ship_failed", "retry_shipping");
    let after = |seconds| Rest { lasted: Some(Duration::from_secs(seconds)), is_overdue: false };
    assert_eq!(machine.by_hand(&shipping, &retry, Rest::default()), Err(NotNow::Wait(Duration::from_secs(5))), "it has only just come");
    assert_eq!(machine.by_hand(&shipping, &retry, after(3)), Err(NotNow::Wait(Duration::from_secs(2))));
    assert_eq!(machine.by_hand(&shipping, &retry, after(5)), Ok("retry_shipping"));
    assert_eq!(machine.by_hand(&at("payment_failed", "retry_payment"), &retry, Rest::default()), Ok("retry_payment"));
}

#[test]
fn an_instance_that_is_worn_or_overdue_may_only_go_where_it_has_to() {
    let mut definition = machine().definition().clone();
    let deadline = Deadline { after: Duration::from_secs(60), since: "validated".into() };
    definition.transitions.get_mut("abandon_payment").unwrap().deadline = Some(deadline);
    let machine = Machine::new(definition).unwrap().bounded(6);
    let [cancel, retry] = [names_of(&["abandon_payment"]), names_of(&["retry_payment"])];
    let at = |version| Instance { state: "payment_failed".into(), version, ..machine.create().0 };
    let overdue = Rest { lasted: None, is_overdue: true };
    assert_eq!(machine.by_hand(&at(5), &retry, Rest::default()), Ok("retry_payment"));
    assert!(matches!(machine.by_hand(&at(5), &retry, overdue), Err(NotNow::Refused(Refusal::Overdue { .. }))));
    assert_eq!(machine.by_hand(&at(5), &cancel, overdue), Ok("abandon_payment"));
    assert_eq!(machine.by_hand(&at(6), &retry, Rest::default()), Err(NotNow::Refused(Refusal::Worn { made: 6, most: 6 })));
    assert_eq!(machine.by_hand(&at(6), &cancel, Rest::default()), Ok("abandon_payment"));
}

/// The shop whose unpaid orders come to nothing after half an hour, whatever else happens.
fn with_a_deadline() -> Machine {
    let mut definition = machine().definition().clone();
    let deadline = Deadline { after: Duration::from_secs(1800), since: "validated".into() };
    definition.transitions.get_mut("abandon_payment").unwrap().deadline = Some(deadline);
    Machine::new(definition).unwrap()
}

fn unserved(machine: &Machine, instance: &Instance) -> (Instance, Vec<Effect>) {
    let visit = instance.visits["step-payment"];
    let input = Input::StepFinished { step: "step-payment".into(), visit, attempt: 9, outcome: StepOutcome::Unserved, jitter: 1.0 };
    machine.advance(instance, &input).expect("the answer is awaited")
}

#[test]
fn a_visit_that_nobody_serves_uses_up_no_attempt_where_a_deadline_ends_it() {
    let machine = with_a_deadline();
    let mut paying = to_paying(&machine);
    let mut waits = Vec::new();
    for _ in 0..9 {
        let (failed, effects) = unserved(&machine, &paying);
        assert_eq!(failed.state, "payment_failed");
        let wait = effects.iter().find_map(|effect| match effect {
            Effect::Timer { transition, after, .. } if transition == "retry_payment" => Some(*after),
            _ => None,
        });
        assert_eq!(wait, machine.wait(&failed));
        waits.push(wait.expect("it is tried again").as_secs());
        paying = ring(&machine, &failed, "retry_payment").0;
    }
    assert_eq!(waits, [30, 60, 120, 120, 120, 120, 120, 120, 120]);
    let (declined, _) = answer(&machine, &paying, "step-payment", StepOutcome::Rejected);
    assert_eq!((declined.state.as_str(), machine.wait(&declined)), ("payment_failed", Some(Duration::from_secs(30))), "an answer");
}

#[test]
fn declined_visits_count_however_many_were_not_served_between_them() {
    let machine = with_a_deadline();
    let mut paying = to_paying(&machine);
    let mut declined = 0;
    let cancelled = loop {
        let failed = unserved(&machine, &paying).0;
        paying = ring(&machine, &failed, "retry_payment").0;
        let (rested, _) = answer(&machine, &paying, "step-payment", StepOutcome::Rejected);
        declined += 1;
        if rested.state == "cancelled" {
            break declined;
        }
        paying = ring(&machine, &rested, "retry_payment").0;
    };
    assert_eq!(cancelled, 3, "each of the three retries was answered in the end");
}

#[test]
fn without_a_deadline_a_visit_that_nobody_serves_is_an_attempt() {
    let machine = machine();
    let mut paying = to_paying(&machine);
    for _ in 0..3 {
        let failed = unserved(&machine, &paying).0;
        assert_eq!((failed.unserved, machine.wait(&failed)), (0, Some(Duration::from_secs(30))));
        paying = ring(&machine, &failed, "retry_payment").0;
    }
    assert_eq!(unserved(&machine, &paying).0.state, "cancelled");
}

#[test]
fn who_asks_for_what_nobody_serves_waits_a_moment_from_the_second_time_on() {
    let machine = with_a_deadline();
    let failed = unserved(&machine, &to_paying(&machine)).0;
    assert_eq!(machine.pause_by_hand(&failed, "retry_payment"), None, "the first is free");
    let again = ring(&machine, &failed, "retry_payment").0;
    let failed = unserved(&machine, &again).0;
    assert_eq!(machine.pause_by_hand(&failed, "retry_payment"), Some(Duration::from_secs(5)));
}

/// Whatever is said to be possible is done when it is asked for, from every state.
#[test]
fn the_machine_does_what_it_says_may_be_asked_for() {
    let machine = machine();
    let all: Vec<String> = machine.definition().transitions.keys().cloned().collect();
    for state in machine.definition().states.keys() {
        let instance = Instance { state: state.clone(), ..machine.create().0 };
        for transition in &all {
            let possible = machine.by_hand(&instance, std::slice::from_ref(transition), Rest::default());
            let made = machine.advance(&instance, &Input::Fire { transition: transition.clone(), cause: Cause::Api });
            assert_eq!(possible.is_ok(), made.is_ok(), "{transition} from {state}");
        }
    }
}

#[test]
fn shipping_is_retried_without_end_and_every_fifth_time_a_person_is_told() {
    let machine = machine();
    let instance = to_paying(&machine);
    let (mut instance, _) = answer(&machine, &instance, "step-payment", StepOutcome::Accepted);
    for firing in 1..=12 {
        let (failed, _) = answer(&machine, &instance, "step-shipping", StepOutcome::Permanent);
        let (retried, effects) = ring(&machine, &failed, "retry_shipping");
        let reasons: Vec<&str> =
            effects.iter().filter_map(|e| if let Effect::Attention { reason } = e { Some(reason.as_str()) } else { None }).collect();
        match firing {
            5 => assert_eq!(reasons, ["transition 'retry_shipping' was made 5 times so far to leave state 'ship_failed'"]),
            10 => assert_eq!(reasons, ["transition 'retry_shipping' was made 10 times so far to leave state 'ship_failed'"]),
            _ => assert!(reasons.is_empty()),
        }
        instance = retried;
    }
    let (instance, _) = answer(&machine, &instance, "step-shipping", StepOutcome::Accepted);
    assert_eq!(instance.state, "delivered");
}

#[test]
fn an_order_without_stock_fails_and_releases_what_it_reserved() {
    let machine = machine();
    let (instance, effects) = answer(&machine, &machine.create().0, "step-validate", StepOutcome::Rejected);
    assert_eq!(instance.state, "failed");
    assert!(effects.contains(&run(RunKind::Task, "release-stock", "release-stock", 1, 2)));
    assert_eq!(effects.last(), Some(&Effect::Finished { state: "failed".into(), is_error: true }));
}

#[test]
fn an_event_for_a_transition_already_made_is_harmless() {
    let machine = machine();
    let paying = to_paying(&machine);
    let event = Input::Fire { transition: "start_payment".into(), cause: Cause::Event };
    let refusal = Refusal::WrongState { transition: "start_payment".into(), from: "validated".into(), state: "paying".into() };
    assert_eq!(machine.advance(&paying, &event), Err(refusal));
}

#[test]
fn without_automatic_transitions_the_event_alone_drives_the_order() {
    let machine = plain().transition("start_payment", edge("validated", "paying")).machine();
    let (instance, _) = answer(&machine, &machine.create().0, "step-validate", StepOutcome::Accepted);
    assert_eq!(instance.state, "validated");
    let event = Input::Fire { transition: "start_payment".into(), cause: Cause::Event };
    let (_, effects) = machine.advance(&instance, &event).expect("it leaves the state");
    assert_eq!(transitions(&effects), [("start_payment", "event")]);
}

#[test]
fn an_action_means_the_transition_that_leaves_the_current_state() {
    let machine = machine();
    let cancel = names(&["cancel_order", "no_such_transition", "cancel_validated", "abandon_payment"]);
    assert_eq!(machine.transition_leaving("new", &cancel), Some("cancel_order"));
    assert_eq!(machine.transition_leaving("payment_failed", &cancel), Some("abandon_payment"));
    assert_eq!(machine.transition_leaving("shipping", &cancel), None);
    assert_eq!(machine.leaving("paying"), ["payment_approved", "payment_declined"]);
}

#[test]
fn it_can_be_asked_about_its_parts() {
    let machine = machine();
    assert_eq!(machine.name(), "test");
    assert_eq!(["delivered", "paid", "nowhere"].map(|state| machine.is_final(state)), [true, false, false]);
    assert_eq!(machine.step("step-payment").map(|step| step.component.as_str()), Some("payment-processor"));
    assert_eq!(machine.step("step-fraud"), None);
    assert_eq!(machine.definition(), &shop());
}

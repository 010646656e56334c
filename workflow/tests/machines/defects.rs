//! Every defect of a definition, with the words that its author reads.

use std::time::Duration;

use millrace_workflow::{Deadline, Hook, RetryPolicy, Transition, limits};

use crate::builder::{Builder, automatic, edge, names, runs, starts, step, tells, timed, workflow};

/// A definition without a defect: `new -> working`, a step, and a retry by timer.
fn sound() -> Builder {
    workflow("new")
        .states(&["new", "working", "failed"])
        .finals(&["done", "closed"])
        .begin("begin")
        .transition("begin", edge("new", "working"))
        .transition("finish", edge("working", "done"))
        .transition("fail", edge("working", "failed"))
        .transition("retry", timed("failed", "working", 10))
        .transition("close", edge("failed", "closed"))
        .step("step-work", step("worker", "finish", "fail"))
        .on(&["begin"], starts("step-work"))
}

fn only(builder: Builder, expected: &str) {
    assert_eq!(builder.defects(), [expected]);
}

#[test]
fn a_sound_definition_has_none() {
    assert_eq!(sound().machine().name(), "test");
}

#[test]
fn an_unknown_initial_state() {
    let mut builder = sound();
    builder.0.initial_state = "nwe".into();
    only(builder, "initial_state: initial state 'nwe' is not a state; did you mean 'new'?");
}

#[test]
fn an_initial_transition_that_is_unknown_or_leaves_another_state() {
    only(sound().begin("begni"), "initial_transition: initial transition 'begni' is not a transition; did you mean 'begin'?");
    only(
        sound().begin("close"),
        "initial_transition: initial transition 'close' leaves 'failed', not the initial state 'new'; transitions that leave 'new': 'begin'",
    );
}

#[test]
fn an_initial_state_that_only_a_step_could_leave() {
    let builder = workflow("working")
        .states(&["working", "failed"])
        .finals(&["done"])
        .transition("finish", edge("working", "done"))
        .transition("fail", edge("working", "failed"))
        .transition("retry", timed("failed", "working", 10))
        .step("step-work", step("worker", "finish", "fail"))
        .entering(&["working"], starts("step-work"));
    only(
        builder,
        "initial_transition: only a step's answer leads out of initial state 'working', and no step is started by being created; \
         name an initial transition or add a transition that leaves 'working' without a step",
    );
}

#[test]
fn a_transition_from_or_to_an_unknown_state_is_reported_once_when_a_slip_is_plain() {
    let expected = "transitions.begin.to: transition 'begin' enters 'worknig', which is not a state; did you mean 'working'?";
    only(sound().transition("begin", edge("new", "worknig")), expected);
    let expected = "transitions.close.from: transition 'close' leaves 'Failed', which is not a state; did you mean 'failed'?";
    only(sound().transition("close", edge("Failed", "closed")), expected);
}

#[test]
fn an_unknown_state_like_no_other_lists_those_there_are() {
    let defects = sound().transition("close", edge("failed", "somewhere")).defects();
    let unknown = "transitions.close.to: transition 'close' enters 'somewhere', which is not a state; \
                   states: 'closed', 'done', 'failed', 'new', 'working'";
    let unreachable = "states.closed: state 'closed' cannot be reached from the initial state 'new'; \
                       add a transition that leads to it, or remove it";
    assert_eq!(defects, [unknown, unreachable]);
}

/// What does not exist is neither a bridge to another state nor part of a loop.
#[test]
fn an_unknown_state_leads_nowhere() {
    let bridge = workflow("new").states(&["new"]).finals(&["done"]);
    let defects = bridge.transition("in", automatic("new", "limbo")).transition("out", automatic("limbo", "done")).defects();
    let expected = [
        "transitions.in.to: transition 'in' enters 'limbo', which is not a state; states: 'done', 'new'",
        "transitions.out.from: transition 'out' leaves 'limbo', which is not a state; states: 'done', 'new'",
        "states.done: state 'done' cannot be reached from the initial state 'new'; add a transition that leads to it, or remove it",
        "states.new: no final state can be reached from state 'new'; final states: 'done'; transitions that leave 'new': 'in'",
    ];
    assert_eq!(defects, expected);
    let round = workflow("new").states(&["new"]).finals(&["done"]).transition("end", edge("new", "done"));
    let defects = round.transition("in", automatic("new", "limbo")).transition("back", automatic("limbo", "new")).defects();
    assert!(defects.iter().all(|defect| !defect.contains("loop")), "{defects:#?}");
    assert_eq!(defects.iter().filter(|defect| defect.contains("'limbo', which is not a state")).count(), 2, "{defects:#?}");
}

#[test]
fn a_transition_out_of_a_final_state() {
    let expected = "transitions.reopen.from: transition 'reopen' leaves 'done', but 'done' is final and nothing may leave it";
    only(sound().transition("reopen", edge("done", "new")), expected);
}

#[test]
fn a_state_that_cannot_be_reached() {
    let builder = sound().states(&["island"]).transition("swim", edge("island", "new"));
    let expected = "states.island: state 'island' cannot be reached from the initial state 'new'; \
                    add a transition that leads to it, or remove it";
    only(builder, expected);
}

#[test]
fn a_state_without_a_way_to_an_end() {
    let builder = sound().states(&["trap", "pit"]).transition("fall", edge("failed", "trap")).transition("slide", edge("trap", "pit"));
    let pit = "states.pit: no final state can be reached from state 'pit'; final states: 'closed', 'done'; no transition leaves 'pit'";
    let trap = "states.trap: no final state can be reached from state 'trap'; final states: 'closed', 'done'; \
                transitions that leave 'trap': 'slide'";
    assert_eq!(builder.defects(), [pit, trap]);
}

#[test]
fn a_way_to_an_end_that_an_automatic_transition_cuts_off() {
    let builder = workflow("a")
        .states(&["a", "b"])
        .finals(&["done"])
        .transition("on", automatic("a", "b"))
        .transition("back", edge("b", "a"))
        .transition("end", edge("a", "done"));
    let defects = builder.defects();
    assert_eq!(defects.len(), 2, "{defects:?}");
    assert!(defects[1].starts_with("states.b: no final state can be reached from state 'b'"), "{defects:?}");
}

#[test]
fn a_machine_without_a_final_state() {
    let builder = workflow("a").states(&["a", "b"]).transition("on", edge("a", "b")).transition("back", edge("b", "a"));
    only(builder, "states: none of the states is final; mark at least one state of 'test' as final");
}

#[test]
fn a_loop_of_automatic_transitions() {
    let builder = workflow("a")
        .states(&["a", "b", "c"])
        .finals(&["done"])
        .transition("first", edge("a", "b"))
        .transition("on", automatic("b", "c"))
        .transition("back", automatic("c", "b"))
        .transition("end", edge("c", "done"));
    only(
        builder,
        "transitions.on: transitions that do not wait form a loop without end: 'on' from 'b' to 'c', 'back' from 'c' to 'b'; \
         one of them has to wait for something",
    );
}

#[test]
fn an_automatic_transition_to_its_own_state() {
    let builder =
        workflow("a").states(&["a"]).finals(&["done"]).transition("spin", automatic("a", "a")).transition("end", edge("a", "done"));
    only(
        builder,
        "transitions.spin: transitions that do not wait form a loop without end: 'spin' from 'a' to 'a'; one of them has to wait for something",
    );
}

#[test]
fn a_loop_that_a_used_up_timer_closes() {
    let poll = Transition { max_attempts: Some(1), exhausted: Some("give_up".into()), ..timed("a", "done", 1) };
    let builder = workflow("a")
        .states(&["a", "b"])
        .finals(&["done"])
        .transition("poll", poll)
        .transition("give_up", edge("a", "b"))
        .transition("back", automatic("b", "a"));
    only(
        builder,
        "transitions.give_up: transitions that do not wait form a loop without end: 'give_up' from 'a' to 'b', 'back' from 'b' to 'a'; \
         one of them has to wait for something",
    );
}

#[test]
fn two_transitions_out_of_one_state_that_both_fire_by_themselves() {
    let builder = workflow("a")
        .states(&["a", "b"])
        .finals(&["done"])
        .transition("go", edge("a", "b"))
        .transition("left", automatic("b", "done"))
        .transition("right", automatic("b", "done"));
    only(builder, "transitions.right.automatic: state 'b' is left by 2 automatic transitions, 'left', 'right'; one is accepted");
    only(
        sound().transition("write_off", timed("failed", "closed", 99)),
        "transitions.write_off.after: state 'failed' is left by 2 transitions with `after`, 'retry', 'write_off'; one is accepted",
    );
    only(
        sound().transition("close", automatic("failed", "closed")),
        "transitions.retry.after: the timer of 'retry' would never start: automatic transition 'close' leaves 'failed' at once",
    );
}

#[test]
fn an_automatic_transition_in_a_state_where_a_step_is_started() {
    let builder = sound().transition("skip", automatic("working", "done"));
    only(
        builder,
        "transitions.skip.automatic: step 'step-work' is started on entering 'working' (by 'begin'), but automatic transition 'skip' leaves \
         'working' at once, so its answer would be lost; remove one of the two",
    );
}

#[test]
fn a_timer_that_is_used_up_in_a_state_where_a_step_is_started() {
    let watchdog = Transition { max_attempts: Some(3), exhausted: Some("fail".into()), ..timed("working", "failed", 60) };
    only(
        sound().transition("watchdog", watchdog),
        "transitions.watchdog.exhausted: step 'step-work' is started on entering 'working' (by 'begin'), but once 'watchdog' is used up, \
         'fail' leaves 'working' at once, so its answer would be lost; wait in another state, or do not limit the attempts",
    );
}

#[test]
fn a_timer_without_a_wait_or_with_one_beyond_all_dates() {
    only(
        sound().transition("retry", timed("failed", "working", 0)),
        "transitions.retry.after: the wait of 'retry' is zero; give a duration, or make the transition automatic",
    );
    only(
        sound().transition("retry", timed("failed", "working", u64::MAX)),
        "transitions.retry.after: the wait of 'retry' is 18446744073709551615 s; at most 315360000 s (ten years) are accepted",
    );
}

#[test]
fn a_timer_on_an_automatic_transition() {
    let both = Transition { automatic: true, ..timed("failed", "closed", 5) };
    let builder = sound().transition("retry", edge("failed", "working")).transition("close", both);
    only(
        builder,
        "transitions.close.after: transition 'close' is automatic and has `after`; it can fire at once or after a while, not both",
    );
}

#[test]
fn what_counts_firings_without_a_timer() {
    let counting =
        Transition { max_attempts: Some(3), exhausted: Some("close".into()), attention_after: Some(5), ..edge("failed", "working") };
    let expected = [
        "transitions.retry.max_attempts: transition 'retry' has a limit of attempts, but no timer fires it; give it `after` too",
        "transitions.retry.exhausted: transition 'retry' has an exhausted transition, but no timer fires it; give it `after` too",
        "transitions.retry.attention_after: transition 'retry' has a number of firings that ask for attention, but no timer fires it; \
         give it `after` too",
    ];
    assert_eq!(sound().transition("retry", counting).defects(), expected);
}

#[test]
fn a_limit_of_attempts_without_what_comes_then_and_the_reverse() {
    let retry = || timed("failed", "working", 10);
    only(
        sound().transition("retry", Transition { max_attempts: Some(3), ..retry() }),
        "transitions.retry.max_attempts: the attempts of 'retry' are limited to 3, but no exhausted transition says what is fired then; \
         give both or none",
    );
    only(
        sound().transition("retry", Transition { exhausted: Some("close".into()), ..retry() }),
        "transitions.retry.exhausted: the exhausted transition of 'retry' is 'close', but without a limit of attempts it never fires; \
         give both or none",
    );
}

#[test]
fn a_count_of_zero() {
    let retry =
        Transition { max_attempts: Some(0), exhausted: Some("close".into()), attention_after: Some(0), ..timed("failed", "working", 10) };
    let expected = [
        "transitions.retry.max_attempts: the attempts of 'retry' are limited to 0, so its timer could never fire; at least 1 is accepted",
        "transitions.retry.attention_after: attention for 'retry' is asked for after 0 firings; at least 1 is accepted",
    ];
    assert_eq!(sound().transition("retry", retry).defects(), expected);
}

#[test]
fn an_exhausted_transition_that_could_not_be_fired() {
    let retry = |exhausted: &str| Transition { max_attempts: Some(3), exhausted: Some(exhausted.into()), ..timed("failed", "working", 10) };
    only(
        sound().transition("retry", retry("clsoe")),
        "transitions.retry.exhausted: the exhausted transition of 'retry' is 'clsoe', which does not exist; did you mean 'close'?",
    );
    only(
        sound().transition("retry", retry("begin")),
        "transitions.retry.exhausted: the exhausted transition of 'retry' is 'begin', which leaves 'new', not 'failed'; \
         transitions that leave 'failed': 'close', 'retry'",
    );
    only(
        sound().transition("retry", retry("retry")),
        "transitions.retry.exhausted: the exhausted transition of 'retry' is 'retry', which has `after` itself; it must be able to fire at once",
    );
}

#[test]
fn a_deadline_that_could_not_be_kept() {
    let close = |after: u64, since: &str| {
        let deadline = Some(Deadline { after: Duration::from_secs(after), since: since.into() });
        Transition { deadline, ..edge("failed", "closed") }
    };
    let mut defects = sound().transition("close", close(0, "begun")).defects();
    defects.extend(sound().transition("close", Transition { automatic: true, ..close(400_000_000, "working") }).defects());
    defects.extend(sound().transition("close", close(9, "new")).transition("shut", close(9, "new")).defects());
    for expected in [
        "transitions.close.deadline: the deadline of 'close' is zero; give a duration",
        "transitions.close.deadline: the deadline of 'close' begins with 'begun', which is not a state; ",
        "transitions.close.deadline: the deadline of 'close' is 400000000 s; at most 315360000 s (ten years) are accepted",
        "transitions.close.deadline: transition 'close' is automatic and has a deadline; it can be fired by one of them",
        "transitions.shut.deadline: state 'failed' is left at the deadline of 'close' already; one is accepted",
    ] {
        assert!(defects.iter().any(|defect| defect.starts_with(expected)), "{expected}: {defects:#?}");
    }
}

#[test]
fn a_step_whose_answers_lead_nowhere() {
    let unknown = sound().transition("other", edge("working", "done")).step("step-work", step("worker", "finsh", "fail"));
    only(
        unknown,
        "steps.step-work.success: the success transition 'finsh' of step 'step-work' is not a transition; did you mean 'finish'?",
    );
    only(
        sound().step("step-work", step("worker", "finish", "close")),
        "steps.step-work.compensate: step 'step-work' is started on entering 'working' (by 'begin'), but its compensate transition 'close' \
         leaves 'failed'; transitions that leave 'working': 'fail', 'finish'",
    );
}

#[test]
fn a_step_that_is_started_in_a_second_state() {
    let expected = [
        "steps.step-work.success: step 'step-work' is started on entering 'failed' (by 'fail'), but its success transition 'finish' leaves \
         'working'; transitions that leave 'failed': 'close', 'retry'",
        "steps.step-work.compensate: step 'step-work' is started on entering 'failed' (by 'fail'), but its compensate transition 'fail' leaves \
         'working'; transitions that leave 'failed': 'close', 'retry'",
    ];
    assert_eq!(sound().on(&["fail"], starts("step-work")).defects(), expected);
}

#[test]
fn a_step_that_no_hook_starts() {
    let builder = sound().step("step-rest", step("worker", "finish", "fail"));
    only(builder, "steps.step-rest: no hook starts step 'step-rest'; add a hook for it, or remove it");
}

#[test]
fn a_state_that_waits_for_a_step_nobody_starts_is_that_one_mistake() {
    let mut builder = sound();
    builder.0.hooks.clear();
    only(builder, "steps.step-work: no hook starts step 'step-work'; add a hook for it, or remove it");
}

#[test]
fn a_step_with_settings_that_cannot_work() {
    let mut hopeless = step("", "finish", "fail");
    hopeless.timeout = Duration::ZERO;
    hopeless.retry = RetryPolicy { max_delay: Duration::MAX, ..hopeless.retry };
    let expected = [
        "steps.step-work.component: step 'step-work' names no component",
        "steps.step-work.timeout: the timeout of step 'step-work' is zero, so no attempt could succeed",
        "steps.step-work.retry.max_delay: the longest retry delay of step 'step-work' is 18446744073709551615 s; \
         at most 315360000 s (ten years) are accepted",
    ];
    assert_eq!(sound().step("step-work", hopeless).defects(), expected);
}

#[test]
fn two_steps_started_by_one_transition() {
    let builder = sound().step("step-count", step("counter", "finish", "fail")).entering(&["working"], starts("step-count"));
    let expected = "hooks.1: transition 'begin' starts step 'step-work' (hook 0) and step 'step-count' (hook 1); \
                    one step at a time is accepted, let the answer of the first lead to a state that starts the second";
    only(builder, expected);
}

#[test]
fn a_transition_of_which_it_is_not_clear_which_step_it_starts() {
    let builder = sound()
        .transition("begin_small", edge("new", "working"))
        .step("step-small", step("counter", "finish", "fail"))
        .on(&["begin_small"], starts("step-small"));
    let expected = "transitions.retry: transition 'retry' enters 'working', which only a step's answer leads out of, but no hook says which \
                    step it starts; other transitions start 'step-small', 'step-work': add a hook for 'retry'";
    only(builder, expected);
}

#[test]
fn a_hook_that_names_what_does_not_exist() {
    let hook = Hook {
        transitions: names(&["fail", "flail"]),
        from_states: names(&["workin"]),
        to_states: names(&["limbo"]),
        reaction: tells("notify"),
    };
    let expected = [
        "hooks.1.transitions.1: the hook for messaging handler 'notify' names 'flail', which is not one of the transitions; did you mean 'fail'?",
        "hooks.1.from_states.0: the hook for messaging handler 'notify' names 'workin', which is not one of the states; did you mean 'working'?",
        "hooks.1.to_states.0: the hook for messaging handler 'notify' names 'limbo', which is not one of the states; \
         states: 'closed', 'done', 'failed', 'new', 'working'",
    ];
    assert_eq!(sound().hook(hook).defects(), expected);
    let expected = "hooks.1.reaction: the hook starts step 'step-wrok', which is not a step; did you mean 'step-work'?";
    only(sound().on(&["fail"], starts("step-wrok")), expected);
}

#[test]
fn a_hook_that_matches_nothing_or_everything() {
    let never = Hook { transitions: names(&["fail"]), to_states: names(&["done", "new"]), reaction: tells("notify"), ..Hook::default() };
    only(
        sound().hook(never),
        "hooks.1: the hook for messaging handler 'notify' matches no transition: there is none with name 'fail' and state entered 'done', 'new'",
    );
    only(
        sound().entering(&["new"], runs("mailer")),
        "hooks.1: the hook for component 'mailer' matches no transition: there is none with state entered 'new'",
    );
    only(
        sound().hook(Hook { reaction: runs("mailer"), ..Hook::default() }),
        "hooks.1: the hook for component 'mailer' does not say when; list transitions, states left or states entered",
    );
}

#[test]
fn a_hook_that_matches_nothing_is_told_by_what_it_lists() {
    let hook =
        Hook { transitions: names(&["begin"]), from_states: names(&["failed"]), to_states: names(&["done"]), reaction: tells("desk") };
    let expected = "hooks.1: the hook for messaging handler 'desk' matches no transition: there is none with name 'begin' and state left \
                    'failed' and state entered 'done'";
    only(sound().hook(hook), expected);
}

#[test]
fn a_hook_that_starts_nothing_by_name() {
    only(sound().on(&["fail"], tells("")), "hooks.1.reaction: the hook tells a messaging handler but does not name it");
    only(sound().on(&["fail"], runs("")), "hooks.1.reaction: the hook runs a component but does not name it");
}

#[test]
fn a_task_with_the_name_of_a_step() {
    only(
        sound().on(&["fail"], runs("step-work")),
        "hooks.1.reaction: the hook runs component 'step-work', but a step has the same name, so their runs could not be told apart; rename one",
    );
}

#[test]
fn empty_names() {
    let mut builder = sound().states(&[""]).transition("", edge("failed", "")).transition("leave", edge("", "closed"));
    builder.0.name.clear();
    let expected = [
        "name: the workflow has no name; give it one, for example 'order-processing'",
        "states.: a state has an empty name; give it one",
        "transitions.: a transition has an empty name; give it one",
    ];
    assert_eq!(builder.defects(), expected);
}

#[test]
fn an_absurd_size() {
    let mut builder = sound();
    for number in 0..=limits::MAX_STATES {
        builder =
            builder.states(&[&format!("s{number}")]).transition(&format!("t{number}"), edge("nowhere", "never")).on(&["x"], tells("n"));
    }
    builder.0.hooks[3].to_states = vec!["new".into(); limits::MAX_HOOK_NAMES + 1];
    let expected = [
        "states: workflow 'test' has 1006 states; at most 1000 are accepted",
        "transitions: workflow 'test' has 1006 transitions; at most 1000 are accepted",
        "hooks: workflow 'test' has 1002 hooks; at most 1000 are accepted",
        "hooks.3.to_states: the hook lists 1001 names; at most 1000 are accepted",
    ];
    assert_eq!(builder.defects(), expected);
}

#[test]
fn a_hook_may_list_as_many_names_as_it_may_and_a_wait_may_last_ten_years() {
    let mut long = step("worker", "finish", "fail");
    long.timeout = Duration::from_secs(315_360_000);
    long.retry = RetryPolicy { max_delay: Duration::from_secs(315_360_000), ..long.retry };
    let builder = sound()
        .on(&["begin"; 1_000], tells("n"))
        .entering(&["working"; 1_000], tells("n"))
        .transition("retry", timed("failed", "working", 315_360_000))
        .step("step-work", long);
    assert_eq!(builder.machine().definition().hooks[1].transitions.len(), 1_000);
    only(sound().on(&["begin"; 1_001], tells("n")), "hooks.1.transitions: the hook lists 1001 names; at most 1000 are accepted");
    let over = sound().transition("retry", timed("failed", "working", 315_360_001));
    only(over, "transitions.retry.after: the wait of 'retry' is 315360001 s; at most 315360000 s (ten years) are accepted");
}

#[test]
fn a_definition_at_the_limits_is_checked_and_runs_to_its_end() {
    let last = limits::MAX_STATES - 1;
    let mut builder = workflow("s0").finals(&[&format!("s{last}")]);
    for number in 0..last {
        let (here, next) = (format!("s{number}"), format!("s{}", number + 1));
        builder = builder.states(&[&here]).transition(&format!("t{number}"), automatic(&here, &next)).entering(&[&next], tells("notify"));
    }
    let (instance, effects) = builder.machine().create();
    assert_eq!((instance.version, effects.len()), (last as u64, 2 * last + 1));
}

#[test]
fn six_mistakes_are_six_defects() {
    let retry = Transition { max_attempts: Some(0), exhausted: Some("clsoe".into()), ..timed("failed", "working", 0) };
    let builder = sound()
        .begin("begni")
        .transition("retry", retry)
        .transition("reopen", edge("done", "new"))
        .states(&["island"])
        .on(&["fail"], starts("step-wrok"));
    let mut paths: Vec<String> =
        builder.defects().iter().filter_map(|defect| defect.split_once(": ").map(|(path, _)| path.to_owned())).collect();
    paths.sort();
    let expected = [
        "hooks.1.reaction",
        "initial_transition",
        "states.island",
        "states.island",
        "transitions.reopen.from",
        "transitions.retry.after",
        "transitions.retry.exhausted",
        "transitions.retry.max_attempts",
    ];
    assert_eq!(paths, expected);
}

//! Large configs: what they take grows with their size and not with its square, whatever is in them and however much of it is wrong.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::Stage;

/// Twice the keys take twice the time. Four times would be the square; what is between is room for what a machine does besides.
const MAX_GROWTH: f64 = 3.0;
/// Keys of the smaller config.
const KEYS: usize = 10_000;

/// What this thread has worked, which is not what it has waited.
fn worked() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// The least of some tries to check and to tell.
fn time_of(text: &str) -> f64 {
    let stage = Stage::new();
    let tries = (0..3).map(|_| {
        let begun = worked();
        let report = stage.check("large.yaml", text).report;
        assert!(!report.pretty(millrace::config::report::Colour::Never).contains("at most"), "it is not what was meant");
        (worked() - begun).as_secs_f64()
    });
    tries.fold(f64::MAX, f64::min)
}

fn entries(count: usize, entry: impl Fn(usize) -> String) -> String {
    (0..count).map(entry).collect()
}

const SERVED: &str = "modules:\n  - {name: web, type: http.server, config: {address: ':8080'}}\n  - {name: router, type: http.router}\n  - name: proxy\n    \
                      type: http.simple_proxy\n    config: {targets: {/api: 'http://other:8080'}}\n";
const ROUTES: &str = "workflows:\n  http:\n    router: router\n    server: web\n    routes:\n";
const MACHINES: &str = "workflows:\n  statemachine:\n    engine: engine\n";

/// A config with about so many keys.
type Shape = fn(usize) -> String;

const SHAPES: [(&str, Shape); 13] = [
    ("keys that nobody knows", |keys| format!("{SERVED}{}", entries(keys, |i| format!("k{i}: 1\n")))),
    ("settings that nobody knows", |keys| {
        format!("modules:\n  - name: web\n    type: http.server\n    config:\n{}", entries(keys, |i| format!("      k{i}: 1\n")))
    }),
    ("keys that are kept aside", |keys| format!("x-all:\n{}{SERVED}", entries(keys, |i| format!("  k{i}: 1\n")))),
    ("secrets", |keys| format!("x-all:\n{}{SERVED}", entries(keys / 2, |i| format!("  k{i}: {{secret: hunter{i}}}\n")))),
    ("routes", |keys| {
        format!("{SERVED}{ROUTES}{}", entries(keys / 3, |i| format!("    - {{method: GET, path: /api/r{i}, handler: proxy}}\n")))
    }),
    ("routes of nobody", |keys| {
        format!("{SERVED}{ROUTES}{}", entries(keys / 3, |i| format!("    - {{method: GET, path: /api/r{i}, handler: h{i}}}\n")))
    }),
    ("routes that are in each other's way", |keys| {
        let pair = |i: usize| {
            format!("    - {{method: GET, path: '/r{i}/{{id}}', handler: proxy}}\n    - {{method: GET, path: /r{i}/*, handler: proxy}}\n")
        };
        format!("{SERVED}{ROUTES}{}", entries(keys / 6, pair))
    }),
    ("routes of a wrong kind", |keys| {
        format!("{SERVED}{ROUTES}{}", entries(keys / 3, |i| format!("    - {{method: {i}, path: [], handler: 1}}\n")))
    }),
    ("triggers of nothing", |keys| {
        let routes = entries(keys / 6, |i| format!("    - {{method: GET, path: /api/r{i}, handler: proxy}}\n"));
        let triggers = entries(keys / 8, |i| format!("      - {{method: GET, path: /api/t{i}, workflow: w{i}, action: a}}\n"));
        format!("{SERVED}{ROUTES}{routes}triggers:\n  http:\n    routes:\n{triggers}")
    }),
    ("machines", |keys| {
        let machine = |i: usize| {
            format!(
                "      - {{name: m{i}, initialState: a, states: {{a: {{}}, b: {{isFinal: true}}}}, transitions: {{t: {{fromState: a, toState: b}}}}}}\n"
            )
        };
        format!("{SERVED}{MACHINES}    definitions:\n{}", entries(keys / 10, machine))
    }),
    ("machines with what is wrong", |keys| {
        let machine = |i: usize| {
            format!(
                "      - {{name: m{i}, initialState: x, states: {{a: {{}}, b: {{}}}}, transitions: {{t: {{fromState: c, toState: d}}}}}}\n"
            )
        };
        format!("{SERVED}{MACHINES}    definitions:\n{}", entries(keys / 9, machine))
    }),
    ("hooks of nothing", |keys| {
        format!("{SERVED}{MACHINES}    hooks:\n{}", entries(keys / 2, |i| format!("      - {{workflowType: w{i}, handler: h{i}}}\n")))
    }),
    ("topics", |keys| {
        let subscriptions = entries(keys / 2, |i| format!("      - {{topic: t.x{i}, handler: h{i}}}\n"));
        format!("{SERVED}workflows:\n  messaging:\n    broker: b\n    subscriptions:\n{subscriptions}")
    }),
];

#[test]
fn twice_the_keys_take_about_twice_the_time() {
    let grown: Vec<(f64, String)> = SHAPES
        .iter()
        .map(|(what, shape)| {
            let (once, twice) = (time_of(&shape(KEYS)), time_of(&shape(2 * KEYS)));
            (twice / once, format!("{what}: {once:.3} s, then {twice:.3} s"))
        })
        .collect();
    let all: Vec<&str> = grown.iter().map(|(_, told)| told.as_str()).collect();
    eprintln!("{}", all.join("\n"));
    let wrong: Vec<&str> = grown.iter().filter(|(growth, _)| *growth > MAX_GROWTH).map(|(_, told)| told.as_str()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

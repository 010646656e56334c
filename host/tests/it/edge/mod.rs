//! What comes in over a socket, byte by byte: hostile, broken and merely unusual requests, and the answer that each has to get.
//!
//! The requests are data, `cases/*.toml`; `cases/README.md` says how they are written. They are sent to the monolith and to the gateway.

mod case;
mod fill;
mod judge;
mod target;
mod tokens;
mod wire;

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures::{StreamExt as _, stream};

use case::{Case, Group};
use target::{Kind, Target};

/// Requests under way at once.
const AT_ONCE: usize = 24;
/// For all cases of one target, on a machine that does other things too.
const LIMIT: Duration = Duration::from_secs(120);
/// What the collection has come to; it only grows.
const LEAST_CASES: usize = 400;

/// A case with another answer than it has to get.
struct Wrong {
    case: String,
    what: String,
}

#[test]
fn the_collection_is_large_and_every_case_of_it_is_another_one() {
    let groups = groups();
    let names: Vec<String> =
        groups.iter().flat_map(|group| group.cases.iter().map(|case| format!("{}: {}", group.name, case.name))).collect();
    let mut seen = HashSet::new();
    let twice: Vec<&String> = names.iter().filter(|name| !seen.insert(*name)).collect();
    assert!(twice.is_empty(), "names that are given twice: {twice:#?}");
    assert!(names.len() >= LEAST_CASES, "{} cases", names.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_monolith_answers_each_request_as_it_has_to() {
    attack(Kind::Monolith).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_answers_each_request_as_it_has_to() {
    attack(Kind::Gateway).await;
}

fn groups() -> Vec<Group> {
    let groups = case::read(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/edge/cases"));
    match std::env::var("MILLRACE_EDGE_GROUP") {
        Ok(wanted) => groups.into_iter().filter(|group| group.name == wanted).collect(),
        Err(_) => groups,
    }
}

/// Sends every case to a target of that kind, and tells all that is wrong at once.
async fn attack(kind: Kind) {
    let mut usual = Target::start(kind, &BTreeMap::new()).await;
    let (mut cases, mut wrong) = (0, Vec::new());
    let begun = Instant::now();
    for group in groups() {
        let meant: Vec<&Case> = group.cases.iter().filter(|case| case.only.is_none_or(|only| only == kind)).collect();
        cases += meant.len();
        let found = if group.variables.is_empty() {
            run(&mut usual, &meant, group.in_sequence).await
        } else {
            run(&mut Target::start(kind, &group.variables).await, &meant, group.in_sequence).await
        };
        wrong.extend(found.into_iter().map(|wrong| format!("{}: {}\n    {}", group.name, wrong.case, wrong.what)));
    }
    let took = begun.elapsed();
    let summary = format!("{kind:?}: {cases} cases in {:.1} s, {} wrong", took.as_secs_f64(), wrong.len());
    eprintln!("{summary}");
    assert!(wrong.is_empty(), "{summary}\n{}", wrong.join("\n"));
    assert!(took < LIMIT, "{summary}");
}

/// Sends the cases side by side; those that need others to be made before go last, one after the other.
async fn run(target: &mut Target, cases: &[&Case], in_sequence: bool) -> Vec<Wrong> {
    let (alone, together): (Vec<&Case>, Vec<&Case>) = cases.iter().partition(|case| in_sequence || !case.before.is_empty());
    let shared = &*target;
    let at_once = stream::iter(together).map(|case| answered(shared, case)).buffered(AT_ONCE);
    let mut wrong: Vec<Wrong> = at_once.filter_map(std::future::ready).collect().await;
    for case in alone {
        wrong.extend(answered(shared, case).await);
    }
    wrong.extend(target.complaints().await.into_iter().map(|what| Wrong { case: "after all of them".to_owned(), what }));
    wrong
}

/// What is wrong with the answer to a case.
async fn answered(target: &Target, case: &Case) -> Option<Wrong> {
    let why = if case.why.is_empty() { String::new() } else { format!(" ({})", case.why) };
    let wrong = |what: String| Some(Wrong { case: case.name.clone(), what: format!("{what}{why}") });
    for request in &case.before {
        let exchange = wire::exchange(target.address, &target.facts.request(request), 1).await;
        let status = exchange.ok().and_then(|exchange| exchange.answers.first().map(|answer| answer.status));
        if status.is_none_or(|status| status >= 400) {
            return wrong(format!("'{}', which comes before it, is answered {status:?}", request.request));
        }
    }
    let expected = case.expect_gateway.as_ref().filter(|_| target.kind == Kind::Gateway).unwrap_or(&case.expect);
    let bytes = target.facts.bytes(case);
    match wire::exchange(target.address, &bytes, 1 + case.then.len()).await {
        Ok(exchange) => judge::judge(&target.facts, case, expected, &exchange, bytes.starts_with(b"HEAD ")).err().and_then(wrong),
        Err(error) => wrong(format!("the connection fails: {error}")),
    }
}

/// Where the cases are written.
#[test]
fn the_format_is_described_beside_the_cases() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/edge/cases/README.md");
    let text = std::fs::read_to_string(readme).unwrap();
    for key in
        ["request", "headers", "body", "as", "send", "before", "expect", "expect_gateway", "then", "only", "says", "has", "rows", "each"]
    {
        assert!(text.contains(&format!("`{key}`")), "'{key}' is not described");
    }
}

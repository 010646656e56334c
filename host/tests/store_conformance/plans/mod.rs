//! How PostgreSQL reads what the store asks it: by an index, however much there is. Each statement is looked at that the source has; what is put together
//! when it is needed is asked for here in all its forms.

mod asked;
mod source;

use std::collections::{BTreeMap, BTreeSet};

use millrace::clock::Clock;
use millrace::store::{Dsn, open};
use serde_json::Value;

use self::source::{Found, Source};
use crate::test_env::{name, on_server, server};

/// Places of the source whose statements are put together when they are needed, by file, and how many there are. [`asked`] asks for all of them but
/// those of a copy, which reads everything, of migrations, and of the beginning of a transaction, which reads what a start does.
const MADE_THEN: [(&str, usize); 8] = [
    ("audit.rs", 1),
    ("copying.rs", 2),
    ("opening.rs", 2),
    ("parts.rs", 1),
    ("resources.rs", 1),
    ("retention.rs", 3),
    // What a statement is.
    ("unit.rs", 1),
    ("writer.rs", 1),
];

/// Tables that grow with the shop. What waits, is under way or was given up is little beside that, and is found by indexes of its own.
const GROWING: [&str; 14] = [
    "resources",
    "history",
    "step_runs",
    "outbox",
    "inbox",
    "idempotency",
    "resource_keys",
    "audit",
    "users",
    "stock_moves",
    "reservations",
    "reservation_lines",
    "instance_state",
    "prices",
];

/// What reads a growing table as a whole, and may.
const MAY: [(&str, &str); 1] = [
    // Who sends dead letters again looks for their events once, by hand.
    ("WITH wanted AS (SELECT id, event_id FROM dead_letters", "outbox"),
];

/// A statement without what is only for the eye.
fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Growing tables that a plan reads from their beginning to their end: without an index, or with one that is not asked for a part and whose reader is
/// never told to stop.
fn read_as_a_whole(plan: &Value, is_limited: bool, found: &mut BTreeSet<String>) {
    let kind = plan["Node Type"].as_str().unwrap_or_default();
    let table = plan["Relation Name"].as_str().unwrap_or_default();
    let walks = kind.starts_with("Index") && plan["Index Cond"].is_null() && !is_limited && !is_partial(plan);
    if GROWING.contains(&table) && (kind == "Seq Scan" || walks) {
        found.insert(table.to_owned());
    }
    let is_limited = kind == "Limit" || (is_limited && !matches!(kind, "Sort" | "Aggregate" | "Hash" | "Materialize"));
    for below in plan["Plans"].as_array().into_iter().flatten() {
        // What a statement is told beside its rows has its own end.
        let is_apart = matches!(below["Parent Relationship"].as_str(), Some("InitPlan" | "SubPlan"));
        read_as_a_whole(below, is_limited && !is_apart, found);
    }
}

/// Whether it is an index of few rows, whatever the table holds.
fn is_partial(plan: &Value) -> bool {
    let few = [
        "resources_active",
        "resources_asking",
        "step_runs_open",
        "step_runs_line",
        "users_untold",
        "users_with_roles",
        "reservations_held",
    ];
    plan["Index Name"].as_str().is_some_and(|index| few.contains(&index))
}

fn whole(plan: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    read_as_a_whole(&plan[0]["Plan"], false, &mut found);
    read_as_a_whole(&plan["Plan"], false, &mut found);
    found
}

/// How the server would read a statement whatever its values are.
fn plan_of(database: &str, statement: &str) -> Value {
    let last = (1..=60).rev().find(|number| statement.contains(&format!("${number}"))).unwrap_or(0);
    let values = if last == 0 { String::new() } else { format!("({})", vec!["NULL"; last].join(", ")) };
    let asked = format!("SET plan_cache_mode = force_generic_plan; PREPARE s AS {statement}; EXPLAIN (FORMAT JSON) EXECUTE s{values}");
    let told = server().ask(database, &asked);
    let begin = told.find('[').unwrap_or_else(|| panic!("{statement}: {told}"));
    serde_json::from_str(&told[begin..]).unwrap_or_else(|error| panic!("{statement}: {error}: {told}"))
}

/// The plans that the server has told of in its log, by the statement.
fn plans_in_log(database: &str) -> BTreeMap<String, Vec<Value>> {
    let log = server().log();
    let mut plans: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    // The lines of a plan follow its first one, each after a tab.
    for entry in log.split("\n20").filter(|entry| entry.contains("plan:\n") && entry.contains(&format!("[{database}]"))) {
        let json: String = entry[entry.find("plan:\n").unwrap() + 6..].lines().take_while(|line| line.starts_with('\t')).collect();
        let plan: Value = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}"));
        plans.entry(plain(plan["Query Text"].as_str().unwrap())).or_default().push(plan);
    }
    plans
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_statement_reads_a_table_that_grows_as_a_whole() {
    let dsn = Dsn::parse(&server().database()).unwrap();
    let database = name(&dsn);
    open(&on_server(&dsn), Clock::system()).unwrap().operations.close().await;
    asked::fill(&database);
    for setting in ["session_preload_libraries = 'auto_explain'", "auto_explain.log_min_duration = 0", "auto_explain.log_format = json"] {
        server().ask("postgres", &format!("ALTER DATABASE {database} SET {setting}"));
    }
    server().ask("postgres", &format!("ALTER DATABASE {database} SET auto_explain.log_nested_statements = off"));
    asked::ask_for_everything(&dsn).await;
    let told = plans_in_log(&database);
    assert!(told.len() > 100, "the server told of {} statements only", told.len());

    let source = Source::read();
    let mut made_then: BTreeMap<&str, usize> = BTreeMap::new();
    let mut wrong = BTreeMap::new();
    let mut statements: BTreeSet<String> = told.keys().cloned().collect();
    for (file, found) in source.places() {
        match found {
            Found::MadeThen => *made_then.entry(file).or_default() += 1,
            Found::Text(text) => {
                statements.insert(plain(&text));
            }
        }
    }
    assert_eq!(made_then, BTreeMap::from(MADE_THEN), "what is put together when it is needed is asked for in `asked`, and counted here");
    assert!(statements.len() > 200, "{} statements were found in the source", statements.len());
    for statement in statements.iter().filter(|statement| reads(statement)) {
        // With values as they are, where it was asked; else, and after some times of asking the same, whatever they are.
        let plans = told.get(statement).cloned().unwrap_or_else(|| vec![plan_of(&database, statement)]);
        let mut tables: BTreeSet<String> = plans.iter().flat_map(whole).collect();
        tables.retain(|table| !MAY.iter().any(|(begins, may)| statement.starts_with(begins) && table == may));
        if !tables.is_empty() {
            wrong.insert(statement.clone(), tables);
        }
    }
    assert!(wrong.is_empty(), "{} statements read as a whole what grows: {wrong:#?}", wrong.len());
}

/// Whether it reads any rows.
fn reads(statement: &str) -> bool {
    let words = ["SELECT", "WITH", "UPDATE", "DELETE", "INSERT"];
    words.iter().any(|word| statement.starts_with(word)) && !statement.contains("; ")
}

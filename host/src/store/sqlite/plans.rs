//! How SQLite reads what people list and search: by an index in the sequence that is asked for, however much there is.

use jiff::Timestamp;
use rusqlite::Connection;

use super::super::{AuditListing, Listing, Search, Sought, Wanted};
use super::sought::{self, Lead};
use super::{Sqlite, audit, resources, search};
use crate::clock::Clock;

/// What is small whatever there is: an index that has only what is unfinished, and the holds that people have laid on instances.
const SMALL: [&str; 2] = ["USING INDEX resources_active", "SCAN h"];

/// What is asked for, by its name.
type Filter<T> = (&'static str, fn(&mut T));

struct Plans {
    connection: Connection,
    _folder: tempfile::TempDir,
}

impl Plans {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        drop(Sqlite::open(&path, 1, &[], Clock::system()).unwrap());
        Self { connection: Connection::open(path).unwrap(), _folder: folder }
    }

    fn of(&self, sql: &str) -> Vec<String> {
        let mut statement = self.connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        // What is asked for decides nothing: SQLite knows no numbers of rows here.
        statement.raw_query().mapped(|row| row.get::<_, String>(3)).collect::<Result<_, _>>().unwrap()
    }

    /// No table is read as a whole, and nothing but a few rows is sorted.
    fn check(&self, sql: &str, may_sort: bool, what: &str) -> String {
        let plan = self.of(sql);
        for line in &plan {
            let scans = line.starts_with("SCAN") && !SMALL.iter().any(|small| line.contains(small));
            assert!(!scans, "{what}: {plan:#?}");
            assert!(may_sort || !line.contains("TEMP B-TREE"), "{what}: {plan:#?}");
        }
        plan.join("; ")
    }
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

#[test]
fn what_staff_search_for_is_walked_by_an_index_whatever_leads() {
    let plans = Plans::new();
    let filters: Vec<Filter<Search>> = vec![
        ("id", |search| search.id = some("thing-1")),
        ("owner", |search| search.owner = some("user-1")),
        ("attention", |search| search.attention = true),
        ("state", |search| search.state = some("paid")),
        ("a text", |search| search.keys.push(Wanted::Text { name: "transaction".into(), is: "t".into() })),
        ("a number", |search| search.keys.push(Wanted::Number { name: "total".into(), least: 1, most: 2 })),
        ("from", |search| search.from = Some(at(1))),
        ("to", |search| search.to = Some(at(2))),
        ("the next page", |search| search.after = Some((at(2), "thing-9".into()))),
    ];
    // Each subset of them.
    for chosen in 1_usize..1 << filters.len() {
        let mut search = Search { kind: "things".into(), limit: 20, ..Search::default() };
        let chosen = filters.iter().enumerate().filter(|(at, _)| chosen & (1 << at) != 0).map(|(_, filter)| filter);
        let names: Vec<&str> = chosen.map(|(name, set)| (set(&mut search), *name).1).collect();
        for (sql, index, few) in search::statements(&search) {
            // Few entries of a range of sizes are read and put into their sequence.
            let may_sort = few && index == "resource_keys AS k";
            plans.check(&sql, may_sort, &format!("{names:?} led by {index}"));
        }
    }
}

#[test]
fn what_operators_list_is_walked_by_an_index() {
    let plans = Plans::new();
    let filters: Vec<Filter<Sought>> = vec![
        ("workflow", |sought| sought.workflow = some("making")),
        ("state", |sought| sought.state = some("paid")),
        ("finished", |sought| sought.finished = Some(true)),
        ("unfinished", |sought| sought.finished = Some(false)),
        ("attention", |sought| sought.attention = true),
        ("held", |sought| sought.held = true),
        ("owner", |sought| sought.owner = some("user-1")),
        ("digest", |sought| sought.digest = some("ab")),
        ("text", |sought| sought.text = some("ab")),
        ("older", |sought| sought.unchanged_since = Some(at(1))),
        ("the next page", |sought| sought.after = Some((at(2), "thing-9".into()))),
    ];
    for chosen in 0_usize..1 << filters.len() {
        let mut sought = Sought { kind: "things".into(), limit: 20, ..Sought::default() };
        let chosen = filters.iter().enumerate().filter(|(at, _)| chosen & (1 << at) != 0).map(|(_, filter)| filter);
        let names: Vec<&str> = chosen.map(|(name, set)| (set(&mut sought), *name).1).collect();
        let leads = [
            (Lead::Id, sought.text.is_some()),
            (Lead::Held, sought.held),
            (Lead::Asking, sought.attention),
            (Lead::Owner, sought.owner.is_some()),
            (Lead::Unfinished, sought.finished == Some(false)),
            (Lead::State, sought.state.is_some()),
            (Lead::All, true),
        ];
        for (lead, _) in leads.into_iter().filter(|(_, may_lead)| *may_lead) {
            let few = matches!(lead, Lead::Id | Lead::Held | Lead::Unfinished);
            plans.check(&sought::statement(lead, &sought, true).0, few, &format!("{names:?} led by {lead:?}"));
        }
    }
}

#[test]
fn lists_and_the_audit_log_are_read_in_the_sequence_of_an_index() {
    let plans = Plans::new();
    for owner in [None, some("user-1")] {
        for after in [None, Some((at(1), "thing-1".to_owned()))] {
            for by_id in [false, true] {
                let listing = Listing { kind: "things".into(), owner: owner.clone(), after: after.clone(), by_id, limit: 20 };
                // Only products are listed by their ids, and those belong to nobody.
                plans.check(&resources::statement(&listing).0, by_id && owner.is_some(), &format!("{listing:?}"));
            }
        }
    }
    let all = || AuditListing { limit: 20, ..AuditListing::default() };
    for (listing, index) in [
        (all(), "INTEGER PRIMARY KEY"),
        (AuditListing { actor: some("user-1"), ..all() }, "audit_actor"),
        (AuditListing { action: some("things.hold"), ..all() }, "audit_action"),
        (AuditListing { subject: some("things/thing-1"), before: Some(9), ..all() }, "audit_subject"),
    ] {
        let plan = plans.check(&audit::statement(&listing).0, false, &format!("{listing:?}"));
        assert!(plan.contains(index), "{listing:?}: {plan}");
    }
}

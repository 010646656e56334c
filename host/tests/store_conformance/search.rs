//! Resources by several conditions at once, the keys that they are found by, and notes.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use millrace::store::{Commit, Database, Figure, Guard, HistoryRow, Matches, Note, Place, Resource, Search, Store, Wanted, open};
use serde_json::json;

use crate::test_env::{TestEnv, all_at_once, at, change, create, history_row, instance, keys, moved, object, product};

/// The `n`th of some orders: all of it follows from the number.
fn order(n: i64) -> Resource {
    let mut order = instance(&format!("o-{:07}", (n * 7_919) % 1_000_003));
    order.owner = Some(format!("user-{}", n % 97));
    order.state =
        ["paying", "delivered", "delivered", "delivered", "cancelled", "delivered", "delivered"][usize::try_from(n % 7).unwrap()].into();
    order.created_at = at(n / 2);
    if let Some(progress) = &mut order.workflow {
        progress.attention = (n % 1_001 == 5).then(|| "look".into());
        progress.finished = order.state != "paying";
    }
    let items: Vec<_> = (0..=n % 3).map(|line| json!({"productId": format!("p-{}", (n + line * 5) % 11), "quantity": 1})).collect();
    let cents = (n * 37) % 50_000 + 1;
    order.data = object(json!({"total": format!("{}.{:02}", cents / 100, cents % 100), "items": items, "transaction": format!("t-{n}")}));
    order
}

fn product_is(name: &str) -> Wanted {
    Wanted::Text { name: "product".into(), is: name.into() }
}

fn total(least: i64, most: i64) -> Wanted {
    Wanted::Number { name: "total".into(), least, most }
}

async fn find(store: &Store, search: &Search) -> Matches {
    store.resources.find(search).await.unwrap()
}

async fn every_page(store: &Store, search: &Search) -> Vec<Resource> {
    let (mut all, mut search) = (Vec::new(), search.clone());
    loop {
        let page = find(store, &search).await;
        assert!(page.resources.len() <= search.limit);
        all.extend(page.resources);
        match page.next {
            None => return all,
            next => {
                assert!(search.after.is_none() || next < search.after, "a page goes on");
                search.after = next;
            }
        }
    }
}

/// Whether it fits, told from the resource alone.
fn fits(one: &Resource, search: &Search) -> bool {
    let cents = one.data["total"].as_str().unwrap().replace('.', "").parse::<i64>().unwrap();
    let products: Vec<&str> = one.data["items"].as_array().unwrap().iter().filter_map(|item| item["productId"].as_str()).collect();
    let has = |wanted: &Wanted| match wanted {
        Wanted::Text { name, is } if name == "product" => products.contains(&is.as_str()),
        Wanted::Text { is, .. } => one.data["transaction"] == is.as_str(),
        Wanted::Number { least, most, .. } => (*least..=*most).contains(&cents),
    };
    search.id.as_ref().is_none_or(|id| one.id == *id)
        && search.owner.is_none_or_is(one.owner.as_ref())
        && search.state.is_none_or_is(Some(&one.state))
        && (!search.attention || one.workflow.as_ref().unwrap().attention.is_some())
        && search.from.is_none_or(|from| one.created_at >= from)
        && search.to.is_none_or(|to| one.created_at < to)
        && search.keys.iter().all(has)
}

trait NoneOrIs {
    fn is_none_or_is(&self, value: Option<&String>) -> bool;
}

impl NoneOrIs for Option<String> {
    fn is_none_or_is(&self, value: Option<&String>) -> bool {
        self.as_ref().is_none_or(|wanted| value == Some(wanted))
    }
}

fn searches(limit: usize) -> Vec<(&'static str, Search)> {
    let all = || Search { kind: "orders".into(), limit, ..Search::default() };
    let times = |from: i64, to: i64| Search { from: Some(at(from)), to: Some(at(to)), ..all() };
    let of = |keys: Vec<Wanted>| Search { keys, ..all() };
    let transaction = |text: &str| of(vec![Wanted::Text { name: "?transaction".into(), is: text.into() }]);
    vec![
        ("everything", all()),
        ("a state of many", Search { state: Some("delivered".into()), ..all() }),
        ("a state of some", Search { state: Some("paying".into()), ..all() }),
        ("a state of none", Search { state: Some("unknown".into()), ..all() }),
        ("attention", Search { attention: true, ..all() }),
        ("attention in a state", Search { attention: true, state: Some("delivered".into()), ..all() }),
        ("a time", times(200, 260)),
        ("a time and a state", Search { state: Some("cancelled".into()), ..times(100, 400) }),
        ("an owner", Search { owner: Some("user-3".into()), ..all() }),
        ("an owner's in a state", Search { owner: Some("user-3".into()), state: Some("paying".into()), ..all() }),
        ("a product", of(vec![product_is("p-3")])),
        ("two products", of(vec![product_is("p-3"), product_is("p-8")])),
        ("no product", of(vec![product_is("p-none")])),
        ("few of a size", of(vec![total(100, 160)])),
        ("most sizes", of(vec![total(2_000, i64::MAX)])),
        ("no size", of(vec![total(60_000, i64::MAX)])),
        ("a size, a product and a state", Search { state: Some("delivered".into()), ..of(vec![total(5_000, 20_000), product_is("p-1")]) }),
        ("a size in a time", Search { keys: vec![total(5_000, 20_000)], ..times(50, 90) }),
        ("an id", Search { id: Some(order(77).id), ..all() }),
        ("an id in another state", Search { id: Some(order(77).id), state: Some("none".into()), ..all() }),
        ("a text that one has", transaction("t-123")),
        ("a text that none has", transaction("t-")),
    ]
}

pub async fn what_is_searched_for_is_found_in_pages_whatever_is_asked(env: TestEnv) {
    let orders: Vec<Resource> = (0..600).map(order).collect();
    for order in &orders {
        env.store.resources.commit(create(order.clone())).await.unwrap();
    }
    env.store.resources.commit(create(product("o-1"))).await.unwrap();
    for limit in [1, 7, 1_000] {
        for (what, search) in searches(limit) {
            let mut expected: Vec<&Resource> = orders.iter().filter(|order| fits(order, &search)).collect();
            expected.sort_by_key(|order| std::cmp::Reverse((order.created_at, &order.id)));
            let found = every_page(&env.store, &search).await;
            let ids = |resources: Vec<&Resource>| resources.iter().map(|one| one.id.clone()).collect::<Vec<_>>();
            assert_eq!(ids(found.iter().collect()), ids(expected), "{what} by {limit}");
        }
    }
}

pub async fn a_resource_is_found_by_what_its_data_is_now(env: TestEnv) {
    let with = |wanted: Wanted| Search { kind: "orders".into(), keys: vec![wanted], limit: 9, ..Search::default() };
    let count = async |wanted: Wanted| find(&env.store, &with(wanted)).await.resources.len();
    let first = order(0);
    env.store.resources.commit(create(first.clone())).await.unwrap();
    assert_eq!((count(product_is("p-0")).await, count(total(1, 1)).await), (1, 1));
    let mut next = moved(&first, "delivered");
    // Neither its creation nor what belongs to it goes with a change.
    next.created_at = at(9_999);
    next.data = object(json!({"total": 2.5, "items": [{"productId": "p-9"}, {"productId": "p-9"}]}));
    env.store.resources.commit(change(next.clone())).await.unwrap();
    assert_eq!((count(product_is("p-0")).await, count(total(1, 1)).await), (0, 0));
    assert_eq!((count(product_is("p-9")).await, count(total(250, 250)).await), (1, 1));
    env.store.operations.forget_finished("orders", &[(next.id.clone(), next.version)]).await.unwrap();
    let mut ended = moved(&next, "delivered");
    ended.workflow.as_mut().unwrap().finished = true;
    env.store.resources.commit(change(ended.clone())).await.unwrap();
    assert_eq!(env.store.operations.forget_finished("orders", &[(ended.id.clone(), ended.version)]).await.unwrap(), 1);
    assert_eq!(count(product_is("p-9")).await, 0);
    // The same id once more is another one.
    env.store.resources.commit(create(first)).await.unwrap();
    assert_eq!((count(product_is("p-0")).await, count(product_is("p-9")).await), (1, 0));
}

pub async fn a_resource_is_found_alike_by_who_says_what_it_was_and_who_does_not(env: TestEnv) {
    let with = |wanted: Wanted| Search { kind: "orders".into(), keys: vec![wanted], limit: 9, ..Search::default() };
    let first = order(0);
    env.store.resources.commit(create(first.clone())).await.unwrap();
    let (mut now, mut last) = (first, 0);
    for (n, says) in (1..).zip([true, false, true, true, false]) {
        let before = says.then(|| std::sync::Arc::clone(&now.data));
        now = moved(&now, "delivered");
        // What stays the same between two of them stays found.
        now.data = object(json!({"total": n, "items": [{"productId": format!("p-{n}")}], "transaction": "t-0"}));
        env.store.resources.commit(Commit { before, ..change(now.clone()) }).await.unwrap();
        for (wanted, many) in [(total(last * 100, last * 100), 0), (total(n * 100, n * 100), 1), (product_is(&format!("p-{n}")), 1)] {
            assert_eq!(find(&env.store, &with(wanted.clone())).await.resources.len(), many, "{wanted:?} after the change {n}");
        }
        last = n;
    }
    let transaction = Wanted::Text { name: "?transaction".into(), is: "t-0".into() };
    assert_eq!(find(&env.store, &with(transaction)).await.resources.len(), 1);
}

pub async fn notes_are_read_newest_first_and_go_with_their_resource(env: TestEnv) {
    let note = |id: &str, text: &str| Note {
        seq: 0,
        kind: "products".into(),
        id: id.into(),
        at: at(5),
        author: "user-1".into(),
        text: text.into(),
    };
    assert_eq!(env.store.resources.add_note(note("1", "early"), None, None).await.unwrap(), None);
    env.store.resources.commit(create(product("1"))).await.unwrap();
    env.store.resources.commit(create(product("2"))).await.unwrap();
    let mut numbers = Vec::new();
    for text in ["a", "b", "c"] {
        numbers.push(env.store.resources.add_note(note("1", text), None, None).await.unwrap().unwrap());
        env.store.resources.add_note(note("2", text), None, None).await.unwrap().unwrap();
    }
    let texts = async |before, limit| {
        let notes = env.store.resources.notes("products", "1", before, limit).await.unwrap();
        notes.into_iter().map(|note| note.text).collect::<Vec<_>>()
    };
    assert_eq!(texts(u64::MAX, 2).await, ["c", "b"]);
    assert_eq!(texts(numbers[1], 2).await, ["a"]);
    let whole = env.store.resources.notes("products", "1", u64::MAX, 1).await.unwrap();
    assert_eq!(whole, [Note { seq: numbers[2], ..note("1", "c") }]);
    env.store.resources.delete_resource("products", "1", millrace::store::Guard::Version(1), None).await.unwrap();
    assert_eq!((texts(u64::MAX, 9).await.len(), env.store.resources.notes("products", "2", u64::MAX, 9).await.unwrap().len()), (0, 3));
}

/// What a database of an earlier config holds is found once each has its keys, and meanwhile everything else goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn older_resources_are_given_their_keys_in_small_steps() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let with = |keys| {
        open(&Database { place: Place::File(path.clone()), readers: 1, keys, kinds: vec![] }, millrace::clock::Clock::system()).unwrap()
    };
    let search = Search { kind: "orders".into(), keys: vec![product_is("p-3")], limit: 1_000, ..Search::default() };
    let expected = (0..900).map(order).filter(|order| fits(order, &search)).count();

    let store = with(vec![]);
    for n in 0..900 {
        store.resources.commit(create(order(n))).await.unwrap();
    }
    assert!(!store.operations.give_keys().await.unwrap(), "nothing is asked for");
    store.operations.close().await;

    let store = with(keys());
    assert_eq!(find(&store, &search).await.resources.len(), 0);
    assert!(store.operations.give_keys().await.unwrap());
    let some = find(&store, &search).await.resources.len();
    assert!(some > 0 && some < expected, "{some} of {expected} after one step");
    store.operations.close().await;

    let store = with(keys());
    let mut steps = 0;
    while store.operations.give_keys().await.unwrap() {
        steps += 1;
    }
    assert!((3..9).contains(&steps), "it goes on where it was: {steps}");
    assert_eq!(find(&store, &search).await.resources.len(), expected);
    store.operations.close().await;

    // Another field under the same name.
    let mut others = keys();
    others[0].keys.iter_mut().filter(|key| key.name == "product").for_each(|key| key.path = "transaction".into());
    let store = with(others);
    while store.operations.give_keys().await.unwrap() {}
    assert_eq!(find(&store, &search).await.resources.len(), 0);
    let by_other = Search { keys: vec![product_is("t-77")], ..search };
    assert_eq!(find(&store, &by_other).await.resources.len(), 1);
}

/// How many orders the next test makes: a million with MILLRACE_TEST_LONG=1.
fn many() -> i64 {
    if std::env::var_os("MILLRACE_TEST_LONG").is_some() { 1_000_000 } else { 100_000 }
}

/// A page costs what it shows, however many there are: half of them take less than the goal for 99 of 100, whatever else the machine does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_a_hundred_thousand_is_found_at_once() {
    const GOAL: Duration = Duration::from_millis(20);
    let folder = tempfile::tempdir().unwrap();
    let settings = Database { place: Place::File(folder.path().join("a.db")), readers: 2, keys: keys(), kinds: vec![] };
    let store = open(&settings, millrace::clock::Clock::system()).unwrap();
    let begin = Instant::now();
    for first in (0..many()).step_by(1_000) {
        let commits = (first..first + 1_000).map(|n| {
            let store = store.clone();
            async move { store.resources.commit(create(order(n))).await.map(drop) }
        });
        all_at_once(commits).await.into_iter().collect::<Result<(), _>>().unwrap();
    }
    eprintln!("{} orders in {:?}", many(), begin.elapsed());
    let mut slow = Vec::new();
    for (what, search) in searches(50) {
        let mut took = Vec::new();
        let mut search = search.clone();
        for _ in 0..100 {
            let begin = Instant::now();
            let page = find(&store, &search).await;
            took.push(begin.elapsed());
            // The pages after the first, and then from the beginning.
            search.after = page.next;
        }
        took.sort_unstable();
        eprintln!("{what}: p50 {:?}, p99 {:?}", took[50], took[99]);
        if took[50] > GOAL {
            slow.push((what, took[50]));
        }
    }
    assert!(slow.is_empty(), "{slow:?}");
    let places: BTreeSet<Timestamp> = find(&store, &searches(50)[0].1).await.resources.iter().map(|one| one.created_at).collect();
    assert_eq!(places.last(), Some(&at((many() - 1) / 2)), "the newest come first");
}

/// A machine may begin in a state that counts: no transition enters that.
pub async fn what_begins_in_a_state_that_counts_is_counted_when_it_is_made(env: TestEnv) {
    let order = |id: &str, state: &str| {
        let mut order = Resource { state: state.into(), ..instance(id) };
        order.data = object(json!({"total": "10.50"}));
        (order.created_at, order.updated_at) = (at(0), at(0));
        order
    };
    let row = |from: &str, to: &str| HistoryRow { from: from.into(), to: to.into(), ..history_row(1) };
    let first = at(0).as_second().div_euclid(60);
    let counted = async || env.store.resources.figures("orders", (first, first + 1)).await.unwrap().pop().unwrap();
    env.store.resources.commit(create(order("stays", "paid"))).await.unwrap();
    let of_one = Figure { minute: first, made: 1, reached: 1, amount: 1_050, gone: 0, gone_amount: 0 };
    assert_eq!(counted().await, of_one);
    env.store.resources.commit(Commit { history: vec![row("paid", "given up")], ..create(order("leaves", "given up")) }).await.unwrap();
    assert_eq!(counted().await, Figure { made: 2, ..of_one }, "it has left that state in the commit that has made it");
    env.store.resources.commit(Commit { history: vec![row("new", "paid")], ..create(order("enters", "paid")) }).await.unwrap();
    assert_eq!(counted().await, Figure { made: 3, reached: 2, amount: 2_100, ..of_one });
}

pub async fn what_is_made_and_reached_is_counted_by_the_minute(env: TestEnv) {
    let of = |number: i64, total: &str, seconds: i64| {
        let mut order = instance(&format!("o-{number}"));
        order.data = object(json!({"total": total}));
        (order.created_at, order.updated_at) = (at(seconds), at(seconds));
        order
    };
    let first = at(0).as_second().div_euclid(60);
    for number in 0..3 {
        env.store.resources.commit(create(of(number, "10.50", 60 * number))).await.unwrap();
    }
    let step = async |number: i64, version: u64, seconds: i64, (from, to): (&str, &str)| {
        let mut order = of(number, "10.50", seconds);
        (order.version, order.state) = (version + 1, to.to_owned());
        let row = HistoryRow {
            seq: version,
            from: from.into(),
            to: to.into(),
            transition: "go".into(),
            at: at(seconds),
            cause: "api".into(),
            component: None,
            digest: None,
            attempt: None,
            reason: None,
        };
        let commit = Commit { change: Some((Guard::Version(version), order)), history: vec![row], ..Commit::default() };
        env.store.resources.commit(commit).await
    };
    step(0, 1, 61, ("new", "paid")).await.unwrap();
    step(1, 1, 62, ("new", "paid")).await.unwrap();
    step(1, 2, 63, ("paid", "sent")).await.unwrap();
    step(0, 2, 121, ("paid", "given up")).await.unwrap();
    step(2, 7, 122, ("new", "paid")).await.unwrap_err();
    let figures = env.store.resources.figures("orders", (first, first + 10)).await.unwrap();
    let figure = |minute: i64, made, reached, gone: u64| Figure {
        minute: first + minute,
        made,
        reached,
        amount: 1_050 * reached as i64,
        gone,
        gone_amount: 1_050 * gone as i64,
    };
    assert_eq!(figures, [figure(0, 1, 0, 0), figure(1, 1, 2, 0), figure(2, 1, 0, 1)]);
    assert_eq!(env.store.resources.figures("orders", (first + 1, first + 2)).await.unwrap(), [figure(1, 1, 2, 0)]);
    assert!(env.store.resources.figures("others", (first, first + 10)).await.unwrap().is_empty());
    // The date was wrong for a moment.
    env.store.resources.commit(create(of(3, "10.50", 9 * 86_400))).await.unwrap();
    assert_eq!(env.store.resources.figures("orders", (first, first + 10)).await.unwrap(), figures, "nothing is forgotten by that");
}

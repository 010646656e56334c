//! How long lists take that are narrowed down and searched, however many there are to be found.
//!
//! `cargo bench -p millrace --bench lists` makes a million orders through the store, many in each transaction, and asks for pages of them as the
//! admin does (`-- 100000` for another number). Goals: of each filter 99 of a hundred pages within 20 ms, of the search within 50 ms.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use millrace::clock::Clock;
use millrace::store::{
    Commit, Counted, Database, Form, Guard, HistoryRow, Key, KeysOf, Progress, Resource, Search, Store, Wanted, end_of_id, open,
};
use millrace_workflow::Instance;
use serde_json::json;

/// The allocator that the program has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Orders of a transaction.
const TOGETHER: u64 = 500;
/// Pages of each filter.
const PAGES: usize = 400;
/// In milliseconds, of 99 of a hundred.
const FILTER_GOAL: f64 = 20.0;
const SEARCH_GOAL: f64 = 50.0;
/// When the first was placed; one comes every two seconds.
const BEGIN: i64 = 1_760_000_000;

fn main() -> anyhow::Result<()> {
    let many = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(1_000_000);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(measure(many))
}

async fn measure(many: u64) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    let folder = tempfile::tempdir()?;
    let store = open(
        &Database {
            place: millrace::store::Place::File(folder.path().join("lists.db")),
            readers: 2,
            keys: vec![found_by()],
            kinds: vec![],
        },
        Clock::system(),
    )?;
    let began = Instant::now();
    for first in (0..many).step_by(TOGETHER as usize) {
        let commits = (first..many.min(first + TOGETHER)).map(placed).collect();
        store.resources.commit_all(commits).await?;
    }
    let took = began.elapsed().as_secs_f64();
    writeln!(out, "{many} orders in {took:.0} s, {:.0} a second", many as f64 / took)?;
    let mut missed = 0;
    for (what, search) in filters(many) {
        missed += tell(&mut out, what, FILTER_GOAL, pages(&store, search).await?)?;
    }
    missed += tell(&mut out, "search: an id, a code, an owner or the end of an id", SEARCH_GOAL, searched(&store, many).await?)?;
    let mut took = Vec::new();
    for _ in 0..PAGES {
        let began = Instant::now();
        store.resources.figures("orders", (BEGIN / 60, BEGIN / 60 + 1_440)).await?;
        took.push(began.elapsed());
    }
    missed += tell(&mut out, "figures of a day", FILTER_GOAL, took)?;
    store.operations.close().await;
    anyhow::ensure!(missed == 0, "{missed} goals are missed");
    Ok(())
}

/// Prints how long it took; 1 if the goal is missed.
fn tell(out: &mut impl std::io::Write, what: &str, goal: f64, mut took: Vec<Duration>) -> anyhow::Result<u32> {
    took.sort_unstable();
    let quantile = |share: f64| took.get((took.len() as f64 * share) as usize).map_or(0.0, |took| took.as_secs_f64() * 1e3);
    let (median, most) = (quantile(0.50), quantile(0.99));
    let verdict = if most <= goal { "" } else { "  MISSED" };
    writeln!(out, "{what:<52} p50 {median:>7.2} ms, p99 {most:>7.2} ms (goal {goal} ms){verdict}")?;
    Ok(u32::from(most > goal))
}

/// Page after page, and from the beginning again.
async fn pages(store: &Store, mut search: Search) -> anyhow::Result<Vec<Duration>> {
    let mut took = Vec::new();
    for _ in 0..PAGES {
        let began = Instant::now();
        let page = store.resources.find(&search).await?;
        took.push(began.elapsed());
        search.after = page.next;
    }
    Ok(took)
}

/// What the search of the admin asks the store for one text.
async fn searched(store: &Store, many: u64) -> anyhow::Result<Vec<Duration>> {
    let mut took = Vec::new();
    for number in 0..PAGES as u64 {
        let id = id(number * 7_919 % many);
        let term = match number % 4 {
            0 => id,
            1 => format!("txn-{}", number * 104_729 % many),
            2 => format!("user-{}", number % 5_000),
            _ => end_of_id(&id).unwrap_or_default(),
        };
        let key = |name: &str| vec![Wanted::Text { name: name.into(), is: term.clone() }];
        let all = [
            Search { keys: key("?transaction_id"), ..orders() },
            Search { keys: key("?tracking_number"), ..orders() },
            Search { keys: key("#"), ..orders() },
            Search { id: Some(term.clone()), ..orders() },
            Search { id: Some(format!("order-{term}")), ..orders() },
            Search { owner: Some(term.clone()), ..orders() },
        ];
        let began = Instant::now();
        for search in &all {
            store.resources.find(search).await?;
        }
        took.push(began.elapsed());
    }
    Ok(took)
}

fn orders() -> Search {
    Search { kind: "orders".into(), limit: 50, ..Search::default() }
}

fn filters(many: u64) -> Vec<(&'static str, Search)> {
    let state = |state: &str| Some(state.to_owned());
    let product = |number: u64| Wanted::Text { name: "product".into(), is: format!("prod-{number:03}") };
    let total = |least, most| Wanted::Number { name: "total".into(), least, most };
    let of = |keys: Vec<Wanted>| Search { keys, ..orders() };
    let day = |day: i64| Timestamp::from_second(BEGIN + 86_400 * day).ok();
    let last = i64::try_from(many).unwrap_or(i64::MAX) * 2 / 86_400;
    vec![
        ("everything", orders()),
        ("a state of most", Search { state: state("delivered"), ..orders() }),
        ("a state of few", Search { state: state("ship_failed"), ..orders() }),
        ("attention", Search { attention: true, ..orders() }),
        ("attention in a state", Search { attention: true, state: state("delivered"), ..orders() }),
        ("a day", Search { from: day(last / 2), to: day(last / 2 + 1), ..orders() }),
        ("a day and a state", Search { from: day(last / 2), to: day(last / 2 + 1), state: state("cancelled"), ..orders() }),
        ("an owner", Search { owner: Some("user-77".into()), ..orders() }),
        ("an owner's in a state", Search { owner: Some("user-77".into()), state: state("cancelled"), ..orders() }),
        ("a product", of(vec![product(3)])),
        ("a product and a state of few", Search { state: state("ship_failed"), ..of(vec![product(3)]) }),
        ("two products that are bought together", of(vec![product(3), product(10)])),
        ("two products that never are", of(vec![product(3), product(5)])),
        ("few totals", of(vec![total(100, 104)])),
        ("most totals", of(vec![total(2_000, i64::MAX)])),
        ("totals that none has", of(vec![total(10_000_000, i64::MAX)])),
        ("totals in a day", Search { from: day(last / 2), to: day(last / 2 + 1), ..of(vec![total(5_000, 20_000)]) }),
        ("totals, a product and a state", Search { state: state("cancelled"), ..of(vec![total(5_000, 20_000), product(3)]) }),
    ]
}

/// As the shop's config says it.
fn found_by() -> KeysOf {
    let key = |name: &str, path: &str, form| Key { name: name.into(), path: path.into(), form };
    let keys = vec![
        key("product", "items.productId", Form::Text),
        key("total", "total", Form::Hundredths),
        key("?transaction_id", "transaction_id", Form::Text),
        key("?tracking_number", "tracking_number", Form::Text),
        key("#", "", Form::IdEnd),
    ];
    let counted = Counted { amount: "total".into(), form: Form::Hundredths, states: ["paid".to_owned(), "delivered".to_owned()].into() };
    KeysOf { kind: "orders".into(), keys, counted: Some(counted) }
}

/// Ids of one moment have no sequence, as those of the shop.
fn id(number: u64) -> String {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("order-0199{:04x}-{:04x}-7000-8000-{:012x}", (number >> 16) & 0xffff, number & 0xffff, mixed & 0xffff_ffff_ffff)
}

fn placed(number: u64) -> Commit {
    let at = Timestamp::from_second(BEGIN + i64::try_from(number).unwrap_or_default() * 2).unwrap_or_default();
    let state = match number % 50 {
        0 => "cancelled",
        1 => "payment_failed",
        2 if number % 1_000 == 2 => "ship_failed",
        _ => "delivered",
    };
    let cents = number * 37 % 50_000 + 100;
    let product = number % 40;
    let line = |product: u64| json!({"productId": format!("prod-{product:03}"), "name": "Mechanical keyboard", "quantity": 1, "unitPrice": 149.99});
    let data = json!({
        "items": [line(product), line((product + 7) % 40)],
        "total": cents as f64 / 100.0,
        "shipping": {"name": "Ada Lovelace", "street": "12 St James's Square", "city": "London", "zip": "SW1Y 4JH", "country": "GB"},
        "transaction_id": format!("txn-{number}"),
        "tracking_number": format!("1Z{number:010}"),
    });
    let instance = Instance { state: state.into(), version: 7, visits: BTreeMap::new(), timer_firings: [].into(), unserved: 0 };
    let progress = Progress {
        workflow: "order-processing".into(),
        machine: "ab".repeat(32),
        instance,
        attention: (state == "ship_failed").then(|| "look".into()),
        finished: matches!(state, "delivered" | "cancelled"),
        deadlines: [].into(),
        traceparent: None,
    };
    let id = id(number);
    let row = HistoryRow {
        seq: 1,
        from: "shipped".into(),
        to: state.into(),
        transition: "deliver".into(),
        at,
        cause: "automatic".into(),
        component: None,
        digest: None,
        attempt: None,
        reason: None,
    };
    let order = Resource {
        kind: "orders".into(),
        id,
        owner: Some(format!("user-{}", number % 5_000)),
        state: state.into(),
        version: 7,
        data: Arc::new(data.as_object().cloned().unwrap_or_default()),
        workflow: Some(progress),
        created_at: at,
        updated_at: at,
    };
    Commit { change: Some((Guard::Absent, order)), history: vec![row], ..Commit::default() }
}

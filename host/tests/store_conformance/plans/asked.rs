//! A large shop, and everything that may be asked of it with statements that are put together when they are needed.

use jiff::Timestamp;
use millrace::clock::Clock;
use millrace::store::{AuditListing, Dsn, Listing, MoveBy, NewMove, Prunable, Search, Sought, Store, Wanted, open};

use crate::test_env::{at, claim, create, deed, event, instance, line, name, on_server, run, server, timer, with_runs};

/// Orders that there are: a million with MILLRACE_TEST_LONG=1.
fn many() -> u64 {
    if std::env::var_os("MILLRACE_TEST_LONG").is_some() { 1_000_000 } else { 20_000 }
}

/// Fills a database with so many orders and what they leave behind: one of a hundred is under way.
pub fn fill(database: &str) {
    let rows = [
        "resources (pk, kind, id, owner, state, version, workflow, machine, instance, attention, finished, created_at, updated_at, data, touched_at)
         SELECT n, 'orders', 'o-' || lpad((n::bigint * 7919 % 100000007)::text, 9, '0'), 'user-' || n % ($N / 10), CASE WHEN n % 100 = 0 THEN 'paying' ELSE 'delivered' END, 3,
                'processing', 'd1', '{\"state\":\"paying\",\"version\":3,\"visits\":{},\"timer_firings\":{}}', CASE WHEN n % 1000 = 0 THEN 'look' END, n % 100 <> 0, n, n, '{\"total\": \"12.50\"}', n",
        "history (resource, seq, from_state, to_state, transition, at, cause, component, digest, attempt)
         SELECT n, seq, 'new', 'paying', 'pay', n, 'accepted', 'payment', 'd' || n % 7, 1",
        "step_runs (key, resource_kind, resource_id, workflow, kind, name, component, visit, attempt, transition, from_state, to_state, status, owner, fence,
                    crashes, due_at, written_at)
         SELECT 'o-' || lpad((n::bigint * 7919 % 100000007)::text, 9, '0') || ':pay:' || seq, 'orders', 'o-' || lpad((n::bigint * 7919 % 100000007)::text, 9, '0'), 'processing', 'step', 'pay', 'payment', seq, 1, 'pay',
                'new', 'paying', CASE WHEN n % 100 = 0 AND seq = 2 THEN 'ready' ELSE 'done' END, NULL, 1, 0, n, n",
        "outbox (position, written_at, seq, topic, key, event_id, payload) SELECT 2 * n + seq, n, seq, 'order.paid', 'o-' || n, 'e-' || n || '-' || seq, '{}'",
        "inbox (written_at, consumer, event_id) SELECT n, 'handler', 'e-' || n || '-' || seq",
    ];
    // Of the keys there are so many in any case that few of them are better looked up than all of them read.
    let once = [
        "timers (resource, transition, version, due_at) SELECT n, 'expire', 3, n FROM generate_series(100, $N, 100) AS n",
        "unpublished (position) SELECT position FROM outbox ORDER BY position DESC LIMIT 100",
        "idempotency (written_at, account, key, request_hash, resource_id) SELECT n, 'user-' || n % 1000, 'k-' || n, 'h', 'o-' || n FROM generate_series(1, $N) AS n",
        "resource_keys (kind, name, text, created_at, id) SELECT kind, 'product', 'p-' || (pk + 7 * n) % 500, created_at, id FROM resources, generate_series(1, greatest(1, 200000 / $N)) AS n",
        "resource_keys (kind, name, number, created_at, id) SELECT kind, 'size ' || n, pk % 50000, created_at, id FROM resources, generate_series(1, greatest(1, 200000 / $N)) AS n
         UNION ALL SELECT kind, 'total', pk % 50000, created_at, id FROM resources",
        "audit (seq, at, actor, roles, sudo, action, subject, prev_hash, hash)
         SELECT n, n, 'user-' || n % 100, '[]', false, 'orders.' || n % 20, 'orders/o-' || n, 'a', 'b' FROM generate_series(1, $N) AS n",
        "users (id, name, email, email_key, password_hash, created_at, roles, disabled, epoch, told_epoch)
         SELECT 'user-' || n, 'Ada', 'ada' || n || '@example.com', 'ada' || n || '@example.com', 'x', n,
                CASE WHEN n % 1000 = 0 THEN ARRAY['support'] ELSE '{}' END, false, 1, 1 FROM generate_series(1, $N) AS n",
        "stock (sku, on_hand, reserved) SELECT 'p-' || n, 1000000, 1000 FROM generate_series(1, 500) AS n",
        "stock_moves (sku, delta, on_hand, reserved, reason, key, at) SELECT 'p-' || n % 500, -1, 5, 1, 'sold', 'o-' || n, n FROM generate_series(1, $N) AS n",
        "reservations (key, status, ended_at) SELECT 'o-' || n, CASE WHEN n % 100 = 0 THEN 'reserved' ELSE 'sold' END, CASE WHEN n % 100 = 0 THEN NULL ELSE n END
         FROM generate_series(1, $N) AS n",
        "reservation_lines (reservation, sku, quantity) SELECT 'o-' || n, 'p-' || n % 500, 1 FROM generate_series(1, $N) AS n",
        "instance_state (resource, component, key, value) SELECT n, 'payment', 'k', 'v' FROM generate_series(1, $N) AS n",
        "prices (resource, version, price, at) SELECT n, 1, 100, n FROM generate_series(1, $N) AS n",
    ];
    let twice = rows.iter().enumerate().map(|(place, rows)| match place {
        0 => format!("INSERT INTO {rows} FROM generate_series(1, $N) AS n"),
        _ => format!("INSERT INTO {rows} FROM generate_series(1, $N) AS n, generate_series(1, 2) AS seq"),
    });
    for statement in twice.chain(once.iter().map(|rows| format!("INSERT INTO {rows}"))) {
        server().ask(database, &statement.replace("$N", &many().to_string()));
    }
    let next =
        "SELECT setval(pg_get_serial_sequence('resources', 'pk'), $N), setval(pg_get_serial_sequence('step_runs', 'sequence'), 2 * $N)";
    server().ask(database, &next.replace("$N", &many().to_string()));
    server().ask(database, "VACUUM ANALYZE");
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// Asks for each list in each of its forms, and does what a shop does with an order.
pub async fn ask_for_everything(dsn: &Dsn) {
    let store = open(&on_server(dsn), Clock::system()).unwrap();
    // So that the keys that are there are those that are asked for.
    store.operations.give_keys().await.unwrap();
    server().ask(&name(dsn), "UPDATE resource_keying SET next = NULL");
    search(&store).await;
    seek(&store).await;
    list(&store).await;
    live(&store).await;
    for what in [Prunable::Events, Prunable::Inbox, Prunable::Runs, Prunable::IdempotencyKeys, Prunable::Reservations] {
        store.operations.prune(what, Timestamp::from_microsecond(600).unwrap()).await.unwrap();
    }
    store.operations.close().await;
}

/// What may be asked for beside other things.
type Filter<T> = fn(&mut T);

/// All choices of up to three of `filters`.
fn choices<T: Clone>(all: &T, filters: &[Filter<T>]) -> Vec<T> {
    let few = |chosen: &u32| chosen.count_ones() <= 3;
    let choice = |chosen: u32| {
        let mut choice = all.clone();
        filters.iter().enumerate().filter(|(at, _)| chosen & (1 << at) != 0).for_each(|(_, set)| set(&mut choice));
        choice
    };
    (0..1_u32 << filters.len()).filter(few).map(choice).collect()
}

async fn search(store: &Store) {
    let filters: [Filter<Search>; 9] = [
        |search| search.id = some("o-000007919"),
        |search| search.owner = some("user-7"),
        |search| search.attention = true,
        |search| search.state = some("paying"),
        |search| search.keys.push(Wanted::Text { name: "product".into(), is: "p-7".into() }),
        |search| search.keys.push(Wanted::Number { name: "total".into(), least: 700, most: 710 }),
        |search| search.from = Some(Timestamp::from_microsecond(900).unwrap()),
        |search| search.to = Some(Timestamp::from_microsecond(9_000).unwrap()),
        |search| search.after = Some((Timestamp::from_microsecond(5_000).unwrap(), "o-9".into())),
    ];
    for search in choices(&Search { kind: "orders".into(), limit: 20, ..Search::default() }, &filters) {
        store.resources.find(&search).await.unwrap();
    }
}

async fn seek(store: &Store) {
    let filters: [Filter<Sought>; 11] = [
        |sought| sought.workflow = some("processing"),
        |sought| sought.state = some("paying"),
        |sought| sought.finished = Some(true),
        |sought| sought.finished = Some(false),
        |sought| sought.attention = true,
        |sought| sought.held = true,
        |sought| sought.owner = some("user-7"),
        |sought| sought.digest = some("d3"),
        |sought| sought.text = some("o-000007919"),
        |sought| sought.unchanged_since = Some(Timestamp::from_microsecond(9_000).unwrap()),
        |sought| sought.after = Some((Timestamp::from_microsecond(5_000).unwrap(), "o-9".into())),
    ];
    for sought in choices(&Sought { kind: "orders".into(), limit: 20, look_at: 500, ..Sought::default() }, &filters) {
        store.operations.find(&sought).await.unwrap();
        store.operations.count(&sought).await.unwrap();
    }
}

async fn list(store: &Store) {
    let filters: [Filter<Listing>; 3] = [
        |listing| listing.owner = some("user-7"),
        |listing| listing.after = Some((Timestamp::from_microsecond(5_000).unwrap(), "o-5".to_owned())),
        |listing| listing.by_id = true,
    ];
    for listing in choices(&Listing { kind: "orders".into(), limit: 20, ..Listing::default() }, &filters) {
        store.resources.resources(&listing).await.unwrap();
    }
    let filters: [Filter<AuditListing>; 4] = [
        |listing| listing.actor = some("user-7"),
        |listing| listing.action = some("orders.7"),
        |listing| listing.subject = some("orders/o-7"),
        |listing| listing.before = Some(900),
    ];
    for listing in choices(&AuditListing { limit: 20, ..AuditListing::default() }, &filters) {
        store.audit.audited(&listing).await.unwrap();
    }
    for (search, has_roles) in [("", false), ("", true), ("ada77", false)] {
        store.users.users(search, has_roles, "", 20).await.unwrap();
        store.users.users(search, has_roles, "user-5", 20).await.unwrap();
    }
    store.users.untold(20).await.unwrap();
    store.stock.reservations().await.unwrap();
    store.stock.reserved_by("p-7", 20).await.unwrap();
    store.stock.stock_moves("p-7", u64::MAX, 20).await.unwrap();
    store.operations.backlog().await.unwrap();
    store.operations.set_aside(20).await.unwrap();
    store.operations.kinds().await.unwrap();
    store.instances.unfinished().await.unwrap();
    store.instances.unfinished_by_owner("orders", &["paying".to_owned()]).await.unwrap();
    store.instances.pinned().await.unwrap();
    store.instances.due_timers(at(0), 20).await.unwrap();
    store.messages.unpublished(0, 20).await.unwrap();
    store.messages.handled_since().await.unwrap();
}

/// An order that comes, is worked on and goes, and units that are counted.
async fn live(store: &Store) {
    store.resources.commit(create(instance("new"))).await.unwrap();
    store
        .resources
        .commit(millrace::store::Commit {
            outbox: vec![event("new", 1)],
            timers: vec![timer("new", "expire", 1, 5)],
            ..with_runs([run("new", "pay")])
        })
        .await
        .unwrap();
    store.instances.recover_runs(&["new:pay:1".to_owned()], 3).await.unwrap();
    claim(store, Clock::system().now(), 5).await;
    store.instances.runs("orders", "new").await.unwrap();
    store.resources.history("orders", "new", 0, 20).await.unwrap();
    store.stock.reserve("new", &[line("p-7", 1)]).await.unwrap();
    store.stock.put_back("new", &[line("p-7", 1)]).await.unwrap();
    let count = NewMove {
        sku: "p-7".into(),
        by: MoveBy::Delta(1),
        reason: "found".into(),
        note: None,
        actor: "ada".into(),
        request: None,
        audit: Some(deed("count", "p-7")),
    };
    store.stock.move_stock(count).await.unwrap();
}

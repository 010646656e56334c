//! Several processes over one database on a server: what one promises, all of them together do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use millrace::clock::Clock;
use millrace::store::{
    Commit, Conflict, Database, Heard, IdempotencyRow, Listing, OpenError, OutboxRow, RunStatus, SLOTS, Settled, StepRun, Store,
    StoreError, open,
};

use crate::test_env::{
    PATIENCE, TestEnv, all_at_once, at, change, claim, create, done, event, instance, moved, name, on_server, product, run, server,
    settling, timer, with_runs,
};

/// Between two looks at what is waited for: a test that asks without a pause takes the processors from those that are to answer.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Two processes that know of each other and have shared what there is to be shared.
struct Pair {
    env: TestEnv,
    other: Store,
}

impl Pair {
    async fn new() -> Self {
        let env = TestEnv::postgres();
        let other = open(&on_server(&env.dsn()), Clock::system()).unwrap();
        let pair = Self { env, other };
        pair.until("both know of each other and have half of the outbox", || {
            pair.both().iter().all(|store| store.group.others() == 1 && store.group.slots() == SLOTS / 2)
        })
        .await;
        pair
    }

    fn both(&self) -> [&Store; 2] {
        [&self.env.store, &self.other]
    }

    /// What `sql` answers in the database.
    fn ask(&self, sql: &str) -> String {
        server().ask(&name(&self.env.dsn()), sql)
    }

    async fn until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_so() {
            let owners = self.env.store.group.owners().await;
            assert!(Instant::now() < deadline, "{what}: {owners:?}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// What a process does that finds the other one dead.
    fn end_the_other(&self) {
        self.ask(&format!("UPDATE owners SET ended_at = now() WHERE id = {}", self.other.instances.epoch()));
    }
}

async fn found(pair: &Pair) -> Vec<OutboxRow> {
    let mut all = Vec::new();
    for store in pair.both() {
        all.extend(store.messages.unpublished(0, usize::MAX).await.unwrap());
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_share_a_database_are_listed_and_leave() {
    let pair = Pair::new().await;
    let owners = pair.env.store.group.owners().await.unwrap();
    assert_eq!(owners.iter().map(|owner| owner.id).collect::<Vec<_>>(), pair.both().map(|store| store.instances.epoch()));
    assert!(owners.iter().all(|owner| owner.pid == u64::from(std::process::id()) && owner.slots == u64::from(SLOTS / 2)), "{owners:?}");
    assert_eq!(pair.both().map(|store| store.group.seat()), [1, 2], "they are on one machine");
    assert!(pair.env.store.operations.keeps_house() && !pair.other.operations.keeps_house(), "one is enough for that");
    pair.env.store.operations.close().await;
    pair.until_alone().await;
    assert!(pair.other.operations.keeps_house(), "the other one does it now");
    let next = open(&on_server(&pair.env.dsn()), Clock::system()).unwrap();
    assert_eq!(next.group.seat(), 1, "it comes in the place of the first");
}

impl Pair {
    /// Waits until the second has everything for itself.
    async fn until_alone(&self) {
        let deadline = Instant::now() + PATIENCE;
        while self.other.group.others() > 0 || self.other.group.slots() < SLOTS {
            assert!(Instant::now() < deadline, "{} others, {} slots", self.other.group.others(), self.other.group.slots());
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_of_another_shop_is_refused() {
    let env = TestEnv::postgres();
    let keeping = |kind: &str| Database { kinds: vec![kind.to_owned()], ..on_server(&env.dsn()) };
    let orders = open(&keeping("orders"), Clock::system()).unwrap();
    match open(&keeping("parcels"), Clock::system()) {
        Err(OpenError::Server(error)) => {
            let text = error.to_string();
            assert!(text.contains("keeps orders and none of parcels") && text.contains("database of its own"), "{text}");
        }
        other => panic!("a refusal was expected, not {other:?}"),
    }
    orders.operations.try_write().await.expect("the first goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_processes_that_claim_each_run_has_one() {
    let pair = Pair::new().await;
    pair.env.store.resources.commit(with_runs((0..300).map(|n| run(&format!("{n:03}"), "payment")))).await.unwrap();
    let claiming = pair.both().map(|store| {
        let store = store.clone();
        async move {
            let mut mine = Vec::new();
            loop {
                let claimed = claim(&store, at(10), 7).await;
                if claimed.is_empty() {
                    return mine;
                }
                assert!(claimed.iter().all(|run| run.owner == Some(store.instances.epoch()) && run.fence == 1));
                mine.extend(claimed.into_iter().map(|run| run.key));
            }
        }
    });
    let claimed: Vec<String> = all_at_once(claiming).await.concat();
    assert_eq!((claimed.len(), claimed.iter().collect::<BTreeSet<_>>().len()), (300, 300));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_process_had_is_taken_over_and_its_answer_counts_nothing() {
    let pair = Pair::new().await;
    let living = &pair.env.store;
    living.resources.commit(with_runs([run("a", "payment")])).await.unwrap();
    let held = claim(&pair.other, at(10), 10).await;
    let mine = StepRun { status: RunStatus::Running, owner: Some(living.instances.epoch()), fence: 1, ..run("mine", "payment") };
    living.resources.commit(with_runs([mine.clone()])).await.unwrap();
    assert_eq!(living.group.take_over(3).await.unwrap().runs, 0, "it lives");
    pair.end_the_other();
    tokio::time::timeout(PATIENCE, living.group.bereaved()).await.expect("its end is seen");
    let late = pair.other.resources.commit(settling(done(&held[0]))).await;
    assert!(matches!(&late, Err(StoreError::Fatal(reason)) if reason.contains("taken over")), "{late:?}");
    let reason = tokio::time::timeout(PATIENCE, pair.other.operations.failed()).await.expect("the process hears of it");
    assert!(reason.contains("another process"), "{reason}");

    let taken = living.group.take_over(3).await.unwrap();
    assert_eq!((taken.runs, taken.parked), (1, vec![]));
    let again = claim(living, at(10), 10).await;
    let expected = StepRun { owner: Some(living.instances.epoch()), fence: held[0].fence + 1, ..held[0].clone() };
    assert_eq!(again, [expected], "and nothing of what the living one has");
    let stale = living.resources.commit(settling(done(&held[0]))).await;
    assert!(matches!(stale, Err(StoreError::Conflict(Conflict::Fence { .. }))), "{stale:?}");
    living.resources.commit(settling(done(&again[0]))).await.unwrap();
    living.resources.commit(settling(done(&mine))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_who_gives_no_sign_of_life_is_taken_for_dead() {
    let env = TestEnv::postgres();
    let epoch = env.store.instances.epoch();
    let (dead, living) = (epoch + 1, epoch + 2);
    // One that was killed, and one whose signs of life come. The clock of the database is set back each time: what it says tells nothing.
    let (of_the_dead, of_the_living) = (elsewhere(dead, "now() + interval '1 hour'"), elsewhere(living, "now() - interval '1 hour'"));
    let database = name(&env.dsn());
    server().ask(&database, &format!("{of_the_dead} {of_the_living} UPDATE process SET epoch = {living}"));
    let stop = Arc::new(AtomicBool::new(false));
    let beating = {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let beat = format!("UPDATE owners SET heartbeat_at = heartbeat_at - interval '1 minute' WHERE id = {living}");
                server().ask(&database, &beat);
                std::thread::sleep(Duration::from_millis(100));
            }
        })
    };
    env.store.resources.commit(with_runs([held_by(dead, "a"), held_by(living, "b")])).await.unwrap();
    tokio::time::timeout(PATIENCE, env.store.group.bereaved()).await.expect("the dead one is found");
    assert_eq!(env.store.group.take_over(3).await.unwrap().runs, 1);
    let claimed = claim(&env.store, at(10), 10).await;
    assert_eq!(claimed.iter().map(|run| run.resource_id.as_str()).collect::<Vec<_>>(), ["a"]);
    assert_eq!(env.store.group.others(), 1);
    stop.store(true, Ordering::Relaxed);
    beating.join().unwrap();
}

/// Makes a process known to the database that is on another machine and has no session.
fn elsewhere(id: u64, heartbeat: &str) -> String {
    format!(
        "INSERT INTO owners (id, host, pid, backend_pid, started_at, heartbeat_at, transactions)
         VALUES ({id}, 'elsewhere', 1, 0, now(), {heartbeat}, 0);"
    )
}

/// A run that a process has claimed.
fn held_by(owner: u64, id: &str) -> StepRun {
    StepRun { status: RunStatus::Running, owner: Some(owner), fence: 1, ..run(id, "payment") }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newcomer_ends_only_who_is_surely_dead() {
    let env = TestEnv::postgres();
    let (epoch, database) = (env.store.instances.epoch(), name(&env.dsn()));
    let mut program = std::process::Command::new("true").spawn().unwrap();
    let pid = program.id();
    program.wait().unwrap();
    // After an outage of the server nobody has a session, and no sign of life is young.
    let [here, namesake, far] = [1, 2, 3].map(|n| epoch + n);
    let like_mine = |id: u64, host: &str| {
        format!(
            "INSERT INTO owners (id, host, pid, backend_pid, started_at, heartbeat_at, transactions)
             SELECT {id}, {host}, {pid}, 0, now(), now() - interval '1 hour', 0 FROM owners WHERE id = {epoch};"
        )
    };
    let joined = [
        like_mine(here, "host"),
        like_mine(namesake, "split_part(host, ' ', 1) || ' another-boot pid:[1]'"),
        elsewhere(far, "now() - interval '1 hour'"),
        format!("UPDATE process SET epoch = {far}"),
    ];
    server().ask(&database, &joined.concat());
    let newcomer = open(&on_server(&env.dsn()), Clock::system()).unwrap();
    let ended = server().ask(&database, "SELECT string_agg(id::text, ' ' ORDER BY id) FROM owners WHERE ended_at IS NOT NULL");
    assert_eq!(ended, here.to_string(), "of the others nobody knows whether they live");

    let deadline = Instant::now() + PATIENCE;
    let living = [epoch, newcomer.instances.epoch()];
    loop {
        let owners = newcomer.group.owners().await.unwrap();
        assert!(owners.iter().all(|owner| !owner.host.contains(' ')), "people know a machine by its name: {owners:?}");
        if owners.iter().map(|owner| owner.id).eq(living) {
            break;
        }
        assert!(Instant::now() < deadline, "who gives no sign of life for long is dead: {owners:?}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_one_that_ends_while_another_is_taken_over_nothing_is_lost() {
    let pair = Pair::new().await;
    let (living, other) = (&pair.env.store, pair.other.instances.epoch());
    let gone = other + 1;
    living.resources.commit(with_runs([held_by(gone, "a"), held_by(other, "b")])).await.unwrap();
    let (joined, ended) = (elsewhere(gone, "now()"), format!("UPDATE owners SET ended_at = now() WHERE id = {gone}"));
    pair.ask(&format!("{joined} {ended}; UPDATE process SET epoch = {gone}"));
    // The run of the one that is gone is locked until the other one has ended.
    let database = name(&pair.env.dsn());
    let lock = format!(
        "DO $$ BEGIN
             PERFORM 1 FROM step_runs WHERE resource_id = 'a' FOR UPDATE;
             WHILE EXISTS (SELECT 1 FROM owners WHERE id = {other} AND ended_at IS NULL) LOOP PERFORM pg_sleep(0.02); END LOOP;
         END $$"
    );
    let locking = std::thread::spawn(move || server().ask(&database, &lock));
    let count = |which: &str| pair.ask(&format!("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND {which}"));
    pair.until("the run is locked", || count("wait_event = 'PgSleep'") == "1").await;
    let taking = {
        let group = Arc::clone(&living.group);
        tokio::spawn(async move { group.take_over(3).await })
    };
    pair.until("it is waited for", || count("wait_event_type = 'Lock' AND query LIKE 'UPDATE step_runs%'") == "1").await;
    pair.end_the_other();
    assert_eq!(taking.await.unwrap().unwrap().runs, 1);
    locking.join().unwrap();
    let is_marked = || pair.ask(&format!("SELECT taken_over FROM owners WHERE id = {other}"));
    assert_eq!(is_marked(), "f", "nobody has taken over from the one that ended meanwhile");
    assert_eq!(living.group.take_over(3).await.unwrap().runs, 1);
    assert_eq!(is_marked(), "t");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_death_counts_wherever_the_run_is_by_the_time_it_is_told() {
    let pair = Pair::new().await;
    let [first, other] = pair.both();
    first.resources.commit(with_runs([run("a", "payment")])).await.unwrap();
    let crashed = [run("a", "payment").key];
    // It is at the other process, which lives, when the next start of the one that died in it tells.
    let held = claim(other, at(10), 10).await;
    assert_eq!(first.instances.recover_runs(&crashed, 3).await.unwrap(), []);
    let again = Settled { status: RunStatus::Ready, ..done(&held[0]) };
    other.resources.commit(settling(again)).await.unwrap();
    assert_eq!(first.instances.recover_runs(&crashed, 3).await.unwrap(), []);
    let parked = first.instances.recover_runs(&crashed, 3).await.unwrap();
    assert_eq!(parked.iter().map(|run| (run.crashes, run.status)).collect::<Vec<_>>(), [(3, RunStatus::Quarantined)]);
    assert!(claim(other, at(10), 10).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_a_key_are_one_processs_to_publish_and_those_of_one_that_has_left_are_the_others() {
    let pair = Pair::new().await;
    let committing = (0..40).map(|n| {
        let stores = pair.both().map(Store::clone);
        async move {
            let id = format!("order-{n}");
            let mut resource = instance(&id);
            stores[n % 2].resources.commit(Commit { outbox: vec![event(&id, 0)], ..create(resource.clone()) }).await.unwrap();
            for seq in 1..5_u64 {
                resource = moved(&resource, "paying");
                let store = &stores[(n + usize::try_from(seq).unwrap()) % 2];
                store.resources.commit(Commit { outbox: vec![event(&id, seq)], ..change(resource.clone()) }).await.unwrap();
            }
        }
    });
    // Whoever reads sees no event before one that has a lower position: there is no gap that is filled later.
    let (stop, database) = (Arc::new(AtomicBool::new(false)), name(&pair.env.dsn()));
    let watching = {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || {
            // Once at least, however late it begins.
            loop {
                let seen = server().ask(&database, "SELECT coalesce(max(position), 0) = count(*) FROM outbox");
                assert_eq!(seen, "t");
                if stop.load(Ordering::Relaxed) {
                    return;
                }
            }
        })
    };
    all_at_once(committing).await;
    stop.store(true, Ordering::Relaxed);
    watching.join().unwrap();

    let mut by_key: BTreeMap<String, (BTreeSet<usize>, Vec<u64>)> = BTreeMap::new();
    for (index, store) in pair.both().into_iter().enumerate() {
        for row in store.messages.unpublished(0, usize::MAX).await.unwrap() {
            let (stores, seqs) = by_key.entry(row.key).or_default();
            stores.insert(index);
            seqs.push(row.seq);
        }
    }
    assert_eq!(by_key.len(), 40);
    for (key, (stores, seqs)) in &by_key {
        assert_eq!((stores.len(), seqs.as_slice()), (1, &[0, 1, 2, 3, 4][..]), "{key}");
    }
    let at_both: BTreeSet<_> = by_key.values().flat_map(|(stores, _)| stores).collect();
    assert_eq!(at_both.len(), 2, "both have something to do");

    pair.env.store.operations.close().await;
    pair.until_alone().await;
    assert_eq!(pair.other.messages.unpublished(0, usize::MAX).await.unwrap().len(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_publishes_the_other_does_not() {
    let pair = Pair::new().await;
    let events = Commit { outbox: (0..50).map(|n| event(&format!("key-{n}"), 1)).collect(), ..Commit::default() };
    pair.env.store.resources.commit(events).await.unwrap();
    assert_eq!(found(&pair).await.len(), 50);
    for store in pair.both() {
        let rows = store.messages.unpublished(0, usize::MAX).await.unwrap();
        store.messages.mark_published(&rows.iter().map(|row| row.position).collect::<Vec<_>>()).await.unwrap();
    }
    assert_eq!(found(&pair).await, []);
    assert_eq!(pair.other.messages.unpublished_count().await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn timers_are_shared_and_none_is_left_out() {
    let pair = Pair::new().await;
    for n in 0..20 {
        let id = n.to_string();
        let commit = Commit { timers: vec![timer(&id, "expire", 1, 5)], ..create(instance(&id)) };
        pair.env.store.resources.commit(commit).await.unwrap();
    }
    let mut due = Vec::new();
    for store in pair.both() {
        let mine = store.instances.due_timers(at(10), 100).await.unwrap();
        assert_eq!(mine.len(), 10);
        assert_eq!(store.instances.next_timer_due().await.unwrap(), Some(at(5)));
        due.extend(mine.into_iter().map(|timer| timer.resource_id));
    }
    assert_eq!(due.into_iter().collect::<BTreeSet<_>>().len(), 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_in_two_processes_that_want_the_same_one_gets_it() {
    let pair = Pair::new().await;
    pair.env.store.resources.commit(create(product("1"))).await.unwrap();
    let changes = (0..40).map(|n| {
        let store = pair.both()[n % 2].clone();
        async move { store.resources.commit(change(moved(&product("1"), &format!("state-{n}")))).await.is_ok() }
    });
    assert_eq!(all_at_once(changes).await.into_iter().filter(|won| *won).count(), 1);
    let requests = (0..40).map(|n| {
        let store = pair.both()[n % 2].clone();
        async move {
            let id = format!("made-{n}");
            let row = IdempotencyRow { user: "ada".into(), key: "once".into(), request_hash: "same".into(), resource_id: id.clone() };
            match store.resources.commit(Commit { idempotency: Some(row), ..create(product(&id)) }).await {
                Ok(_) => id,
                Err(StoreError::Conflict(Conflict::Idempotency(row))) => row.resource_id,
                Err(other) => panic!("{other}"),
            }
        }
    });
    let answered: BTreeSet<String> = all_at_once(requests).await.into_iter().collect();
    assert_eq!(answered.len(), 1, "all are answered the same");
    let listing = Listing { kind: "products".into(), by_id: true, limit: usize::MAX, ..Listing::default() };
    assert_eq!(pair.other.resources.resources(&listing).await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_hears_what_the_other_one_moves() {
    let pair = Pair::new().await;
    let hearing = {
        let group = Arc::clone(&pair.other.group);
        tokio::spawn(async move {
            loop {
                match group.heard().await {
                    Heard::Moved(moved) if moved.contains(&("orders".to_owned(), "last".to_owned())) => return,
                    Heard::Moved(_) | Heard::Anything => {}
                }
            }
        })
    };
    // It may not listen yet: the last one that is moved is moved again and again.
    let mut resource = instance("last");
    pair.env.store.resources.commit(create(resource.clone())).await.unwrap();
    let deadline = Instant::now() + PATIENCE;
    while !hearing.is_finished() {
        assert!(Instant::now() < deadline, "nothing is heard");
        resource = moved(&resource, "paying");
        pair.env.store.resources.commit(change(resource.clone())).await.unwrap();
        tokio::time::sleep(LOOK_EVERY).await;
    }
    hearing.await.unwrap();
}

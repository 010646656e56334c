//! Whatever is asked of them in whatever sequence, the two back ends answer the same.

use std::collections::BTreeSet;

use millrace::store::{
    Commit, Guard, IdempotencyRow, InboxRow, Listing, MoveBy, NewMove, Prunable, ReservationStatus, RunStatus, Settled, StepRun, StockMove,
    User,
};
use proptest::prelude::*;

use crate::test_env::{
    TestEnv, at, claim, create, deed, event, first_stocked, history_row, instance, line, moved, product, run, stocked, timer,
};

/// One thing to ask; numbers are small so that they meet.
#[derive(Debug, Clone)]
enum Ask {
    Commit(Parts),
    Claim { now: u8, limit: u8 },
    Settle { id: u8, name: u8, fence: u8, status: u8 },
    Recover { crashed: u8, park_after: u8 },
    Unpark { name: u8 },
    DropTimer { id: u8, version: u8 },
    Mark { positions: Vec<u8> },
    Republish,
    Prune,
    Archive { most: u8 },
    PassAnHour,
    Delete { id: u8, version: u8 },
    SetStock { sku: u8, on_hand: u8 },
    Move { sku: u8, delta: i8, counted: bool },
    PutBack { key: u8, quantity: u8 },
    Reserve { key: u8, lines: Vec<(u8, u8)> },
    End { key: u8, sold: bool },
    AddUser { id: u8, email: u8 },
    UpdateUser { id: u8, email: Option<u8> },
    SetRoles { id: u8, roles: Vec<bool> },
    Reopen,
}

/// A commit of any shape.
#[derive(Debug, Clone)]
struct Parts {
    id: u8,
    guard: Option<u8>,
    plain: bool,
    finished: bool,
    attention: bool,
    history: Option<u8>,
    events: u8,
    run: Option<(u8, u8)>,
    settled: Option<(u8, u8)>,
    timer: Option<u8>,
    inbox: Option<u8>,
    idempotency: Option<u8>,
    stock: Option<(bool, u8)>,
}

fn parts() -> impl Strategy<Value = Parts> {
    use proptest::option::of;
    let resource = (0..4u8, of(1..4u8), any::<bool>(), any::<bool>(), any::<bool>(), of(1..5u8));
    let rest = (0..3u8, of((0..3u8, 0..3u8)), of((0..3u8, 0..3u8)), of(0..9u8), of(0..20u8), of(0..20u8), of((any::<bool>(), 0..9u8)));
    (resource, rest).prop_map(|((id, guard, plain, finished, attention, history), rest)| {
        let (events, run, settled, timer, inbox, idempotency, stock) = rest;
        Parts { id, guard, plain, finished, attention, history, events, run, settled, timer, inbox, idempotency, stock }
    })
}

fn ask() -> impl Strategy<Value = Ask> {
    use proptest::collection::vec;
    prop_oneof![
        8 => parts().prop_map(Ask::Commit),
        3 => (0..9u8, 1..4u8).prop_map(|(now, limit)| Ask::Claim { now, limit }),
        3 => (0..4u8, 0..3u8, 0..4u8, 0..4u8).prop_map(|(id, name, fence, status)| Ask::Settle { id, name, fence, status }),
        1 => (0..4u8, 1..3u8).prop_map(|(crashed, park_after)| Ask::Recover { crashed, park_after }),
        1 => (0..3u8).prop_map(|name| Ask::Unpark { name }),
        1 => (0..4u8, 0..4u8).prop_map(|(id, version)| Ask::DropTimer { id, version }),
        2 => vec(0..20u8, 0..6).prop_map(|positions| Ask::Mark { positions }),
        1 => Just(Ask::Republish),
        1 => Just(Ask::Prune),
        2 => (1..4u8).prop_map(|most| Ask::Archive { most }),
        1 => Just(Ask::PassAnHour),
        1 => (0..4u8, 0..4u8).prop_map(|(id, version)| Ask::Delete { id, version }),
        2 => (0..3u8, 0..20u8).prop_map(|(sku, on_hand)| Ask::SetStock { sku, on_hand }),
        2 => (0..4u8, -9..20i8, any::<bool>()).prop_map(|(sku, delta, counted)| Ask::Move { sku, delta, counted }),
        1 => (0..4u8, 1..4u8).prop_map(|(key, quantity)| Ask::PutBack { key, quantity }),
        3 => (0..6u8, vec((0..3u8, 1..5u8), 0..3)).prop_map(|(key, lines)| Ask::Reserve { key, lines }),
        2 => (0..6u8, any::<bool>()).prop_map(|(key, sold)| Ask::End { key, sold }),
        1 => (0..4u8, 0..4u8).prop_map(|(id, email)| Ask::AddUser { id, email }),
        1 => (0..4u8, proptest::option::of(0..4u8)).prop_map(|(id, email)| Ask::UpdateUser { id, email }),
        1 => (0..4u8, vec(any::<bool>(), 0..3)).prop_map(|(id, roles)| Ask::SetRoles { id, roles }),
        1 => Just(Ask::Reopen),
    ]
}

const NAMES: [&str; 3] = ["inventory", "payment", "shipping"];

fn named(id: u8, name: u8, epoch: u64, status: RunStatus) -> StepRun {
    let run = run(&id.to_string(), NAMES[usize::from(name)]);
    let (owner, fence) = if status == RunStatus::Running { (Some(epoch), 1) } else { (None, 0) };
    StepRun { status, owner, fence, due_at: at(i64::from(id)), ..run }
}

fn settled(id: u8, name: u8, fence: u8, status: u8) -> Settled {
    let status = [RunStatus::Done, RunStatus::Ready, RunStatus::Quarantined, RunStatus::Done][usize::from(status)];
    let error = fence.is_multiple_of(2).then(|| format!("failure {fence}"));
    let key = named(id, name, 0, status).key;
    Settled { key, fence: fence.into(), status, attempt: fence.into(), due_at: at(i64::from(fence)), error }
}

impl Parts {
    fn commit(&self, epoch: u64) -> Commit {
        let id = self.id.to_string();
        let mut resource = if self.plain { product(&id) } else { instance(&id) };
        if let Some(version) = self.guard {
            resource.version = version.into();
            resource = moved(&resource, "moved");
        }
        if let Some(progress) = &mut resource.workflow {
            progress.finished = self.finished;
            progress.attention = self.attention.then(|| "look".to_owned());
        }
        let number = |n: u8| n.to_string();
        Commit {
            audit: self.attention.then(|| deed("change", &id)).into_iter().collect(),
            history: self.history.map(|seq| history_row(seq.into())).into_iter().collect(),
            outbox: (0..self.events).map(|seq| event(&id, seq.into())).collect(),
            runs: self.run.map(|(name, status)| self.run(name, status, epoch)).into_iter().collect(),
            settled: self.settled.map(|(name, fence)| settled(self.id, name, fence, 0)),
            timers: self.timer.map(|due| timer(&id, "expire", due.into(), due.into())).into_iter().collect(),
            inbox: self.inbox.map(|n| InboxRow { consumer: "c".into(), event_id: number(n) }),
            stock: self
                .stock
                .and_then(|(first, on_hand)| if first { first_stocked(&id, on_hand.into()) } else { stocked(&id, on_hand.into()) }.stock),
            idempotency: self.idempotency.map(|n| IdempotencyRow {
                user: "u".into(),
                key: number(n),
                request_hash: "h".into(),
                resource_id: id.clone(),
            }),
            ..match self.guard {
                Some(version) => Commit { change: Some((Guard::Version(version.into()), resource)), ..Commit::default() },
                None => create(resource),
            }
        }
    }

    fn run(&self, name: u8, status: u8, epoch: u64) -> StepRun {
        let status = [RunStatus::Ready, RunStatus::Running, RunStatus::Quarantined][usize::from(status)];
        named(self.id, name, epoch, status)
    }
}

/// Asks, and writes the answer down.
async fn answer(env: &mut TestEnv, ask: &Ask) -> String {
    let store = &env.store;
    match ask {
        Ask::Commit(parts) => format!("{:?}", store.resources.commit(parts.commit(store.instances.epoch())).await),
        Ask::Claim { now, limit } => format!("{:?}", claim(store, at(i64::from(*now)), usize::from(*limit)).await),
        Ask::Settle { id, name, fence, status } => {
            let commit = Commit { settled: Some(settled(*id, *name, *fence, *status)), ..Commit::default() };
            format!("{:?}", store.resources.commit(commit).await)
        }
        Ask::Recover { crashed, park_after } => {
            let crashed = NAMES.map(|name| run(&crashed.to_string(), name).key);
            format!("{:?}", store.instances.recover_runs(&crashed, u32::from(*park_after)).await)
        }
        Ask::Unpark { name } => {
            format!("{:?}", store.instances.release_quarantined(&format!("{}-component", NAMES[usize::from(*name)])).await)
        }
        Ask::DropTimer { id, version } => {
            format!("{:?}", store.instances.drop_timer(&timer(&id.to_string(), "expire", (*version).into(), 0)).await)
        }
        Ask::Mark { positions } => {
            let positions: Vec<u64> = positions.iter().map(|position| u64::from(*position)).collect();
            format!("{:?}", store.messages.mark_published(&positions).await)
        }
        Ask::Republish => format!("{:?}", store.messages.republish(env.half_an_hour_ago()).await),
        Ask::Prune => {
            let mut said = Vec::new();
            for what in Prunable::ALL {
                said.push(format!("{:?}", store.operations.prune(what, env.half_an_hour_ago()).await));
            }
            said.concat()
        }
        Ask::Archive { most } => {
            let old = store.operations.finished("orders", env.half_an_hour_ago(), None, usize::from(*most)).await.unwrap();
            let named: Vec<_> = old.iter().map(|resource| (resource.id.clone(), resource.version)).collect();
            format!("{old:?} {:?}", store.operations.forget_finished("orders", &named).await)
        }
        Ask::Delete { id, version } => {
            let guard = if *version == 0 { Guard::Absent } else { Guard::Version((*version).into()) };
            format!(
                "{:?}",
                store.resources.delete_resource("products", &id.to_string(), guard, Some(deed("delete", &id.to_string()))).await
            )
        }
        Ask::SetStock { sku, on_hand } => format!("{:?}", store.resources.commit(stocked(&sku.to_string(), (*on_hand).into())).await),
        Ask::Move { sku, delta, counted } => {
            let by = if *counted {
                MoveBy::Counted { units: u64::from(delta.unsigned_abs()), expected: 3 }
            } else {
                MoveBy::Delta((*delta).into())
            };
            let (sku, reason, actor) = (sku.to_string(), "counted".to_owned(), "ada".to_owned());
            let moved = store.stock.move_stock(NewMove { sku, by, reason, note: None, actor, request: None, audit: None }).await;
            format!("{:?}", moved.map(|made| StockMove { at: at(0), ..made }))
        }
        Ask::PutBack { key, quantity } => format!("{:?}", store.stock.put_back(&key.to_string(), &[line("1", (*quantity).into())]).await),
        Ask::Reserve { key, lines } => {
            let lines: Vec<_> = lines.iter().map(|(sku, quantity)| line(&sku.to_string(), (*quantity).into())).collect();
            format!("{:?}", store.stock.reserve(&key.to_string(), &lines).await)
        }
        Ask::End { key, sold } => {
            let end = if *sold { ReservationStatus::Sold } else { ReservationStatus::Released };
            format!("{:?}", store.stock.end_reservation(&key.to_string(), end).await)
        }
        Ask::AddUser { id, email } => {
            let email = format!("{email}@example.com");
            let user =
                User { id: id.to_string(), name: "n".into(), email, password_hash: "p".into(), created_at: at(0), ..User::default() };
            format!("{:?}", store.users.add_user(user).await)
        }
        Ask::UpdateUser { id, email } => {
            let email = email.map(|email| format!("{email}@EXAMPLE.com"));
            format!("{:?}", store.users.update_user(&id.to_string(), Some("m"), email.as_deref()).await)
        }
        Ask::SetRoles { id, roles } => {
            format!("{:?}", store.users.set_roles(&id.to_string(), &names(roles), Some(deed("roles", &id.to_string()))).await)
        }
        Ask::PassAnHour => {
            env.pass_an_hour();
            String::new()
        }
        Ask::Reopen => {
            env.reopen().await;
            String::new()
        }
    }
}

fn names(roles: &[bool]) -> BTreeSet<String> {
    roles.iter().map(|support| if *support { "support".to_owned() } else { "finance".to_owned() }).collect()
}

/// Everything that can be read.
async fn everything(env: &TestEnv) -> Vec<String> {
    let store = &env.store;
    let mut seen = Vec::new();
    for kind in ["orders", "products"] {
        let listing = Listing { kind: kind.into(), limit: 100, ..Listing::default() };
        seen.push(format!("{:?}", store.resources.resources(&listing).await));
        for id in 0..4 {
            let id = id.to_string();
            seen.push(format!("{:?}", store.resources.history(kind, &id, 0, 100).await));
            seen.push(format!("{:?}", store.resources.history_before(kind, &id, 3, 2).await));
            seen.push(format!("{:?}", store.instances.timers(kind, &id).await));
            seen.push(format!("{:?}", store.instances.runs(kind, &id).await));
        }
    }
    for n in 0..20 {
        seen.push(format!("{:?}", store.resources.idempotency("u", &n.to_string()).await));
        seen.push(format!("{:?}", store.users.user(&n.to_string()).await));
    }
    seen.push(format!("{:?}", store.instances.due_timers(at(1_000), 100).await));
    seen.push(format!("{:?}", (store.instances.next_timer_due().await, store.instances.lines().await, store.instances.claimed().await)));
    seen.push(format!("{:?}", store.messages.unpublished(0, 1_000).await));
    let levels = store.stock.stock().await.unwrap();
    for sku in 0..6 {
        // The two were not written at the very same moment.
        let moves = store.stock.stock_moves(&sku.to_string(), u64::MAX, 1_000).await.unwrap();
        let moves: Vec<StockMove> = moves.into_iter().map(|made| StockMove { at: at(0), ..made }).collect();
        let on_hand = levels.iter().find(|level| level.sku == sku.to_string()).map_or(0, |level| level.on_hand);
        assert_eq!(moves.iter().map(|made| made.delta).sum::<i64>(), on_hand.cast_signed(), "the moves of {sku} are its stock");
        seen.push(format!("{moves:?} {:?}", store.stock.reserved_by(&sku.to_string(), 10).await));
    }
    seen.push(format!("{levels:?}"));
    seen.push(format!("{:?}", store.audit.audited_after(0, 1_000).await));
    // The two were not written at the very same moment.
    let backlog = store.operations.backlog().await.map(|mut backlog| {
        let oldest: Vec<String> = backlog.oldest_active.drain(..).map(|(workflow, _)| workflow).collect();
        (backlog.oldest_outbox.take().is_some(), oldest, backlog)
    });
    seen.push(format!("{backlog:?}"));
    seen
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_back_ends_agree(asks in proptest::collection::vec(ask(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (mut sqlite, mut memory) = (TestEnv::sqlite(), TestEnv::memory());
            // The same epochs, so that answers can be compared as they are.
            sqlite.reopen().await;
            for ask in &asks {
                assert_eq!(answer(&mut sqlite, ask).await, answer(&mut memory, ask).await, "{ask:?}");
            }
            assert_eq!(everything(&sqlite).await, everything(&memory).await);
            let levels = sqlite.store.stock.stock().await.unwrap();
            assert!(levels.iter().all(|level| level.reserved <= level.on_hand), "{levels:?}");
            sqlite.store.operations.close().await;
        });
    }
}

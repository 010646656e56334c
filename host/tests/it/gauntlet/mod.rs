//! All that a hostile component may try, in a shop that sells meanwhile: nothing gets out, the process goes on, its orders are delivered
//! about as fast as before, and its memory comes back.

mod attacks;
mod bench;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;

use self::attacks::{Attack, End, Kind, Means};
use self::bench::{Bench, Sort, Trial};
use crate::client::Client;
use crate::conditions::long;
use crate::process::{Home, Process};
use crate::swaps::seed_with_plenty;

/// Parts that the attacks are tried in; before each of them, and after the last one, the shop has its peace.
const PARTS: usize = 5;
/// After so many parts a process has all that it makes once for components and orders, which it keeps: its memory is compared with that of then.
const WARM_PARTS: usize = 2;
/// How often all is tried in the long form.
const LONG_ROUNDS: usize = 10;
/// Orders that are measured in a time of peace, at least.
const CALM_ORDERS: usize = 60;
/// Customers who order all the time, one order after the other.
const CUSTOMERS: usize = 2;
/// How long the memory may take to come back.
const GIVEN_BACK: Duration = Duration::from_secs(60);
/// What a busy machine adds to an order now and then, whatever runs beside it.
const NOISE: Duration = Duration::from_millis(40);
/// In the environment of the process, where no component is to find it.
const TREASURE: &str = "a treasure that no component finds";

#[test]
fn the_page_has_each_attack_with_what_it_gets() {
    let page = include_str!("../../../../docs/sandbox.md");
    let table: Vec<&str> = page
        .lines()
        .skip_while(|line| !line.starts_with("| kind | what is tried |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .collect();
    let rows = attacks::rows();
    assert!(rows.len() >= 60, "{}", rows.len());
    assert!(table == rows, "the table of docs/sandbox.md is to be:\n{}", rows.join("\n"));
}

/// Times of orders, by the part that they were placed and delivered in; even ones are times of peace.
struct Shop<'a> {
    customer: &'a Client,
    part: AtomicUsize,
    is_open: AtomicBool,
    /// Orders of the part that goes on.
    done: AtomicUsize,
}

impl Shop<'_> {
    /// Orders, one after the other, until the shop closes.
    async fn visit(&self) -> Vec<(usize, Duration)> {
        let mut times = Vec::new();
        while self.is_open.load(Ordering::Relaxed) {
            let part = self.part.load(Ordering::Relaxed);
            let delivered = self.customer.order_until("plenty", 1, "tok_visa", &["delivered", "failed", "cancelled"]).await;
            assert_eq!(delivered["state"], "delivered", "{delivered:#}");
            if self.part.load(Ordering::Relaxed) == part {
                times.push((part, took(&delivered)));
                self.done.fetch_add(1, Ordering::Relaxed);
            }
        }
        times
    }

    async fn peace(&self) {
        self.next();
        let deadline = Instant::now() + GIVEN_BACK * 3;
        while self.done.load(Ordering::Relaxed) < CALM_ORDERS {
            assert!(Instant::now() < deadline, "{} of {CALM_ORDERS} orders are delivered", self.done.load(Ordering::Relaxed));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn next(&self) {
        self.done.store(0, Ordering::Relaxed);
        self.part.fetch_add(1, Ordering::Relaxed);
    }
}

/// From its creation to its last transition, by the server's clock.
fn took(order: &Value) -> Duration {
    let at = |value: &Value| value.as_str().unwrap().parse::<Timestamp>().unwrap();
    at(&order["history"].as_array().unwrap().last().unwrap()["at"]).duration_since(at(&order["createdAt"])).unsigned_abs()
}

/// The time that 99 of 100 stay under.
fn p99(mut times: Vec<Duration>) -> Duration {
    assert!(!times.is_empty(), "no order was delivered in a part");
    times.sort_unstable();
    times[(times.len() - 1) * 99 / 100]
}

/// How many times as long orders took in the parts with attacks as in those of peace around them, by their p99: the middle one of all parts,
/// so that what else the machine did in one of them decides nothing.
fn slowdown(times: &[(usize, Duration)], parts: usize) -> (f64, String) {
    let of = |wanted: usize| p99(times.iter().filter(|(part, _)| *part == wanted).map(|(_, took)| *took).collect());
    let mut ratios: Vec<(f64, Duration, Duration)> = (0..parts)
        .map(|part| {
            let (before, beside, after) = (of(2 * part), of(2 * part + 1), of(2 * part + 2));
            let calm = before.max(after).max(NOISE);
            (beside.as_secs_f64() / calm.as_secs_f64(), calm, beside)
        })
        .collect();
    ratios.sort_by(|one, other| one.0.total_cmp(&other.0));
    (ratios[ratios.len() / 2].0, format!("{ratios:.2?}"))
}

/// Bytes of a process that are in memory.
fn memory(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

async fn comes_back(process: &Process, before: u64) -> u64 {
    let deadline = Instant::now() + GIVEN_BACK;
    loop {
        let now = memory(process);
        if now <= before + before / 10 {
            return now;
        }
        assert!(Instant::now() < deadline, "{before} bytes of memory before the attacks, and {now} bytes {GIVEN_BACK:?} after them");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Each bench with what is tried on it.
fn benches(home: &Home) -> Vec<(Bench, Vec<Attack>)> {
    let bench = |name: &str, sort, attacks| (Bench::new(home, name, sort), attacks);
    let of = |kinds: Vec<Kind>| kinds.into_iter().flat_map(|kind| kind.attacks).collect::<Vec<_>>();
    vec![
        bench("trapping", Sort::Tiny, of(vec![attacks::traps(), attacks::memory()])),
        bench("lying", Sort::Tiny, of(vec![attacks::lies(), attacks::bombs()])),
        bench("filing", Sort::Tiny, of(vec![attacks::no_steps()])),
        bench("asked", Sort::Program, of(vec![attacks::programs()])),
        bench("spinning", Sort::HastyTiny, of(vec![attacks::time()])),
        bench("sleeping", Sort::HastyProgram, of(vec![attacks::time_asked()])),
    ]
}

/// What of a bench is tried in a part: a share of it; of what takes time, all of it in each.
async fn tried(trial: &Trial<'_>, bench: &Bench, attacks: &[Attack], (round, part): (usize, usize)) {
    let is_hasty = attacks.len() <= PARTS;
    let share = attacks.len().div_ceil(PARTS);
    let chosen = if is_hasty { attacks } else { attacks.chunks(share).nth(part).unwrap_or_default() };
    let mut is_good = true;
    for attack in chosen {
        if !is_good && matches!(attack.end, End::Refused(_)) {
            // Whoever is refused finds a good version that serves.
            trial.goes_on(bench, attack.what).await;
        }
        if matches!(attack.by, Means::Jobs(_, 2..)) {
            trial.works(bench).await;
        }
        trial.try_out(bench, attack).await;
        is_good = !matches!((&attack.by, &attack.end), (Means::File(_), End::Fails(_)));
        if matches!((&attack.by, &attack.end), (Means::Jobs(..), End::Fails(_))) && !is_hasty {
            trial.works(bench).await;
        }
    }
    trial.goes_on(bench, &format!("round {round}, part {part}")).await;
    if part == 0 && !is_hasty {
        trial.replaced_all_the_time(bench).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_components_harm_neither_the_process_nor_what_else_it_does() {
    let home = Home::new();
    let benches = benches(&home);
    let config = bench::shop(home.path(), &benches.iter().map(|(bench, _)| bench).collect::<Vec<_>>());
    let seed = seed_with_plenty();
    let variables = [("PRODUCTS_SEED", seed.path().to_str().unwrap()), ("TREASURE", TREASURE), ("MAX_CONCURRENT_RUNS", "32")];
    let process = home.start_config(&config, &variables).await;
    let (customer, mallory) = (process.client.customer("ada").await, process.client.customer("mallory").await);
    let trial = Trial { process: &process, customer: &mallory };
    // What all later ones use as well is there from now on.
    for (bench, attacks) in &benches {
        trial.try_out(bench, &attacks[0]).await;
        trial.goes_on(bench, "warm").await;
    }

    let shop = Shop { customer: &customer, part: AtomicUsize::new(usize::MAX), is_open: AtomicBool::new(true), done: AtomicUsize::new(0) };
    let rounds = if long() { LONG_ROUNDS } else { 1 };
    let attacked = async {
        shop.peace().await;
        let mut before = memory(&process);
        for round in 0..rounds {
            for part in 0..PARTS {
                shop.next();
                futures::future::join_all(benches.iter().map(|(bench, attacks)| tried(&trial, bench, attacks, (round, part)))).await;
                shop.peace().await;
                if round == 0 && part < WARM_PARTS {
                    before = memory(&process);
                }
            }
            let now = comes_back(&process, before).await;
            eprintln!("round {} of {rounds}: {before} bytes of memory before, {now} after", round + 1);
        }
        shop.is_open.store(false, Ordering::Relaxed);
        (before, memory(&process))
    };
    let visits = futures::future::join_all((0..CUSTOMERS).map(|_| shop.visit()));
    let ((before, after), times) = tokio::join!(attacked, visits);
    let times: Vec<_> = times.into_iter().flatten().collect();
    let (slowdown, parts) = slowdown(&times, rounds * PARTS);
    eprintln!(
        "{} orders; p99 {slowdown:.2} times as long beside the attacks: {parts}; {before} bytes of memory before, {after} after",
        times.len()
    );
    assert!(slowdown < 2.0, "orders took {slowdown:.2} times as long beside the attacks: {parts}");
    bench::ready(&process.client).await;
    nothing_got_out(&home, &process);
}

/// No log line has what is in the environment of the process, and beside its data nothing was made.
fn nothing_got_out(home: &Home, process: &Process) {
    let log = process.log();
    let told: Vec<String> = log.lock().iter().filter(|line| line.contains(TREASURE)).cloned().collect();
    assert!(told.is_empty(), "{told:?}");
    let mut there: Vec<_> = std::fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    there.sort();
    assert_eq!(there, ["changed.yaml", "components", "data"]);
    for place in ["/tmp/hostile", "hostile"] {
        assert!(!Path::new(place).is_file(), "{place} was written");
    }
    assert!(log.lock().iter().all(|line| !line.contains("panicked at host/")), "the host has panicked");
}

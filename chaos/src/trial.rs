//! One run, from its seed to its verdict.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::bank::Posting;
use crate::checker::database::{Database, Unrest};
use crate::checker::{self, Case, Violation};
use crate::customers::{Customer, Market};
use crate::journal::{self, Entry, Journal};
use crate::nemesis::{Crash, Nemesis};
use crate::power::Lost;
use crate::schedule::{Schedule, Shape, Target};
use crate::stack::{Databases, Places, Stack};
use crate::topics::{self, Record};

/// How long nothing may come to its end while something is left to do. A circuit breaker that is open waits half a minute, and may open again.
const STANDSTILL: Duration = Duration::from_secs(120);
/// How long everything may take to come to its end after the last fault. An order is given 30 seconds on a machine of its own; on one that is so
/// busy that steps hardly ever answer in time it takes as long as it takes.
const REST_LIMIT: Duration = Duration::from_secs(900);
/// What the bank does late it has done by then.
const BANK_IS_LATE: Duration = Duration::from_millis(4_500);
/// A run counts if so many of a hundred operations came to what they should.
const COUNTS_FROM: u64 = 90;

/// What a run came to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Figures {
    /// Of its schedule.
    pub seed: u64,
    /// Of its schedule.
    pub shape: Shape,
    /// For each start of a process, how long it took until it was ready, in milliseconds.
    pub ready: Vec<u64>,
    /// For each kill of the process that has the orders, from its being ready again until something went on that was under way, in milliseconds.
    pub resumed: Vec<u64>,
    /// For each kill of one of several processes that share the orders, which stayed away until all that was under way in it was begun elsewhere: how
    /// long that took since the kill, in milliseconds.
    #[serde(default)]
    pub taken_over: Vec<u64>,
    /// How often a process that lived was taken for dead by the others, and ended.
    #[serde(default)]
    pub replaced: u32,
    /// Orders that there are in the end.
    pub orders: u64,
    /// By state, how many of them.
    pub ends: BTreeMap<String, u64>,
    /// How often the program was killed.
    pub kills: u32,
    /// All faults.
    pub faults: usize,
    /// What was lost with the power.
    #[serde(default)]
    pub lost: Lost,
    /// Where the program was to kill itself.
    #[serde(default)]
    pub crashes: Vec<Crash>,
    /// Runs of a step or handler that were begun more often than they were attempted: a process had died in between.
    pub claimed_again: u64,
    /// What customers began.
    pub operations: u64,
    /// What came to what it should.
    pub succeeded: u64,
    /// From the last fault until nothing was left to do, in milliseconds.
    pub rest: u64,
    /// How long it took, in milliseconds.
    pub took: u64,
}

/// A run that has ended.
pub struct Verdict {
    /// What it came to.
    pub figures: Figures,
    /// What does not hold, in the sequence in which to look at it.
    pub violations: Vec<Violation>,
    /// Where everything of it is.
    pub folder: PathBuf,
    /// The databases of it.
    pub databases: Databases,
}

impl Figures {
    /// Whether enough of it succeeded that it says something.
    pub fn count(&self) -> bool {
        self.operations > 0 && self.succeeded * 100 >= self.operations * COUNTS_FROM
    }
}

/// Performs a schedule in `folder`, which is made and must not be there.
pub async fn perform(places: &Places, schedule: &Schedule, folder: &Path) -> anyhow::Result<Verdict> {
    let began = Instant::now();
    fs::create_dir_all(folder.parent().unwrap_or(folder))?;
    fs::create_dir(folder).with_context(|| format!("{} is there already", folder.display()))?;
    fs::write(folder.join("schedule.json"), serde_json::to_vec_pretty(schedule)?)?;
    let journal = Arc::new(Journal::open(&folder.join("journal.jsonl"))?);
    let mut stack = Stack::new(places, schedule.shape, folder, Arc::clone(&journal)).await?;
    if schedule.cuts_power() {
        stack.note_what_is_written(&places.repository, folder)?;
    }
    stack.start().await?;

    let market = Arc::new(Market::new(Arc::clone(&journal)));
    let mut buying = customers(&stack, schedule, &market).await?;
    let mut nemesis = Nemesis::new(stack, Arc::clone(&market), journal);
    nemesis.perform(schedule).await?;
    let quiet = Instant::now();
    while let Some(bought) = buying.join_next().await {
        bought.context("a customer panicked")?;
    }
    if schedule.cuts_power() {
        // Without it a cut is a kill, and says nothing.
        ensure!(nemesis.lost.unsynced > 0, "nothing was noted of what the program writes: was `chaos/power/power.c` before it?");
    }
    let rest = settle(&mut nemesis, quiet).await?;
    let topics = match &nemesis.stack.broker {
        Some(broker) => {
            let address = broker.address().to_owned();
            Some(tokio::task::spawn_blocking(move || topics::read(&address)).await??)
        }
        None => None,
    };
    nemesis.drain(Target::Shop).await?;

    nemesis.stack.databases().write_down().await?;
    let case = case(&nemesis.stack, folder, topics)?;
    let mut violations = checker::check(&case);
    for line in &case.told {
        if let Entry::Copied { file, after } = &line.entry {
            violations.extend(checker::check_copy(Path::new(file), case.told.get(..*after).unwrap_or_default()));
        }
    }
    if schedule.is_of_swaps() && case.database.claimed_again > 0 {
        let why = format!("{} runs were begun again, and nothing has happened but swaps", case.database.claimed_again);
        violations.push(Violation { invariant: "I14".into(), order: None, why });
    }
    let mut ends = BTreeMap::new();
    for order in case.database.orders.values() {
        *ends.entry(order.state.clone()).or_default() += 1;
    }
    let figures = Figures {
        seed: schedule.seed,
        shape: schedule.shape,
        ready: nemesis.ready.iter().copied().map(milliseconds).collect(),
        resumed: nemesis.resumption.measured().into_iter().map(milliseconds).collect(),
        taken_over: nemesis.resumption.taken_over().into_iter().map(milliseconds).collect(),
        replaced: nemesis.replaced,
        orders: case.database.orders.len() as u64,
        ends,
        kills: nemesis.kills,
        faults: schedule.faults.len(),
        lost: nemesis.lost,
        crashes: nemesis.crashes.clone(),
        claimed_again: case.database.claimed_again,
        operations: market.begun.load(Ordering::Relaxed),
        succeeded: market.succeeded.load(Ordering::Relaxed),
        rest: milliseconds(rest),
        took: milliseconds(began.elapsed()),
    };
    Ok(Verdict { figures, violations, folder: folder.to_owned(), databases: nemesis.stack.databases().clone() })
}

async fn customers(stack: &Stack, schedule: &Schedule, market: &Arc<Market>) -> anyhow::Result<JoinSet<()>> {
    let foreign = Arc::default();
    let mut customers = Vec::new();
    for number in 0..schedule.customers {
        customers.push(Customer::register(number, schedule.seed, stack.base(), Arc::clone(market), Arc::clone(&foreign)).await?);
    }
    let mut buying = JoinSet::new();
    for (number, customer) in (0..).zip(customers) {
        match schedule.burst {
            0 => buying.spawn(customer.buy()),
            // The first ones have one more where it does not come out even.
            all => buying.spawn(customer.stock_up(all / schedule.customers + u64::from(number < all % schedule.customers))),
        };
    }
    Ok(buying)
}

/// Makes everything good again and waits until nothing is left to do; how long that took since `quiet`. Giving up is no error: what has not
/// ended is found by the checks.
async fn settle(nemesis: &mut Nemesis, quiet: Instant) -> anyhow::Result<Duration> {
    nemesis.notice_an_end_of_its_own().await?;
    nemesis.stack.heal().await?;
    let began = Instant::now();
    // A run in which the process died three times waits for a person, who is here.
    let databases = nemesis.stack.databases().clone();
    if let Some(server) = &databases.server {
        server.release_runs().await?;
    } else {
        let released = nemesis.stack.orders()?.operate(&["quarantined", "release", "--all"]).await?;
        ensure!(released.status.success(), "runs cannot be released: {}", String::from_utf8_lossy(&released.stderr));
    }
    let (mut unrest, mut moved) = (Unrest::of(&databases).await?, Instant::now());
    while !unrest.is_over() && moved.elapsed() < STANDSTILL && began.elapsed() < REST_LIMIT {
        nemesis.notice_an_end_of_its_own().await?;
        sleep(Duration::from_millis(100)).await;
        let now = Unrest::of(&databases).await?;
        if now != unrest {
            (unrest, moved) = (now, Instant::now());
        }
    }
    let rest = quiet.elapsed();
    sleep(BANK_IS_LATE).await;
    Ok(rest)
}

/// Everything that is known, once the program has stopped.
fn case(stack: &Stack, folder: &Path, topics: Option<Vec<Record>>) -> anyhow::Result<Case> {
    let mut good = BTreeMap::new();
    for (_, file) in checker::COMPONENTS {
        good.insert(file.to_owned(), stack.components.good(file)?);
    }
    let books = folder.join("bank.jsonl");
    let books: Vec<Posting> = if books.exists() { journal::read_lines(&books)? } else { Vec::new() };
    let told = journal::read(&folder.join("journal.jsonl"))?;
    Ok(Case { told, books, database: Database::read_both(stack.databases())?, good, topics })
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

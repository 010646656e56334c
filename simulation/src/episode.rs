//! One episode: processes that die one after the other, until nobody wants anything more and all is at rest.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures::future::join_all;
use millrace::config::{self, Environment};
use millrace::plan::Plan;
use millrace::store::{Instances as _, Messages as _, RunStatus};
use serde::{Deserialize, Serialize};

use crate::checker::{self, Broken, KIND};
use crate::customers::Customer;
use crate::life::Life;
use crate::process::Process;
use crate::schedule::{CUSTOMERS, Schedule};
use crate::world::World;

/// What is run.
const CONFIG: &str = include_str!("bookings.yaml");
/// Processes of an episode, at most: more would mean that one dies as soon as it begins.
const MOST_LIVES: u32 = 200;
/// How long it may take to come to rest once nothing goes wrong any more, by the clock of the episode.
const REST: Duration = Duration::from_secs(3_600);
/// How often it is looked whether it has.
const LOOK: Duration = Duration::from_secs(2);
/// How long a process has to start.
const BEFORE_ANOTHER_START: Duration = Duration::from_millis(500);

/// What an episode came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// What it was made from.
    pub seed: u64,
    /// How much has happened.
    pub events: u64,
    /// How much of it went wrong.
    pub faults: u64,
    /// How many processes there were.
    pub lives: u32,
    /// A number of all that has happened.
    pub trace: String,
    /// What does not hold.
    pub broken: Vec<Broken>,
    /// What has happened to what the first of it is about.
    pub history: Vec<String>,
}

/// How a process ended.
enum End {
    Died,
    /// All is at rest, or will never be.
    Rested(Vec<Broken>),
}

/// Performs it, in this process, whose machine is simulated. The verdict has all that happened if it `shows_all`.
///
/// # Errors
/// It could not be performed, which says nothing of the program.
pub fn perform(schedule: &Schedule, shows_all: bool) -> anyhow::Result<Verdict> {
    // Named by what the system says, too: a name that is taken would cost one more random number.
    let folder = tempfile::Builder::new().prefix(&format!("simulation-{}-", std::process::id())).tempdir()?;
    let world = Arc::new(World::new(schedule, plan(folder.path())?, folder.path().to_owned()));
    let (mut lives, mut broken) = (0, Vec::new());
    while broken.is_empty() && lives < MOST_LIVES {
        lives += 1;
        world.note("process", format_args!("number {lives} starts"));
        let end = live(&world)?;
        broken = futures::executor::block_on(checker::always(&world))?;
        if let End::Rested(not_at_rest) = end {
            broken.extend(not_at_rest);
            if broken.is_empty() {
                broken = futures::executor::block_on(checker::at_rest(&world))?;
            }
            break;
        }
    }
    if lives == MOST_LIVES {
        broken.push(Broken::new("I9", "", format!("{MOST_LIVES} processes have died, and there is no end to it")));
    }
    let (events, faults, trace) = world.figures();
    let history = match broken.first() {
        _ if shows_all => world.lines(),
        Some(first) => world.about(&first.about),
        None => Vec::new(),
    };
    Ok(Verdict { seed: schedule.seed, events, faults, lives, trace: format!("{trace:016x}"), broken, history })
}

fn plan(folder: &Path) -> anyhow::Result<Plan> {
    let file = folder.join("bookings.yaml");
    std::fs::write(&file, CONFIG)?;
    std::fs::write(folder.join("simulated.wasm"), "no component is loaded")?;
    let folder = folder.to_str().context("the folder has a strange name")?;
    let environment = Environment { variables: BTreeMap::new(), working_dir: folder.into(), program: "millrace".into() }
        .with("JWT_SECRET", "not-a-secret-but-as-long-as-one-has-to-be")
        .with("DATA_DIR", folder)
        .with("COMPONENTS_DIR", folder);
    config::check_file(&file, &environment).plan.context("the config of the simulation is not valid")
}

fn live(world: &Arc<World>) -> anyhow::Result<End> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let life = Life::new(world);
    let end = runtime.block_on(async {
        tokio::select! {
            biased;
            () = life.ends() => Ok(End::Died),
            end = until_rest(world, &life) => end,
        }
    });
    // Whatever the process was at is dropped where it stands.
    drop(runtime);
    life.leave_behind()?;
    end
}

async fn until_rest(world: &Arc<World>, life: &Life) -> anyhow::Result<End> {
    let process = match tokio::time::timeout(REST, Process::start(world, life)).await {
        Err(_) => return Ok(End::Rested(vec![Broken::new("I9", "", "a process does not start within an hour".into())])),
        Ok(started) => started,
    };
    let process = match process {
        Ok(process) => process,
        Err(error) => {
            world.note("process", format_args!("does not start: {error:#}"));
            tokio::time::sleep(BEFORE_ANOTHER_START).await;
            life.end();
            return Ok(End::Died);
        }
    };
    let customers: Vec<Customer> = (0..CUSTOMERS).map(Customer::new).collect();
    tokio::select! {
        biased;
        () = process.tasks.failed() => {
            world.note("process", format_args!("ends: a task has failed"));
            life.end();
            return Ok(End::Died);
        }
        _ = join_all(customers.iter().map(|customer| customer.live(world, &process, life))) => {}
        () = tokio::time::sleep(REST) => {
            return Ok(End::Rested(vec![Broken::new("I9", "", "customers wait for an answer for an hour".into())]));
        }
    }
    world.calm();
    let began = tokio::time::Instant::now();
    loop {
        tokio::time::sleep(LOOK).await;
        if process.tasks.has_failed() {
            life.end();
            return Ok(End::Died);
        }
        let unrest = unrest(world, &process).await?;
        if unrest.is_empty() || began.elapsed() > REST {
            return Ok(End::Rested(unrest));
        }
    }
}

/// What is not at rest. What was set aside is set free, as somebody would who runs it.
async fn unrest(world: &World, process: &Process) -> anyhow::Result<Vec<Broken>> {
    let rows = world.rows();
    let mut found = Vec::new();
    for resource in checker::bookings(&rows).await? {
        if resource.workflow.as_ref().is_some_and(|progress| !progress.finished) {
            found.push(Broken::new("I9", &resource.id, format!("it rests in '{}'", resource.state)));
        }
    }
    if !found.is_empty() {
        // Of all, the last that is left says most.
        found.truncate(3);
    }
    if rows.unpublished_count().await? > 0 {
        found.push(Broken::new("I5", "", format!("{} events are not published", rows.unpublished_count().await?)));
    }
    if !world.broker.lock().is_heard() {
        found.push(Broken::new("I20", "", "there are events that nobody has heard of".to_owned()));
    }
    let has_more = {
        let mut services = world.services.lock();
        services.catch_up();
        services.has_more()
    };
    if has_more {
        found.push(Broken::new("simulation", "", "a service is still at something".to_owned()));
    }
    for component in world.plan.components.iter().map(|component| &component.name) {
        if process.store.rows.release_quarantined(component).await? > 0 {
            process.pipeline.waker().look_again();
        }
    }
    if found.is_empty() {
        for resource in checker::bookings(&rows).await? {
            let runs = rows.runs(KIND, &resource.id).await?;
            if let Some(run) = runs.iter().find(|run| run.status != RunStatus::Done) {
                found.push(Broken::new("I9", &resource.id, format!("it has ended, and a run has not: {} {:?}", run.key, run.status)));
            }
        }
    }
    Ok(found)
}

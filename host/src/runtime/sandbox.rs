//! One run of a component: a fresh store, its limits, and what became of it.
//!
//! The store is made for the run and dropped after it, whatever happens; nothing of one run is there in the next.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use tokio::sync::Semaphore;
use wasmtime::{Engine, Store, Trap};
use wasmtime_wasi::I32Exit;

use super::alongside::{Alongside, Own};
use super::bindings::{Description, Effect, Failure, GuestJob, Outcome};
use super::budget::{Limit, Meter, in_lane};
use super::contract::{ReversiblePre, StepPre};
use super::guest::{Granted, Guest};
use super::guest_log::{GuestLog, Line, Speaker};
use super::tape::Deck;
use super::text::{MAX_REASON_BYTES, tamed};
use super::{Contract, Limits, Used};
use crate::clock::Clock;

/// Bytes that a component may hand to the host in one call, beside its answer.
const MAX_CALL_BYTES: usize = 256 << 10;
/// What `describe` may take: it is called at every load, and has nothing to do.
const DESCRIBE_CPU: Duration = Duration::from_secs(2);
const DESCRIBE_WALL: Duration = Duration::from_secs(5);
const DESCRIBE_CALLS: u32 = 1_000;

/// Where components run.
pub(super) struct Sandbox {
    engine: Engine,
    clock: Clock,
    lane: Arc<Semaphore>,
}

/// Who runs, with what, how long.
pub(super) struct Terms<'a> {
    pub speaker: Speaker,
    pub limits: &'a Limits,
    pub granted: Arc<Granted>,
    pub wall: Duration,
    /// Sent with what it asks of services.
    pub traceparent: Option<http::HeaderValue>,
    /// Plays what it finds that is otherwise different each time; nothing if it finds what there is, and that is recorded.
    pub deck: Option<Deck>,
    /// Its log lines are wanted back.
    pub keeps_lines: bool,
    /// What it may keep and publish with its answer.
    pub own: Own,
    /// What it was built for.
    pub contract: Contract,
}

/// Why a run ended without an answer.
#[derive(Debug)]
pub(super) struct Ended {
    /// The limit that ended it; none if the host failed.
    pub limit: Option<Limit>,
    /// A clause that goes on after the component's name.
    pub text: String,
}

/// A run that is over.
pub(super) struct Ran<T> {
    pub answer: Result<T, Ended>,
    /// What the host took to make and drop the sandbox.
    pub overhead: Duration,
    /// Log lines beyond its budget were dropped.
    pub lines_dropped: bool,
    /// See [`super::Report::refused`].
    pub refused: Option<String>,
    /// What it used.
    pub used: Used,
    /// Its log lines, if they were wanted.
    pub lines: Vec<Line>,
    /// What it found; nothing if it used none of it.
    pub deck: Option<Deck>,
    /// What it wants done with its answer.
    pub alongside: Alongside,
}

impl Sandbox {
    /// Half of the processors are for long runs.
    pub fn new(engine: Engine, clock: Clock) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let lane = Arc::new(Semaphore::new((processors / 2).max(1)));
        Self { engine, clock, lane }
    }

    /// Asks a component what it is, with nothing granted, and with the memory that its runs will have.
    pub async fn describe(&self, pre: &StepPre, speaker: Speaker, limits: &Limits) -> Result<Description, Ended> {
        let limits = Limits { cpu: DESCRIBE_CPU, host_calls: DESCRIBE_CALLS, ..limits.clone() };
        let (granted, own) = (Arc::default(), Own::default());
        let terms = Terms {
            speaker,
            limits: &limits,
            granted,
            wall: DESCRIBE_WALL,
            traceparent: None,
            deck: None,
            keeps_lines: false,
            own,
            contract: Contract::First,
        };
        let mut store = self.store(&terms);
        let meter = Arc::clone(&store.data().meter);
        let asked = async {
            let step = pre.instantiate(&mut store).await?;
            step.describe(&mut store).await
        };
        let answer = self.bounded(asked, &meter, terms.wall).await;
        answer.map_err(|stop| ended(stop, store.data(), &terms))
    }

    /// What compiles and runs.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Has a component do one job. The caller has a place, so that a full pool of the engine means waiting, not failing.
    pub async fn process(&self, pre: &StepPre, terms: Terms<'_>, job: &GuestJob) -> Ran<Result<Outcome, Failure>> {
        self.call(&Process(pre), terms, job).await
    }

    /// Has a component do whatever `call` is. The caller holds a [`Sandbox::place`].
    pub async fn call<C: Call>(&self, call: &C, terms: Terms<'_>, job: &GuestJob) -> Ran<C::Answer> {
        let start = Instant::now();
        let mut store = self.store(&terms);
        store.data_mut().own.give(terms.contract, &job.config);
        let meter = Arc::clone(&store.data().meter);
        let mut made = None;
        let run = call.make(&mut store, job, &mut made);
        let answer = self.bounded(run, &meter, terms.wall).await;
        let answered = Instant::now();
        let answer = answer.map_err(|stop| ended(stop, store.data(), &terms));
        let lines_dropped = store.data().log.has_dropped();
        let refused = store.data().outgoing.refused();
        let (used, log, deck) = (store.data().used(), store.data().log.clone(), store.data_mut().deck.take());
        let alongside = store.data_mut().own.taken();
        drop(store);
        let overhead = made.map_or(Duration::ZERO, |made| made.duration_since(start)) + answered.elapsed();
        // A line without an end was written when the store was dropped.
        Ran { answer, overhead, lines_dropped, refused, used, lines: log.kept(), deck, alongside }
    }

    fn store(&self, terms: &Terms<'_>) -> Store<Guest> {
        let Terms { speaker, limits, granted, wall, traceparent, deck, keeps_lines, own, .. } = terms;
        let meter = Meter::new(limits.cpu.min(*wall));
        let log = GuestLog::new(speaker.clone(), *keeps_lines);
        let mut guest = Guest::new(self.engine.clone(), (self.clock.clone(), deck.clone()), Arc::clone(granted), limits, meter, log);
        guest.outgoing.traceparent.clone_from(traceparent);
        guest.own = own.clone();
        let mut store = Store::new(&self.engine, guest);
        store.limiter(|guest| &mut guest.memory);
        store.set_hostcall_fuel(limits.answer_bytes.saturating_add(MAX_CALL_BYTES));
        store.set_max_component_handles(super::guest::MAX_HANDLES);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|store| Ok(store.data().meter.tick()));
        store
    }

    /// Runs within the wall time and, once it is slow, in the slow lane. A panic of the host ends the run, not the program.
    async fn bounded<T>(&self, run: impl Future<Output = wasmtime::Result<T>>, meter: &Meter, wall: Duration) -> Result<T, Stop> {
        let run = AssertUnwindSafe(in_lane(run, meter, Arc::clone(&self.lane))).catch_unwind();
        match tokio::time::timeout(wall, run).await {
            Err(_) => Err(Stop::Wall),
            Ok(Err(_)) => Err(Stop::Panic),
            Ok(Ok(answer)) => answer.map_err(Stop::Error),
        }
    }
}

/// A function that components export.
pub(super) trait Call: Sync {
    /// What it answers.
    type Answer: Send;

    /// Calls it on a fresh instance, and notes when that was made.
    fn make(
        &self,
        store: &mut Store<Guest>,
        job: &GuestJob,
        made: &mut Option<Instant>,
    ) -> impl Future<Output = wasmtime::Result<Self::Answer>> + Send;
}

/// `process`
pub(super) struct Process<'a>(pub &'a StepPre);

impl Call for Process<'_> {
    type Answer = Result<Outcome, Failure>;

    async fn make(&self, store: &mut Store<Guest>, job: &GuestJob, made: &mut Option<Instant>) -> wasmtime::Result<Self::Answer> {
        let step = self.0.instantiate(store).await?;
        *made = Some(Instant::now());
        step.process(store, job).await
    }
}

/// `settlement.status`
pub(super) struct AskStatus(pub ReversiblePre);

impl Call for AskStatus {
    type Answer = Result<Effect, Failure>;

    async fn make(&self, store: &mut Store<Guest>, job: &GuestJob, made: &mut Option<Instant>) -> wasmtime::Result<Self::Answer> {
        let step = self.0.instantiate(store).await?;
        *made = Some(Instant::now());
        step.status(store, job).await
    }
}

/// `settlement.undo`
pub(super) struct Undo(pub ReversiblePre);

impl Call for Undo {
    type Answer = Result<(), Failure>;

    async fn make(&self, store: &mut Store<Guest>, job: &GuestJob, made: &mut Option<Instant>) -> wasmtime::Result<Self::Answer> {
        let step = self.0.instantiate(store).await?;
        *made = Some(Instant::now());
        step.undo(store, job).await
    }
}

enum Stop {
    Wall,
    Panic,
    Error(wasmtime::Error),
}

/// Says why a run ended, in the words of an operator.
fn ended(stop: Stop, guest: &Guest, terms: &Terms<'_>) -> Ended {
    let limits = terms.limits;
    let (limit, text) = match (stop, guest.meter.reached()) {
        (Stop::Wall, _) => (Some(Limit::Wall), format!("did not answer within {:?}", terms.wall)),
        (Stop::Panic, _) => (None, "ran into a fault of the host, see its log".to_owned()),
        (_, Some(Limit::Cpu)) => (Some(Limit::Cpu), format!("computed for more than {:?}", limits.cpu.min(terms.wall))),
        (_, Some(Limit::HostCalls)) => (Some(Limit::HostCalls), format!("called the host more than {} times", limits.host_calls)),
        (Stop::Error(error), _) => broken(&error, guest, limits),
    };
    Ended { limit, text: tamed(&text, MAX_REASON_BYTES) }
}

fn broken(error: &wasmtime::Error, guest: &Guest, limits: &Limits) -> (Option<Limit>, String) {
    tracing::debug!(error = format!("{error:?}"), "a component's run broke");
    if let Some(denied) = guest.memory.denied {
        let (bytes, most) = (denied.bytes, limits.memory_bytes);
        return (Some(denied.limit), format!("wanted {bytes} bytes of memory beyond its limit of {most} bytes"));
    }
    if let Some(I32Exit(code)) = error.downcast_ref() {
        return (Some(Limit::Trap), format!("ended itself with exit({code}) instead of answering{}", said(guest)));
    }
    if let Some(trap) = error.downcast_ref::<Trap>() {
        return (Some(Limit::Trap), format!("trapped: {trap}{}", said(guest)));
    }
    let text = error.root_cause().to_string();
    if text.contains("hostcalls has been exhausted") {
        let most = limits.answer_bytes;
        return (Some(Limit::Output), format!("handed over too much at once: an answer has at most {most} bytes"));
    }
    (Some(Limit::Trap), format!("broke: {text}{}", said(guest)))
}

/// What it wrote to standard error: for most languages, why it gave up.
fn said(guest: &Guest) -> String {
    let text = guest.stderr.start();
    if text.is_empty() { String::new() } else { format!(" ({text})") }
}

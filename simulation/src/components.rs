//! The components: they answer, say no, break, are silent, and die with the process, before and after they have asked a service for what they are for.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use millrace::runtime::{Alongside, Candidate, Job, Limit, Place as Room, Report, Status, Steps, Used, Verdict};
use serde_json::{Map, Value};

use crate::life::Life;
use crate::schedule::{Fault, Place};
use crate::services::Deed;
use crate::world::World;

/// The components that there are.
const NAMES: [&str; 4] = ["seats", "bank", "carrier", "letters"];
/// How long an answer takes that is slow.
const SLOW: Duration = Duration::from_secs(3);
/// How long after the time-out something is done that is done too late, in nanoseconds.
const LATE: u64 = 20_000_000_000;

/// The components of one process.
pub struct Simulated {
    world: Arc<World>,
    life: Life,
}

impl Simulated {
    /// For this process.
    #[must_use]
    pub fn new(world: Arc<World>, life: Life) -> Self {
        Self { world, life }
    }

    fn enter(&self, key: &str) {
        *self.world.services.lock().inside.entry(key.to_owned()).or_default() += 1;
    }

    fn leave(&self, key: &str) {
        let mut services = self.world.services.lock();
        if let Some(count) = services.inside.get_mut(key) {
            *count -= 1;
            if *count == 0 {
                services.inside.remove(key);
            }
        }
    }

    async fn attempt(&self, component: &str, job: &Job) -> (Verdict, Option<Limit>) {
        let fault = self.world.comes_to(Place::Attempt);
        let deed = deed(component, job);
        let make = || {
            let is_made = self.world.services.lock().make(&deed);
            self.world.note("effect", format_args!("{component} {} {}", deed.key, if is_made { "made" } else { "forbidden" }));
            is_made
        };
        let transient = |why: &str| (Verdict::Transient(why.to_owned()), None);
        tokio::time::sleep(if fault == Some(Fault::Slow) { SLOW } else { self.world.a_while(3, 40) }).await;
        self.life.is_lived().await;
        match fault {
            Some(Fault::Dies) => self.life.die().await,
            Some(Fault::Refused) => return transient("the service refuses for now"),
            Some(Fault::Declined) if deed.gives_back || component == "letters" => return transient("the service is busy"),
            Some(Fault::Declined) => {
                let details = Map::new();
                return (Verdict::Rejected { code: "declined".into(), reason: "no".into(), details }, None);
            }
            Some(Fault::Breaks) => return (Verdict::Transient("the component broke".into()), Some(Limit::Trap)),
            Some(Fault::Silent) => return self.silence(job).await,
            Some(Fault::SilentlyDone) => {
                make();
                return self.silence(job).await;
            }
            Some(Fault::DoneLate) => {
                let after = job.timeout.as_nanos() as u64 + self.world.one_of(LATE);
                self.world.services.lock().make_later(deed.clone(), after.cast_signed());
                return self.silence(job).await;
            }
            _ => {}
        }
        let is_made = make();
        tokio::time::sleep(self.world.a_while(1, 20)).await;
        self.life.is_lived().await;
        match fault {
            Some(Fault::DiesUntold) => self.life.die().await,
            Some(Fault::Unacknowledged) => return transient("the connection broke"),
            _ => {}
        }
        if is_made {
            (Verdict::Accepted(Map::from_iter([(format!("{component}_receipt"), Value::from(job.idempotency_key.as_str()))])), None)
        } else {
            (Verdict::Rejected { code: "void".into(), reason: "it was undone".into(), details: Map::new() }, None)
        }
    }

    async fn silence(&self, job: &Job) -> (Verdict, Option<Limit>) {
        tokio::time::sleep(job.timeout).await;
        self.life.is_lived().await;
        (Verdict::Transient("there was no answer within the time".into()), Some(Limit::Wall))
    }

    /// Before a question is answered; false if it is not.
    async fn is_answered(&self) -> bool {
        let fault = self.world.comes_to(Place::Question);
        tokio::time::sleep(if fault == Some(Fault::Slow) { SLOW } else { self.world.a_while(3, 40) }).await;
        self.life.is_lived().await;
        if fault == Some(Fault::Dies) {
            self.life.die().await;
        }
        !matches!(fault, Some(Fault::Unknown | Fault::Refused))
    }
}

fn deed(component: &str, job: &Job) -> Deed {
    let data: Value = serde_json::from_str(&job.data).unwrap_or_default();
    Deed {
        component: component.to_owned(),
        booking: job.instance_id.clone(),
        key: job.idempotency_key.clone(),
        amount: data["amount"].as_u64().unwrap_or_default(),
        gives_back: component == "seats" && job.step != "step-hold",
    }
}

fn report<T>(verdict: T, limit: Option<Limit>) -> Report<T> {
    Report {
        verdict,
        digest: "0".repeat(64),
        wall: Duration::ZERO,
        overhead: Duration::ZERO,
        limit,
        lines_dropped: false,
        refused: None,
        answered: limit.is_none(),
        used: Used::default(),
        recording: None,
        alongside: Alongside::default(),
    }
}

#[async_trait]
impl Steps for Simulated {
    async fn place(&self, _: &str, _: bool) -> Room {
        self.life.is_lived().await;
        // Sometimes there is none for a while.
        if self.world.one_of(5) == 0 {
            tokio::time::sleep(self.world.a_while(1, 30)).await;
            self.life.is_lived().await;
        }
        Room::uncounted()
    }

    fn most_again(&self) -> usize {
        16
    }

    fn has(&self, component: &str) -> bool {
        NAMES.contains(&component)
    }

    fn digest(&self, component: &str) -> Option<Arc<str>> {
        self.has(component).then(|| "0".repeat(64).into())
    }

    fn unserved(&self, _: &str) -> Option<String> {
        None
    }

    fn is_reversible(&self, component: &str) -> bool {
        component == "bank"
    }

    async fn run_in(&self, _: Room, component: &str, job: Job, _: Option<&Map<String, Value>>, _: Option<&Candidate>) -> Report {
        self.enter(&job.idempotency_key);
        self.world.note("attempt", format_args!("{component} {} number {}", job.idempotency_key, job.attempt));
        let (verdict, limit) = self.attempt(component, &job).await;
        self.world.note("answer", format_args!("{} {}", job.idempotency_key, name(&verdict)));
        self.leave(&job.idempotency_key);
        report(verdict, limit)
    }

    async fn status_of(&self, _: &Room, _: &str, job: Job, _: Option<&Map<String, Value>>) -> Report<Status> {
        let key = &job.idempotency_key;
        self.enter(key);
        let status = if self.is_answered().await {
            let is_paid = self.world.services.lock().is_paid(key);
            if is_paid { Status::Done(Map::from_iter([("bank_receipt".to_owned(), Value::from(key.as_str()))])) } else { Status::NotDone }
        } else {
            Status::Unknown("the bank does not answer".into())
        };
        self.world.note("asked", format_args!("{key} {status:?}"));
        self.leave(key);
        report(status, None)
    }

    async fn undo(&self, _: &Room, _: &str, job: Job, _: Option<&Map<String, Value>>) -> Report<Result<(), String>> {
        let key = &job.idempotency_key;
        self.enter(key);
        let is_undone = self.is_answered().await;
        if is_undone {
            self.world.services.lock().undo(&job.instance_id, key);
        }
        self.world.note("undo", format_args!("{key} {}", if is_undone { "done" } else { "not done" }));
        self.leave(key);
        report(if is_undone { Ok(()) } else { Err("the bank does not answer".into()) }, None)
    }
}

fn name(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Accepted(_) => "accepted",
        Verdict::Rejected { .. } => "rejected",
        Verdict::Transient(_) => "transient",
        Verdict::Permanent(_) => "permanent",
    }
}

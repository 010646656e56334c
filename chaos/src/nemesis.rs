//! Does to the program what the schedule says, and notes it.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::broker::Broker;
use crate::customers::Market;
use crate::journal::{Entry, Journal, read};
use crate::member::Member;
use crate::power::Lost;
use crate::program::Program;
use crate::resumption::Resumption;
use crate::schedule::{AWAY_FROM, COMPONENTS, Fault, Moment, Schedule, Target, Version};
use crate::server::Server;
use crate::stack::Stack;

/// How long an answer is waited for that a kill is to follow.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// What the program promises of a stop, and a second for a machine that is busy.
const DRAINS_WITHIN: Duration = Duration::from_secs(11);
/// How long a program may take to come to the place where it kills itself.
const CRASHES_WITHIN: Duration = Duration::from_secs(20);
/// The same where versions of components have to be compiled first.
const COMPILES_WITHIN: Duration = Duration::from_secs(120);
/// How long a second process may take to find that it must not be.
const REFUSED_WITHIN: Duration = Duration::from_secs(30);

/// Between two swaps of all components while a version is to be compiled: long enough that one is before the next comes.
const SWAPS_EVERY: Duration = Duration::from_secs(4);

/// A place where the program was to kill itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crash {
    /// Its name.
    pub point: String,
    /// The how manieth time that the program came there.
    pub hit: u32,
    /// Whether it did.
    pub is_reached: bool,
}

/// Who does it, and to whom.
pub struct Nemesis {
    /// The shop.
    pub stack: Stack,
    /// Its customers.
    pub market: Arc<Market>,
    /// Where it is noted.
    pub journal: Arc<Journal>,
    /// How often something was killed so far.
    pub kills: u32,
    /// How long each process took from its start until it was ready.
    pub ready: Vec<Duration>,
    /// How long it took until what was under way went on.
    pub resumption: Resumption,
    /// What was lost with the power.
    pub lost: Lost,
    /// Where the program was to kill itself.
    pub crashes: Vec<Crash>,
    /// How often a process that lived was taken for dead by those that it shares a database with.
    pub replaced: u32,
    /// Who is away for longer, and until when.
    away: Vec<(Instant, Target)>,
    copies: u32,
}

impl Nemesis {
    /// One that has done nothing yet.
    pub fn new(stack: Stack, market: Arc<Market>, journal: Arc<Journal>) -> Self {
        let resumption = Resumption::new(stack.databases());
        Self {
            stack,
            market,
            journal,
            kills: 0,
            ready: Vec::new(),
            resumption,
            lost: Lost::default(),
            crashes: Vec::new(),
            replaced: 0,
            away: Vec::new(),
            copies: 0,
        }
    }

    /// Does all of a schedule, then closes the market.
    pub async fn perform(&mut self, schedule: &Schedule) -> anyhow::Result<()> {
        let began = Instant::now();
        for due in &schedule.faults {
            self.wait_until(began + Duration::from_millis(due.at)).await?;
            // Crashes at places and cuts of the power are the whole of such a run, however long it takes.
            let may_be_left_out = !matches!(due.fault, Fault::CrashAt { .. } | Fault::PowerCut { .. });
            if may_be_left_out && began.elapsed() > Duration::from_millis(schedule.span) * 2 {
                break;
            }
            self.notice_an_end_of_its_own().await?;
            self.journal.write(Entry::Fault { on: due.on, fault: due.fault.clone() });
            self.inflict(due.on, &due.fault).await.with_context(|| format!("{:?} to {:?}", due.fault, due.on))?;
        }
        self.wait_until(began + Duration::from_millis(schedule.span)).await?;
        for (_, on) in self.away.clone() {
            self.bring_back(on).await?;
        }
        self.market.closed.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Waits, and starts meanwhile who has been away for long enough.
    async fn wait_until(&mut self, moment: Instant) -> anyhow::Result<()> {
        while let Some((back, on)) = self.away.iter().copied().min_by_key(|(back, _)| *back).filter(|(back, _)| *back <= moment) {
            sleep_until(back).await;
            self.bring_back(on).await?;
        }
        sleep_until(moment).await;
        Ok(())
    }

    /// Starts who is away.
    async fn bring_back(&mut self, on: Target) -> anyhow::Result<()> {
        self.away.retain(|(_, away)| *away != on);
        self.start(on).await
    }

    /// A program that ends although nobody has asked it to is wrong, and is started again. One that others take for dead has to end.
    pub async fn notice_an_end_of_its_own(&mut self) -> anyhow::Result<()> {
        let mut ended = Vec::new();
        for member in &mut self.stack.members {
            // Who is away has no program.
            let Some(program) = &mut member.program else { continue };
            if let Some(status) = program.ended()? {
                if member.was_replaced()? {
                    self.replaced += 1;
                } else {
                    ended.push(format!("{} ended by itself ({status})", member.name));
                }
                member.launch()?;
                member.until_ready().await?;
            }
        }
        for why in ended {
            self.broken("I9", why);
        }
        Ok(())
    }

    fn broken(&self, invariant: &str, why: String) {
        self.journal.write(Entry::Broken { invariant: invariant.to_owned(), order: None, why });
    }

    async fn inflict(&mut self, on: Target, fault: &Fault) -> anyhow::Result<()> {
        if !matches!(fault, Fault::Cut { .. } | Fault::Swap { .. } | Fault::Disconnect) {
            // Nothing can be done to who is not there.
            for (_, away) in self.away.clone() {
                if away == on || matches!(on, Target::Orders | Target::Shop) {
                    self.bring_back(away).await?;
                }
            }
        }
        match fault {
            Fault::Kill { down } if *down >= AWAY_FROM => {
                self.kill(on).await?;
                self.away.push((Instant::now() + Duration::from_millis(*down), on));
                Ok(())
            }
            Fault::Kill { down } => {
                self.kill(on).await?;
                wait(*down).await;
                self.start(on).await
            }
            Fault::KillAfterAnswer { within } => {
                self.wait_for_an_answer(*within).await;
                self.kill(on).await?;
                self.start(on).await
            }
            Fault::KillStarting { after } => {
                self.kill(on).await?;
                self.launch(on)?;
                wait(*after).await;
                self.kill(on).await?;
                self.start(on).await
            }
            Fault::KillRecovering { after } => {
                self.kill(on).await?;
                self.start(on).await?;
                wait(*after).await;
                self.kill(on).await?;
                self.start(on).await
            }
            Fault::Pause { still } => {
                self.signal(on, Signal::STOP)?;
                wait(*still).await;
                self.signal(on, Signal::CONT)
            }
            Fault::Stop => {
                self.drain(on).await?;
                self.start(on).await
            }
            Fault::Jump { minutes } => {
                self.kill(on).await?;
                self.stack.of(on).for_each(|member| member.minutes = *minutes);
                self.start(on).await
            }
            Fault::Swap { component, with } => self.stack.components.swap(component, *with),
            Fault::Second => self.second(on).await,
            Fault::Copy => self.copy().await,
            Fault::Disconnect => self.server()?.disconnect_all().await,
            Fault::Cut { link, how, lasts } => self.stack.links.cut(*link, *how, Duration::from_millis(*lasts)),
            Fault::PowerCut { moment, choice } => self.power_cut(on, *moment, *choice).await,
            Fault::CrashAt { point, hit } => self.crash_at(on, point, *hit).await,
        }
    }

    async fn wait_for_an_answer(&self, and_then: u64) {
        let _ = timeout(ANSWER_LIMIT, self.market.answered.notified()).await;
        sleep(Duration::from_micros(and_then)).await;
    }

    async fn power_cut(&mut self, on: Target, moment: Moment, choice: u64) -> anyhow::Result<()> {
        match moment {
            Moment::Serving(within) => self.wait_for_an_answer(within).await,
            Moment::Starting(after) => {
                self.lose_power(on, !choice).await?;
                self.launch(on)?;
                wait(after).await;
            }
            Moment::Stopping(after) => {
                self.signal(on, Signal::TERM)?;
                wait(after).await;
            }
        }
        self.lose_power(on, choice).await?;
        let Err(problem) = self.start(on).await else { return Ok(()) };
        self.broken("I1", format!("after a power cut it does not start: {problem:#}"));
        for member in self.stack.of(on) {
            member.kill().await?;
            member.forget_marks()?;
        }
        self.start(on).await
    }

    async fn lose_power(&mut self, on: Target, choice: u64) -> anyhow::Result<()> {
        self.kill(on).await?;
        for member in self.stack.of(on) {
            let lost = member.lose_power(choice).await?;
            self.lost.add(lost);
        }
        Ok(())
    }

    fn broker(&mut self) -> anyhow::Result<&mut Broker> {
        self.stack.broker.as_mut().context("a shop of this shape has no broker")
    }

    fn server(&self) -> anyhow::Result<Arc<Server>> {
        self.stack.databases().server.clone().context("a shop of this shape has no database server")
    }

    async fn kill(&mut self, on: Target) -> anyhow::Result<()> {
        self.kills += 1;
        if on == Target::Database {
            return self.server()?.kill().await;
        }
        if on == Target::Broker {
            let broker = self.broker()?;
            // One that has not come up yet is left to do so: it is to be there now and then.
            broker.until_ready().await?;
            return broker.kill().await;
        }
        if self.stack.has_orders(on) {
            let processes = self.stack.of(on).filter_map(|member| member.program.as_ref().map(Program::id)).collect();
            self.resumption.note(processes).await;
        }
        for member in self.stack.of(on) {
            // All of them get the signal before any is waited for.
            if let Some(program) = &member.program {
                program.signal(Signal::KILL);
            }
        }
        let mut crowded = Vec::new();
        for member in self.stack.of(on) {
            member.kill().await?;
            let (inside, most) = (member.inside()?, member.most_inside());
            if inside > most {
                crowded.push(format!("{inside} runs count as what may have killed {}, which begins {most} at once", member.name));
            }
        }
        crowded.into_iter().for_each(|why| self.broken("I15", why));
        if self.stack.has_orders(on) {
            self.resumption.follow(on);
        }
        Ok(())
    }

    fn launch(&mut self, on: Target) -> anyhow::Result<()> {
        if on == Target::Broker {
            return self.broker()?.launch().map(drop);
        }
        self.stack.of(on).try_for_each(Member::launch)
    }

    /// Starts it and waits until it is ready. Nobody waits for Kafka: nobody may depend on it.
    async fn start(&mut self, on: Target) -> anyhow::Result<()> {
        if on == Target::Database {
            return self.server()?.launch().await;
        }
        if self.stack.has_orders(on) {
            self.resumption.are_back(on);
        }
        self.launch(on)?;
        for member in self.stack.of(on) {
            // A file that is broken at the start is the one thing that may keep it from being ready: without any version a step waits.
            self.ready.push(member.until_ready().await?);
        }
        if self.stack.has_orders(on) {
            self.resumption.watch();
        }
        Ok(())
    }

    fn signal(&mut self, on: Target, signal: Signal) -> anyhow::Result<()> {
        if on == Target::Broker {
            self.broker()?.program()?.signal(signal);
            return Ok(());
        }
        for member in self.stack.of(on) {
            member.program()?.signal(signal);
        }
        Ok(())
    }

    /// Asks it to stop, and holds it to what it promises of that.
    pub async fn drain(&mut self, on: Target) -> anyhow::Result<()> {
        let (mut wrong, mut replaced) = (Vec::new(), 0);
        for member in self.stack.of(on) {
            match member.stop().await? {
                Some(ended) if ended.took > DRAINS_WITHIN => wrong.push(format!("a stop of {} took {:?}", member.name, ended.took)),
                // It was about to end by itself, as one has to that others have taken for dead.
                Some(ended) if !ended.status.success() && member.was_replaced()? => replaced += 1,
                Some(ended) if !ended.status.success() => wrong.push(format!("a stop of {} ended with {}", member.name, ended.status)),
                Some(_) => {}
                None => wrong.push(format!("{} did not stop when it was asked to", member.name)),
            }
        }
        self.replaced += replaced;
        for why in wrong {
            self.broken("I23", why);
        }
        Ok(())
    }

    /// Starts a program that kills itself at a place, and waits until it has. What it never comes to under load it may come to while it stops.
    async fn crash_at(&mut self, on: Target, point: &str, hit: u32) -> anyhow::Result<()> {
        self.kill(on).await?;
        let member = self.first(on)?;
        member.crash_at = Some(format!("{point}:{hit}"));
        member.launch()?;
        member.crash_at = None;
        let mut ended = self.until_it_ends(on, point).await?;
        if ended.is_none() {
            ended = self.first(on)?.program()?.stop(DRAINS_WITHIN).await?.map(|ended| ended.status);
        }
        // It kills itself as `kill -9` does; one that ends in another way has not come there.
        let is_reached = ended.is_some_and(|status| status.signal() == Some(Signal::KILL.as_raw()));
        self.crashes.push(Crash { point: point.to_owned(), hit, is_reached });
        if !is_reached {
            self.broken(
                "crash points",
                format!("the program did not kill itself at '{point}' ({hit}); was it built with the feature crash-points?"),
            );
        }
        self.kill(on).await?;
        self.start(on).await
    }

    /// The process that crashes, of those that are meant.
    fn first(&mut self, on: Target) -> anyhow::Result<&mut Member> {
        self.stack.of(on).next().context("nobody to crash")
    }

    /// How it has ended, if it does so while customers buy.
    async fn until_it_ends(&mut self, on: Target, point: &str) -> anyhow::Result<Option<ExitStatus>> {
        if point == "before-the-last-checkpoint" {
            self.first(on)?.until_ready().await?;
            return Ok(None);
        }
        let compiles = point.starts_with("component-");
        let limit = if compiles { COMPILES_WITHIN } else { CRASHES_WITHIN };
        let deadline = Instant::now() + limit;
        let mut number = u8::try_from(self.kills % 200).unwrap_or_default();
        while Instant::now() < deadline {
            if compiles {
                // Versions that no process before has served.
                number = number % 250 + 1;
                COMPONENTS.iter().try_for_each(|component| self.stack.components.swap(component, Version::Good(number)))?;
            }
            if let Some(ended) = self.first(on)?.program()?.wait(SWAPS_EVERY).await? {
                return Ok(Some(ended));
            }
        }
        Ok(None)
    }

    async fn second(&mut self, on: Target) -> anyhow::Result<()> {
        let mut second = self.stack.of(on).next().context("nobody to run twice")?.second()?;
        match second.wait(REFUSED_WITHIN).await? {
            Some(status) if !status.success() => {}
            Some(_) => self.broken("I21", "a second process on the same database ended as if all were well".to_owned()),
            None => self.broken("I21", "a second process on the same database goes on".to_owned()),
        }
        Ok(())
    }

    async fn copy(&mut self) -> anyhow::Result<()> {
        self.copies += 1;
        let member = self.stack.orders()?;
        let file = member.folder.join(format!("copy-{}.db", self.copies)).display().to_string();
        let after = read(&member.folder.join("journal.jsonl"))?.len();
        let output = member.operate(&["backup", "--to", &file]).await?;
        if output.status.success() {
            self.journal.write(Entry::Copied { file, after });
        } else {
            self.broken("I24", format!("a copy was refused: {}", String::from_utf8_lossy(&output.stderr)));
        }
        Ok(())
    }
}

async fn wait(milliseconds: u64) {
    sleep(Duration::from_millis(milliseconds)).await;
}

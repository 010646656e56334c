//! Does to the program what the schedule says, and notes it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::Signal;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::customers::Market;
use crate::journal::{Entry, Journal, read};
use crate::schedule::{Fault, Schedule};
use crate::stack::Stack;

/// How long an answer is waited for that a kill is to follow.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// What the program promises of a stop, and a second for a machine that is busy.
const DRAINS_WITHIN: Duration = Duration::from_secs(11);
/// How long a second process may take to find that it must not be.
const REFUSED_WITHIN: Duration = Duration::from_secs(30);

/// Who does it, and to whom.
pub struct Nemesis {
    /// The shop.
    pub stack: Stack,
    /// Its customers.
    pub market: Arc<Market>,
    /// Where it is noted.
    pub journal: Arc<Journal>,
    /// How often the program was killed so far.
    pub kills: u32,
    copies: u32,
}

impl Nemesis {
    /// One that has done nothing yet.
    pub fn new(stack: Stack, market: Arc<Market>, journal: Arc<Journal>) -> Self {
        Self { stack, market, journal, kills: 0, copies: 0 }
    }

    /// Does all of a schedule, then closes the market.
    pub async fn perform(&mut self, schedule: &Schedule) -> anyhow::Result<()> {
        let began = Instant::now();
        for due in &schedule.faults {
            sleep_until(began + Duration::from_millis(due.at)).await;
            if began.elapsed() > Duration::from_millis(schedule.span) * 2 {
                break;
            }
            self.notice_an_end_of_its_own().await?;
            self.journal.write(Entry::Fault { fault: due.fault.clone() });
            self.inflict(&due.fault).await.with_context(|| format!("{:?}", due.fault))?;
        }
        sleep_until(began + Duration::from_millis(schedule.span)).await;
        self.market.closed.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// A program that ends although nobody has asked it to is wrong, and is started again.
    pub async fn notice_an_end_of_its_own(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.stack.program()?.ended()? {
            self.broken("I9", format!("the program ended by itself ({status})"));
            self.stack.launch()?;
            self.stack.until_ready().await?;
        }
        Ok(())
    }

    fn broken(&self, invariant: &str, why: String) {
        self.journal.write(Entry::Broken { invariant: invariant.to_owned(), order: None, why });
    }

    async fn inflict(&mut self, fault: &Fault) -> anyhow::Result<()> {
        match fault {
            Fault::Kill { down } => {
                self.kill().await?;
                wait(*down).await;
                self.start().await
            }
            Fault::KillAfterAnswer { within } => {
                let _ = timeout(ANSWER_LIMIT, self.market.answered.notified()).await;
                sleep(Duration::from_micros(*within)).await;
                self.kill().await?;
                self.start().await
            }
            Fault::KillStarting { after } => {
                self.kill().await?;
                self.stack.launch()?;
                wait(*after).await;
                self.kill().await?;
                self.start().await
            }
            Fault::KillRecovering { after } => {
                self.kill().await?;
                self.start().await?;
                wait(*after).await;
                self.kill().await?;
                self.start().await
            }
            Fault::Pause { still } => {
                self.stack.program()?.signal(Signal::STOP);
                wait(*still).await;
                self.stack.program()?.signal(Signal::CONT);
                Ok(())
            }
            Fault::Stop => self.stop().await,
            Fault::Jump { minutes } => {
                self.kill().await?;
                self.stack.minutes = *minutes;
                self.start().await
            }
            Fault::Swap { component, with } => self.stack.components.swap(component, *with),
            Fault::Second => self.second().await,
            Fault::Copy => self.copy().await,
        }
    }

    async fn kill(&mut self) -> anyhow::Result<()> {
        self.kills += 1;
        self.stack.kill().await
    }

    async fn start(&mut self) -> anyhow::Result<()> {
        self.stack.launch()?;
        // A file that is broken at the start is the one thing that may keep it from being ready: without any version a step waits.
        self.stack.until_ready().await
    }

    async fn stop(&mut self) -> anyhow::Result<()> {
        self.drain().await?;
        self.start().await
    }

    /// Asks it to stop, and holds it to what it promises of that.
    pub async fn drain(&mut self) -> anyhow::Result<()> {
        match self.stack.stop().await? {
            Some(ended) if ended.took > DRAINS_WITHIN => self.broken("I23", format!("a stop took {:?}", ended.took)),
            Some(ended) if !ended.status.success() => self.broken("I23", format!("a stop ended with {}", ended.status)),
            Some(_) => {}
            None => self.broken("I23", "it did not stop when it was asked to".to_owned()),
        }
        Ok(())
    }

    async fn second(&mut self) -> anyhow::Result<()> {
        let mut second = self.stack.second()?;
        match second.wait(REFUSED_WITHIN).await? {
            Some(status) if !status.success() => {}
            Some(_) => self.broken("I21", "a second process on the same database ended as if all were well".to_owned()),
            None => self.broken("I21", "a second process on the same database goes on".to_owned()),
        }
        Ok(())
    }

    async fn copy(&mut self) -> anyhow::Result<()> {
        self.copies += 1;
        let folder = self.stack.database().parent().and_then(|data| data.parent()).context("a folder")?.to_owned();
        let file = folder.join(format!("copy-{}.db", self.copies)).display().to_string();
        let after = read(&folder.join("journal.jsonl"))?.len();
        let output = self.stack.operate(&["backup", "--to", &file]).await?;
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

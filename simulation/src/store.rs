//! The store as the process has it: the rows outlive it, answers take their time, writes are refused, and the process dies before and after them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use millrace::store::memory::Memory;
use millrace::store::*;
use millrace_workflow::Definition;

use crate::life::Life;
use crate::schedule::{Fault, Place};
use crate::world::World;

/// How long a write takes that is slow.
const SLOW: Duration = Duration::from_secs(4);

/// The handle of one process.
pub struct Simulated {
    pub(crate) rows: Arc<Memory>,
    pub(crate) world: Arc<World>,
    pub(crate) life: Life,
}

/// Whether something is written.
#[derive(Clone, Copy)]
enum Access {
    Read,
    Write,
}

use Access::{Read, Write};

impl Access {
    fn is_write(self) -> bool {
        matches!(self, Write)
    }
}

impl Simulated {
    /// Before it is done; what is to go wrong after it.
    async fn before(&self, access: Access) -> Result<Option<Fault>, StoreError> {
        self.life.is_lived().await;
        let fault = if access.is_write() { self.world.comes_to(Place::Write) } else { None };
        let wait = match (access, fault) {
            (_, Some(Fault::Slow)) => SLOW,
            (Write, _) => self.world.a_while(0, 4),
            // Most of what is read is at hand.
            (Read, _) if self.world.one_of(4) > 0 => Duration::ZERO,
            (Read, _) => self.world.a_while(0, 2),
        };
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
            self.life.is_lived().await;
        }
        match fault {
            Some(Fault::Dies) => {
                self.life.die().await;
                Ok(None)
            }
            Some(Fault::Refused) => Err(StoreError::Unavailable("the disk is full, for a moment".into())),
            Some(Fault::DateBack) => {
                self.world.clock.set(SignedDuration::from_hours(-24));
                Ok(None)
            }
            Some(Fault::DateForward) => {
                self.world.clock.set(SignedDuration::from_hours(24));
                Ok(None)
            }
            other => Ok(other),
        }
    }

    async fn after(&self, access: Access, fault: Option<Fault>) {
        if fault == Some(Fault::DiesUntold) {
            self.life.die().await;
        }
        if access.is_write() {
            // Others go on meanwhile with what is written.
            tokio::task::yield_now().await;
            self.life.is_lived().await;
        }
    }
}

/// Implements a trait of the store by that of the rows.
macro_rules! through {
    ($of:ident { $($own:tt)* } $($access:ident $name:ident($($given:ident: $type:ty),*) -> $out:ty;)*) => {
        #[async_trait]
        impl $of for Simulated {
            $($own)*

            $(async fn $name(&self, $($given: $type),*) -> Result<$out, StoreError> {
                let fault = self.before($access).await?;
                let result = <Memory as $of>::$name(&self.rows, $($given),*).await;
                if $access.is_write() {
                    self.world.note("write", format_args!("{} {}", stringify!($name), if result.is_ok() { "done" } else { "refused" }));
                }
                self.after($access, fault).await;
                result
            })*
        }
    };
}

through! {
    Resources {
        async fn commit(&self, commit: Commit) -> Result<Committed, StoreError> {
            let fault = self.before(Write).await?;
            let result = Resources::commit(&*self.rows, commit.clone()).await;
            self.noted(std::slice::from_ref(&commit), result.as_ref().err());
            self.after(Write, fault).await;
            result
        }

        async fn commit_all(&self, commits: Vec<Commit>) -> Result<(), StoreError> {
            let fault = self.before(Write).await?;
            let result = self.rows.commit_all(commits.clone()).await;
            self.noted(&commits, result.as_ref().err());
            self.after(Write, fault).await;
            result
        }
    }
    Read resource(kind: &str, id: &str) -> Option<Resource>;
    Read resources(listing: &Listing) -> Vec<Resource>;
    Read find(search: &Search) -> Matches;
    Write add_note(note: Note, audit: Option<AuditEntry>, request: Option<IdempotencyRow>) -> Option<u64>;
    Read notes(kind: &str, id: &str, before: u64, limit: usize) -> Vec<Note>;
    Write delete_resource(kind: &str, id: &str, guard: Guard, audit: Option<AuditEntry>) -> bool;
    Read history(kind: &str, id: &str, after: u64, limit: usize) -> Vec<HistoryRow>;
    Read history_before(kind: &str, id: &str, before: u64, limit: usize) -> Vec<HistoryRow>;
    Read figures(kind: &str, minutes: (i64, i64)) -> Vec<Figure>;
    Read prices(kind: &str, id: &str, limit: usize) -> Vec<PriceRow>;
    Read idempotency(user: &str, key: &str) -> Option<IdempotencyRow>;
    Read kv(owner: &KvOwner, key: &str) -> Option<String>;
    Read kv_bytes(owner: &KvOwner) -> u64;
    Read kv_entries(kind: &str, id: &str) -> Vec<KvEntry>;
}

through! {
    Instances {
        fn epoch(&self) -> u64 {
            self.rows.epoch()
        }

        fn identity(&self) -> &str {
            self.rows.identity()
        }
    }
    Read progress(kind: &str, id: &str) -> Option<Progress>;
    Write claim_runs(line: &Line, now: Timestamp, limit: usize) -> Vec<StepRun>;
    Write claim_run(key: &str) -> Option<StepRun>;
    Read lines() -> Vec<(Line, Timestamp)>;
    Read claimed() -> Vec<StepRun>;
    Read runs(kind: &str, id: &str) -> Vec<StepRun>;
    Write recover_runs(crashed: &[String], park_after: u32) -> Vec<StepRun>;
    Write release_quarantined(component: &str) -> u64;
    Write wake(component: &str) -> u64;
    Read due_timers(now: Timestamp, limit: usize) -> Vec<Timer>;
    Read timers(kind: &str, id: &str) -> Vec<Timer>;
    Read next_timer_due() -> Option<Timestamp>;
    Write drop_timer(timer: &Timer) -> ();
    Write hold(kind: &str, id: &str, hold: Hold, audit: Option<AuditEntry>) -> bool;
    Write let_go(kind: &str, id: &str, audit: Option<AuditEntry>) -> bool;
    Read held(kind: &str, id: &str) -> Option<Hold>;
    Read holds() -> Vec<(String, String)>;
    Write let_wait(event: WaitingEvent) -> bool;
    Read waiting(kind: &str, id: &str, limit: usize) -> Vec<WaitingEvent>;
    Read waiting_counts() -> Vec<(String, String, u64)>;
    Write drop_waiting(number: u64) -> bool;
    Write hurry(kind: &str, id: &str, audit: Option<AuditEntry>) -> u64;
    Write put_machine(digest: &str, definition: &Definition) -> ();
    Read machine(digest: &str) -> Option<Definition>;
    Read unfinished() -> Vec<(String, String, u64)>;
    Read unfinished_by_owner(kind: &str, states: &[String]) -> Vec<(String, u64)>;
    Read pinned() -> Vec<PinnedTo>;
}

through! {
    Messages {
        fn last_before(&self) -> u64 {
            self.rows.last_before()
        }
    }
    Read unpublished(after: u64, limit: usize) -> Vec<OutboxRow>;
    Read unpublished_count() -> u64;
    Write mark_published(positions: &[u64]) -> ();
    Write republish(since: Timestamp) -> u64;
    Read handled(row: &InboxRow) -> bool;
    Read handled_since() -> Option<Timestamp>;
    Write add_dead_letter(letter: DeadLetter) -> ();
    Read dead_letters(limit: usize) -> Vec<DeadLetter>;
    Write redrive(topics: &[String], audit: Option<AuditEntry>) -> Redriven;
    Write discard(topic: &str, through: Option<u64>, audit: Option<AuditEntry>) -> u64;
    Write drop_dead_letter(id: u64) -> bool;
}

impl Simulated {
    fn noted(&self, commits: &[Commit], refused: Option<&StoreError>) {
        for commit in commits {
            let what = commit
                .change
                .as_ref()
                .map_or_else(String::new, |(_, resource)| format!("{} v{} {}", resource.id, resource.version, resource.state));
            let settled = commit.settled.as_ref().map_or_else(String::new, |settled| format!(" {} {:?}", settled.key, settled.status));
            let inbox = commit.inbox.as_ref().map_or_else(String::new, |row| format!(" {} {}", row.consumer, row.event_id));
            match refused {
                Some(error) => self.world.note("conflict", format_args!("{what}{settled}{inbox}: {error}")),
                None => {
                    self.world.note("commit", format_args!("{what}{settled}{inbox}"));
                    self.world.committed(commit);
                }
            }
        }
    }
}

//! The heart of a process that has the database: a sign of life each second on a connection of its own, whatever the writer waits for; and a look at
//! the others, whether one is dead, and who publishes which events.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::Connection as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};

use super::membership::Membership;
use super::owner;

/// Between two signs of life.
const BEAT_EVERY: Duration = Duration::from_secs(1);
/// How long one may take.
const LIMIT: Duration = Duration::from_secs(4);
/// How often it is looked, while one is under way, whether this process is still sure of what it has.
const JUDGE_EVERY: Duration = Duration::from_millis(250);

/// Beats for one process.
pub(super) struct Heart {
    options: PgConnectOptions,
    epoch: i64,
    membership: Arc<Membership>,
    connection: Option<PgConnection>,
    silences: Silences,
}

/// Since when no sign of life of each of the others is seen. The database's clock says when each was given, but somebody may set that clock; so
/// what counts is how long this process has seen the same one, by its own clock.
#[derive(Default)]
struct Silences {
    /// The last sign of life of each that was seen, and when it was seen first.
    of: HashMap<i64, (i64, Instant)>,
    /// When it was looked last.
    looked: Option<Instant>,
}

impl Silences {
    /// It was asked at `asked` and answered at `answered` how long those are silent that have these signs of life. Whoever has none any more is
    /// forgotten.
    fn look(&mut self, (asked, answered): (Instant, Instant), signs: impl IntoIterator<Item = (i64, i64)>) -> HashMap<i64, Duration> {
        // This process may have been stopped in between, and the others with it: then nothing is known of that time.
        if self.looked.replace(answered).is_some_and(|looked| asked.saturating_duration_since(looked) > LIMIT) {
            self.of.clear();
        }
        let before = std::mem::take(&mut self.of);
        let mut silent = HashMap::new();
        for (id, sign) in signs {
            let since = before.get(&id).filter(|(seen, _)| *seen == sign).map_or(answered, |(_, since)| *since);
            self.of.insert(id, (sign, since));
            // From the answer that had it first to this question: never longer than it was.
            silent.insert(id, asked.saturating_duration_since(since));
        }
        silent
    }

    /// A look has failed: nobody may have been able to give a sign of life.
    fn forget(&mut self) {
        *self = Self::default();
    }
}

impl Heart {
    pub(super) fn new(options: PgConnectOptions, epoch: i64, membership: Arc<Membership>) -> Self {
        Self { options, epoch, membership, connection: None, silences: Silences::default() }
    }

    /// Beats until it is dropped, or the process was ended by another one.
    pub(super) async fn beat(mut self) {
        loop {
            let begun = Instant::now();
            match self.once_in_time().await {
                Ok(true) => {}
                // The writer finds out by itself, and ends the process.
                Ok(false) => return self.membership.end(),
                Err(error) => {
                    tracing::debug!(%error, "no sign of life could be given");
                    self.silences.forget();
                }
            }
            self.membership.judge();
            tokio::time::sleep(BEAT_EVERY.saturating_sub(begun.elapsed())).await;
        }
    }

    /// One beat, or an error once it has taken too long.
    async fn once_in_time(&mut self) -> Result<bool, sqlx::Error> {
        let membership = Arc::clone(&self.membership);
        let judging = async {
            let deadline = Instant::now() + LIMIT;
            while Instant::now() < deadline {
                tokio::time::sleep(JUDGE_EVERY).await;
                membership.judge();
            }
        };
        tokio::select! {
            beaten = self.once() => beaten,
            () = judging => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
        }
    }

    /// One beat; false if this process was ended.
    async fn once(&mut self) -> Result<bool, sqlx::Error> {
        // In its place only after all went well: one that was left in the middle of something is of no more use.
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => PgConnection::connect_with(&self.options).await?,
        };
        // A transaction of the writer's was a sign of life, and another one would be a commit more each second.
        if self.membership.renewed_before() >= BEAT_EVERY {
            let sent = Instant::now();
            if !owner::renew(&mut connection, self.epoch).await? {
                return Ok(false);
            }
            self.membership.renew(sent);
        }
        let is_living = self.look(&mut connection).await?;
        self.connection = Some(connection);
        Ok(is_living)
    }

    /// Looks at the others; false if this process was ended.
    async fn look(&mut self, connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
        let asked = Instant::now();
        let all = owner::seen(connection).await?;
        let silent = self.silences.look((asked, Instant::now()), all.iter().map(|seen| (seen.id, seen.heartbeat_at)));
        let (mut living, mut is_mourned) = (Vec::new(), false);
        for seen in all {
            let silent_for = silent.get(&seen.id).copied().unwrap_or_default();
            let is_dead = seen.id != self.epoch && seen.is_dead(silent_for);
            if seen.is_mourned() || (is_dead && owner::end_dead(connection, &seen, silent_for).await?) {
                is_mourned = true;
            } else {
                living.push(seen.id);
            }
        }
        let Some(rank) = living.iter().position(|id| *id == self.epoch) else { return Ok(false) };
        self.membership.place(rank, living.len().saturating_sub(1));
        self.membership.set_slots(owner::share_slots(connection, self.epoch, living.len()).await?);
        if is_mourned {
            self.membership.bereaved.notify_one();
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A look that took no time, `seconds` after a beginning, at one with the id 1 whose sign of life is `sign`: how many seconds it is silent.
    fn look(silences: &mut Silences, beginning: Instant, (seconds, sign): (u64, i64)) -> u64 {
        let now = beginning + Duration::from_secs(seconds);
        silences.look((now, now), [(1, sign)])[&1].as_secs()
    }

    #[test]
    fn who_gives_signs_is_never_silent_whatever_the_clock_of_the_database_says() {
        let (mut silences, beginning) = (Silences::default(), Instant::now());
        let looks = [(0, 100), (2, 100), (4, 100), (6, 50), (8, 50), (10, 9_000), (12, 50)];
        assert_eq!(looks.map(|seen| look(&mut silences, beginning, seen)), [0, 2, 4, 0, 2, 0, 0]);
    }

    #[test]
    fn a_time_in_which_nobody_has_looked_is_no_silence() {
        let (mut silences, beginning) = (Silences::default(), Instant::now());
        assert_eq!([(0, 100), (3, 100), (60, 100), (62, 100)].map(|seen| look(&mut silences, beginning, seen)), [0, 3, 0, 2]);
        silences.forget();
        assert_eq!([(63, 100), (64, 100)].map(|seen| look(&mut silences, beginning, seen)), [0, 1]);
        let now = beginning + Duration::from_secs(65);
        assert!(silences.look((now, now), []).is_empty() && silences.of.is_empty(), "who is gone is forgotten");
    }
}

//! The heart of a process that has the database: a sign of life each second on a connection of its own, whatever the writer waits for; and a look at
//! the others, whether one is dead, and who publishes which events.

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
    /// Since when the others are looked at without a failure: after one nobody may have been heard of for a while.
    looking_since: Instant,
}

impl Heart {
    pub(super) fn new(options: PgConnectOptions, epoch: i64, membership: Arc<Membership>) -> Self {
        Self { options, epoch, membership, connection: None, looking_since: Instant::now() }
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
                    self.looking_since = Instant::now();
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
        let sent = Instant::now();
        if !owner::renew(&mut connection, self.epoch).await? {
            return Ok(false);
        }
        self.membership.renew(sent);
        self.look(&mut connection).await?;
        self.connection = Some(connection);
        Ok(true)
    }

    async fn look(&mut self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let looked_for = self.looking_since.elapsed().as_secs_f64();
        let (mut living, mut is_mourned) = (Vec::new(), false);
        for seen in owner::seen(connection).await? {
            if seen.is_mourned() || (seen.id != self.epoch && seen.is_dead(looked_for) && owner::end_dead(connection, &seen).await?) {
                is_mourned = true;
            } else {
                living.push(seen.id);
            }
        }
        let rank = living.iter().position(|id| *id == self.epoch).unwrap_or(0);
        self.membership.place(rank, living.len().saturating_sub(1));
        self.membership.set_slots(owner::share_slots(connection, self.epoch, living.len()).await?);
        if is_mourned {
            self.membership.bereaved.notify_one();
        }
        Ok(())
    }
}

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
const LIMIT: Duration = Duration::from_secs(3);
/// A break in the looks at the others: for so long nobody may have heard of anybody.
const BREAK: Duration = Duration::from_secs(3);

/// Beats for one process.
pub(super) struct Heart {
    options: PgConnectOptions,
    epoch: i64,
    membership: Arc<Membership>,
    connection: Option<PgConnection>,
    /// Since when the others are looked at without a break.
    looking_since: Instant,
    /// When they were looked at last.
    looked: Instant,
}

impl Heart {
    pub(super) fn new(options: PgConnectOptions, epoch: i64, membership: Arc<Membership>) -> Self {
        let now = Instant::now();
        Self { options, epoch, membership, connection: None, looking_since: now, looked: now }
    }

    /// Beats until it is dropped, or the process was ended by another one.
    pub(super) async fn beat(mut self) {
        loop {
            let begun = Instant::now();
            match tokio::time::timeout(LIMIT, self.once()).await {
                Ok(Ok(true)) => {}
                // The writer finds out by itself, and ends the process.
                Ok(Ok(false)) => return self.membership.end(),
                Ok(Err(error)) => {
                    tracing::debug!(%error, "no sign of life could be given");
                    self.connection = None;
                }
                Err(_) => {
                    tracing::debug!("a sign of life was not answered in time");
                    self.connection = None;
                }
            }
            self.membership.judge();
            tokio::time::sleep(BEAT_EVERY.saturating_sub(begun.elapsed())).await;
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
        let now = Instant::now();
        if now.duration_since(self.looked) > BREAK {
            self.looking_since = now;
        }
        self.looked = now;
        let looked_for = now.duration_since(self.looking_since).as_secs_f64();
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

//! Several reads of one moment.

use sqlx::pool::PoolConnection;
use sqlx::postgres::PgConnection;
use sqlx::{Error, Postgres};

/// A connection of the pool in a transaction that reads. Whoever asks may give up at any time, also while the transaction begins: then nobody
/// knows whether it has, and whoever got the connection next would be answered as it was at that moment for as long as it is used. So it goes back to the pool only once
/// the transaction has ended, and is closed otherwise.
pub(super) struct Moment(Option<PoolConnection<Postgres>>);

impl Moment {
    pub(super) async fn begin(connection: PoolConnection<Postgres>) -> Result<Self, Error> {
        let mut moment = Self(Some(connection));
        sqlx::raw_sql("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").execute(moment.connection()?).await?;
        Ok(moment)
    }

    pub(super) fn connection(&mut self) -> Result<&mut PgConnection, Error> {
        self.0.as_deref_mut().ok_or(Error::PoolClosed)
    }

    /// Gives the connection back. Nothing was written: whether it ends well is of no interest to who has asked.
    pub(super) async fn end(mut self) {
        let Ok(connection) = self.connection() else { return };
        if sqlx::raw_sql("ROLLBACK").execute(connection).await.is_ok() {
            drop(self.0.take());
        }
    }
}

impl Drop for Moment {
    fn drop(&mut self) {
        // Without a place in the pool it is closed.
        drop(self.0.take().map(PoolConnection::detach));
    }
}

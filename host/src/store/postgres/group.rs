//! The processes that have the database at once, for the rest of the program.

use async_trait::async_trait;
use tokio::sync::watch;

use super::super::StoreError;
use super::super::group::{Group, Heard, Owner, TakenOver};
use super::super::writer::Failure;
use super::{Postgres, owner, runs};

#[async_trait]
impl Group for Postgres {
    fn others(&self) -> usize {
        self.membership.others()
    }

    fn seat(&self) -> u32 {
        self.seat
    }

    fn slots(&self) -> u32 {
        self.membership.slots().count_ones()
    }

    fn lease(&self) -> Option<watch::Receiver<bool>> {
        Some(self.membership.lease())
    }

    fn heard_of(&self) -> Option<watch::Receiver<bool>> {
        Some(self.membership.heard())
    }

    async fn bereaved(&self) {
        self.membership.bereaved.notified().await;
    }

    async fn take_over(&self, park_after: u32) -> Result<TakenOver, StoreError> {
        self.writer.write(move |writing| Box::pin(async move { runs::take_over(writing, park_after).await })).await
    }

    async fn heard(&self) -> Heard {
        self.ear.heard(&self.membership, self.epoch).await
    }

    async fn owners(&self) -> Result<Vec<Owner>, StoreError> {
        let mut connection = self.reader().await?;
        owner::all(&mut connection).await.map_err(|error| Failure::from(&error).to_error())
    }
}

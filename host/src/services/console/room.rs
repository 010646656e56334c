//! How much is judged and tried for people at once. It takes memory, computing and places that running instances need, so there are few places, and
//! a short line before them; who finds that full, or waits for too long, is asked to come back.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::services::ServiceError;

/// Files that are judged at once, and that are received or wait besides: each is in memory, of 32 MiB at most. They are compiled one after the other.
const UPLOADS: (usize, usize) = (2, 4);
/// Trials, comparisons and replays at once, and those that wait.
const TRIALS: (usize, usize) = (4, 12);
/// Longest that one waits for its place.
const PATIENCE: Duration = Duration::from_secs(30);
/// When to come back.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// The places.
pub(super) struct Room {
    pub(super) uploads: Line,
    pub(super) trials: Line,
}

impl Default for Room {
    fn default() -> Self {
        Self { uploads: Line::new("uploads", UPLOADS), trials: Line::new("trials", TRIALS) }
    }
}

/// Places of one kind, and the line before them.
pub(super) struct Line {
    /// Of what, in the plural.
    what: &'static str,
    inside: Arc<Semaphore>,
    places: Arc<Semaphore>,
}

/// Somebody who is in the line or has a place; it is left when this is dropped.
pub struct Ticket {
    what: &'static str,
    places: Arc<Semaphore>,
    _inside: OwnedSemaphorePermit,
}

impl Line {
    fn new(what: &'static str, (at_once, waiting): (usize, usize)) -> Self {
        Self { what, inside: Arc::new(Semaphore::new(at_once + waiting)), places: Arc::new(Semaphore::new(at_once)) }
    }

    /// Enters the line.
    ///
    /// # Errors
    /// It is full.
    pub(super) fn enter(&self) -> Result<Ticket, ServiceError> {
        let inside = Arc::clone(&self.inside).try_acquire_owned().map_err(|_| busy(self.what))?;
        Ok(Ticket { what: self.what, places: Arc::clone(&self.places), _inside: inside })
    }
}

impl Ticket {
    /// Waits for a place, which is held as long as what this gives.
    ///
    /// # Errors
    /// It took too long.
    pub(super) async fn turn(&self) -> Result<OwnedSemaphorePermit, ServiceError> {
        self.turn_within(PATIENCE).await
    }

    async fn turn_within(&self, patience: Duration) -> Result<OwnedSemaphorePermit, ServiceError> {
        let place = tokio::time::timeout(patience, Arc::clone(&self.places).acquire_owned()).await;
        place.map_err(|_| busy(self.what))?.map_err(|closed| ServiceError::Internal(closed.into()))
    }
}

fn busy(what: &str) -> ServiceError {
    ServiceError::Unavailable {
        detail: format!("there are too many {what} at once, and nothing was done: try again"),
        retry_after: RETRY_AFTER,
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_few_have_a_place_a_few_wait_for_one_and_others_come_back_later() {
        let line = Line::new("trials", (2, 3));
        let tickets: Vec<Ticket> = (0..5).map(|_| line.enter().unwrap()).collect();
        let full = line.enter().err().unwrap();
        assert!(
            matches!(&full, ServiceError::Unavailable { detail, retry_after } if detail.contains("trials") && *retry_after == RETRY_AFTER)
        );
        let mut turns: Vec<_> = tickets.iter().map(|ticket| Box::pin(ticket.turn())).collect();
        let mut places: Vec<_> = turns.iter_mut().filter_map(|turn| turn.now_or_never()).map(Result::unwrap).collect();
        assert_eq!(places.len(), 2);
        places.pop();
        assert!(turns[2].as_mut().now_or_never().unwrap().is_ok(), "the first that waits");
        let late = tickets[3].turn_within(Duration::ZERO).await;
        assert!(matches!(late, Err(ServiceError::Unavailable { .. })), "{late:?}");
        drop(turns);
        drop(tickets);
        assert!(line.enter().is_ok());
    }
}

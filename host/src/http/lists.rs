//! Lists take long to read and to write out. One caller gets a few of them at a time, and all callers together no more than leave readers
//! of the database to everybody else; the others wait for their turn. Each that waits has a connection, and there are so many of these and no more.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::ApiError;

/// Lists of one caller at once.
const AT_ONCE: usize = 2;

/// The lists that are being made.
pub(super) struct Lists {
    callers: Arc<Mutex<HashMap<String, Caller>>>,
    together: Arc<Semaphore>,
}

struct Caller {
    places: Arc<Semaphore>,
    /// Made or waiting.
    lists: usize,
}

/// A list that may be made; it is over when this is dropped.
pub(super) struct Turn {
    _places: (OwnedSemaphorePermit, OwnedSemaphorePermit),
    _counted: Counted,
}

struct Counted {
    callers: Arc<Mutex<HashMap<String, Caller>>>,
    caller: String,
}

impl Lists {
    /// So many at once of all callers together, 1 or more.
    pub(super) fn new(together: usize) -> Self {
        Self { callers: Arc::default(), together: Arc::new(Semaphore::new(together)) }
    }

    /// Waits for the turn of `caller`.
    pub(super) async fn turn(&self, caller: &str) -> Result<Turn, ApiError> {
        let (counted, places) = self.count(caller);
        // First its own place: who asks for many has two of them at most in the line that all stand in.
        let own = places.acquire_owned().await.map_err(ApiError::internal)?;
        let shared = Arc::clone(&self.together).acquire_owned().await.map_err(ApiError::internal)?;
        Ok(Turn { _places: (own, shared), _counted: counted })
    }

    fn count(&self, caller: &str) -> (Counted, Arc<Semaphore>) {
        let mut callers = self.callers.lock();
        let one = callers.entry(caller.to_owned()).or_insert_with(|| Caller { places: Arc::new(Semaphore::new(AT_ONCE)), lists: 0 });
        one.lists += 1;
        (Counted { callers: Arc::clone(&self.callers), caller: caller.to_owned() }, Arc::clone(&one.places))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut callers = self.callers.lock();
        if let Some(one) = callers.get_mut(&self.caller) {
            one.lists -= 1;
            if one.lists == 0 {
                callers.remove(&self.caller);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use futures::future::join_all;

    use super::*;

    #[tokio::test]
    async fn who_asks_for_many_lists_waits_and_others_do_not() {
        let lists = Lists::new(3);
        let mut many: Vec<_> = (0..20).map(|_| Box::pin(lists.turn("mallory"))).collect();
        let mut turns: Vec<Turn> = many.iter_mut().filter_map(|turn| turn.now_or_never()).map(Result::unwrap).collect();
        assert_eq!(turns.len(), AT_ONCE);
        let other = lists.turn("ada").now_or_never().unwrap().unwrap();
        assert!(lists.turn("bob").now_or_never().is_none(), "all together have no more than that");
        drop(other);
        assert!(lists.turn("bob").now_or_never().is_some());
        // One after the other all of them get their turn.
        turns.clear();
        let waiting = many.split_off(AT_ONCE);
        assert_eq!(join_all(waiting.into_iter().map(|turn| async { drop(turn.await.unwrap()) })).await.len(), 18);
        drop(many);
        assert!(lists.callers.lock().is_empty(), "who asks for none is forgotten");
    }
}

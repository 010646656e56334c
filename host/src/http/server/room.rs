//! How many connections there may be, and who has to go when that is not enough.
//!
//! A place is for who asks something: what only holds a connection, or keeps its own request waiting, gives it up when another one
//! has a request. Beyond the places
//! there is standing room, where probes are answered and everything else waits for a place for a moment.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::activity::Activity;

/// Connections beyond the places; more wait in the listener's queue.
const STANDING: usize = 64;
/// For a connection that was asked to leave to do so.
const LEAVE_TIME: Duration = Duration::from_secs(1);

/// The connections of one listener.
pub(super) struct Room {
    epoch: Instant,
    places: Arc<Semaphore>,
    standing: Arc<Semaphore>,
    inside: Mutex<HashMap<u64, Arc<Activity>>>,
    next: AtomicU64,
}

/// A connection that was let in; it is gone when this is dropped.
pub(super) struct Guest {
    room: Arc<Room>,
    number: u64,
    activity: Arc<Activity>,
}

impl Guest {
    pub(super) fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.room.inside.lock().remove(&self.number);
    }
}

impl Room {
    /// Room with so many places.
    pub(super) fn new(places: usize) -> Self {
        Self {
            epoch: Instant::now(),
            places: Arc::new(Semaphore::new(places)),
            standing: Arc::new(Semaphore::new(STANDING)),
            inside: Mutex::default(),
            next: AtomicU64::new(0),
        }
    }

    /// Lets a connection in, once there is at least standing room.
    pub(super) async fn enter(self: &Arc<Self>) -> Guest {
        let (has_place, permit) = loop {
            if let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() {
                break (true, permit);
            }
            if let Ok(permit) = Arc::clone(&self.standing).try_acquire_owned() {
                break (false, permit);
            }
            self.ask_one_to_leave(false);
            // Whatever becomes free is given back at once, and taken above.
            tokio::select! {
                _ = self.places.acquire() => {}
                _ = self.standing.acquire() => {}
            }
        };
        let (number, activity) = (self.next.fetch_add(1, Ordering::Relaxed), Arc::new(Activity::new(self.epoch, has_place, permit)));
        self.inside.lock().insert(number, Arc::clone(&activity));
        Guest { room: Arc::clone(self), number, activity }
    }

    /// Lets a connection in that never has a place: `permit` is for room of its own, so nobody has to make way for it.
    pub(super) fn enter_aside(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> Guest {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        Guest { room: Arc::clone(self), number, activity: Arc::new(Activity::new(self.epoch, false, permit)) }
    }

    /// Gives a connection with a request a place, if it has none: a free one, or that of who needs it least. Answers whether it has one.
    pub(super) async fn claim(&self, activity: &Activity) -> bool {
        if activity.has_place() {
            return true;
        }
        let permit = match Arc::clone(&self.places).try_acquire_owned() {
            Ok(permit) => Some(permit),
            Err(_) if !self.ask_one_to_leave(true) => None,
            Err(_) => {
                let freed = tokio::time::timeout(LEAVE_TIME, Arc::clone(&self.places).acquire_owned()).await;
                freed.ok().and_then(Result::ok)
            }
        };
        permit.map(|permit| activity.promote(permit)).is_some()
    }

    /// Asks the most dispensable connection of those with a place, or of those without, to leave; answers whether there was one.
    fn ask_one_to_leave(&self, with_place: bool) -> bool {
        let inside = self.inside.lock();
        let candidates = inside.iter().filter(|(_, activity)| activity.has_place() == with_place);
        // Of those that are alike, the one that came first.
        let ranked = candidates.filter_map(|(number, activity)| Some(((activity.rank()?, *number), activity)));
        let first = ranked.min_by_key(|(rank, _)| *rank);
        first.is_some_and(|(_, activity)| activity.ask_to_leave())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a connection is asked to leave, now.
    fn asked(guest: &Guest) -> bool {
        futures::FutureExt::now_or_never(guest.activity().asked_to_leave()).is_some()
    }

    #[tokio::test]
    async fn a_request_gets_the_place_of_who_was_idle_for_longest() {
        let room = Arc::new(Room::new(3));
        let [first, second, third] = [room.enter().await, room.enter().await, room.enter().await];
        // The first has asked something since, so the second is the one that was idle for longest.
        std::thread::sleep(Duration::from_millis(1));
        drop(first.activity().begin());
        let fourth = room.enter().await;
        assert!(!fourth.activity().has_place());
        assert!(!asked(&first) && !asked(&second) && !asked(&third), "only a request needs a place");
        let claim = room.claim(fourth.activity());
        let leave = async {
            assert!(second.activity().asked_to_leave().await);
            drop(second);
        };
        assert!(tokio::join!(claim, leave).0 && fourth.activity().has_place());
        assert!(!asked(&first) && !asked(&third));
    }

    #[tokio::test]
    async fn requests_keep_their_places_and_event_streams_go_last() {
        let room = Arc::new(Room::new(2));
        let (stream, request) = (room.enter().await, room.enter().await);
        let streaming = stream.activity().begin();
        streaming.streams();
        let _running = request.activity().begin();
        let third = room.enter().await;
        let (claimed, ()) = tokio::join!(room.claim(third.activity()), async {
            assert!(stream.activity().asked_to_leave().await);
            drop((streaming, stream));
        });
        assert!(claimed && !asked(&request));
        let _asking = third.activity().begin();
        let fourth = room.enter().await;
        assert!(!room.claim(fourth.activity()).await, "both places are in use");
    }

    #[tokio::test]
    async fn who_stands_idle_makes_way_for_who_comes() {
        let room = Arc::new(Room::new(0));
        let mut standing = Vec::new();
        for _ in 0..STANDING {
            standing.push(room.enter().await);
        }
        let _probe = standing[0].activity().begin();
        let leave = async {
            assert!(standing[1].activity().asked_to_leave().await);
            drop(standing.remove(1));
        };
        let (_last, ()) = tokio::join!(room.enter(), leave);
    }
}

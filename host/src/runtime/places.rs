//! Who may run now: places, shared so that neither a component that hangs nor instances that hang take them all.
//!
//! Half of the places are shared out: each component has some of its own, which nobody else takes. The other half is for whoever
//! comes first. Of those that one component can have, runs that were attempted before get a part only, so that a first attempt finds
//! a place however many hang. What a version that no longer serves still holds is not counted: the pool of the engine has room for
//! as many again, so that a version which hangs never keeps its replacement waiting.
//!
//! Knows components by their number, nothing of what runs.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// Places, and who waits for one. Clones share them.
#[derive(Clone)]
pub(super) struct Places {
    shared: Arc<Mutex<Shared>>,
}

/// A place that was taken; dropping it gives it back.
pub(super) struct Taken {
    shared: Arc<Mutex<Shared>>,
    room: usize,
    /// That of the room when it was taken.
    round: u64,
    again: bool,
}

/// How many of a component run, and how many wait for a place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Crowd {
    /// Runs that have a place, those of versions that no longer serve left out.
    pub running: usize,
    /// Runs that wait for one.
    pub waiting: usize,
    /// How long the one that stands first has waited.
    pub waited: Duration,
}

struct Shared {
    /// Places that each component has for itself.
    own: usize,
    /// Free places that belong to nobody; less than none until those end that have more than they may since the places were shared out anew.
    common: isize,
    /// Of a component's places, those for runs that were attempted before.
    most_again: usize,
    /// Places held by versions that no longer serve, and as many as there is room for.
    left: usize,
    most_left: usize,
    waiting: usize,
    rooms: Vec<Room>,
    /// The room that is looked at first when a place is free.
    next: usize,
}

#[derive(Default)]
struct Room {
    /// Grows when its version is replaced.
    round: u64,
    taken: usize,
    again: usize,
    /// Those that wait: first attempts, and others.
    lines: [VecDeque<(Instant, oneshot::Sender<Taken>)>; 2],
    /// Its version was replaced, but there was no room to leave what it holds uncounted.
    replaced: bool,
}

impl Places {
    /// `most` places for `components` components.
    pub fn new(most: usize, components: usize) -> Self {
        let shared = Shared { own: 0, common: 0, most_again: 0, left: 0, most_left: most, waiting: 0, rooms: Vec::new(), next: 0 };
        let places = Self { shared: Arc::new(Mutex::new(shared)) };
        places.share_out(components);
        places
    }

    /// Shares the places out among `components` components, or more if there were more before. Nobody loses a place.
    pub fn share_out(&self, components: usize) {
        let mut shared = self.shared.lock();
        let rooms = shared.rooms.len().max(components);
        shared.rooms.resize_with(rooms, Room::default);
        shared.own = shared.most_left / (2 * rooms.max(1));
        shared.most_again = most_again(shared.own);
        let beyond: usize = shared.rooms.iter().map(|room| room.taken.saturating_sub(shared.own)).sum();
        shared.common = shared.most_left.cast_signed() - (shared.own * rooms + beyond).cast_signed();
        let grants = shared.grants();
        drop(shared);
        self.hand_out(grants);
    }

    /// Runs of one component that were attempted before and have a place at once, at most.
    pub fn most_again(&self) -> usize {
        self.shared.lock().most_again
    }

    /// Waits for a place for component number `room`; `again` if the run was attempted before.
    pub async fn take(&self, room: usize, again: bool) -> Taken {
        loop {
            let waiting = {
                let mut shared = self.shared.lock();
                if shared.rooms[room].lines[usize::from(again)].is_empty() && shared.may_take(room, again) {
                    let round = shared.occupy(room, again);
                    drop(shared);
                    return self.taken(room, round, again);
                }
                let (sender, waiting) = oneshot::channel();
                shared.rooms[room].lines[usize::from(again)].push_back((Instant::now(), sender));
                shared.waiting += 1;
                waiting
            };
            // Nobody drops a sender without having sent; if it came to that, the run would stand in line once more.
            if let Ok(taken) = waiting.await {
                return taken;
            }
        }
    }

    /// The version of component number `room` was replaced: what it holds is not counted any more.
    pub fn replaced(&self, room: usize) {
        let mut shared = self.shared.lock();
        shared.rooms[room].replaced = true;
        shared.leave();
        let grants = shared.grants();
        drop(shared);
        self.hand_out(grants);
    }

    /// How it stands with component number `room`.
    pub fn crowd(&self, room: usize) -> Crowd {
        let shared = self.shared.lock();
        let room = &shared.rooms[room];
        let waiting = room.lines.iter().flatten().filter(|(_, sender)| !sender.is_closed());
        let (count, since) = waiting
            .fold((0, None::<Instant>), |(count, first), (since, _)| (count + 1, Some(first.map_or(*since, |first| first.min(*since)))));
        Crowd { running: room.taken, waiting: count, waited: since.map_or(Duration::ZERO, |since| since.elapsed()) }
    }

    fn taken(&self, room: usize, round: u64, again: bool) -> Taken {
        Taken { shared: Arc::clone(&self.shared), room, round, again }
    }

    fn hand_out(&self, grants: Vec<Grant>) {
        for Grant { sender, room, round, again } in grants {
            // Who has gone meanwhile leaves the place, which gives it back.
            let _ = sender.send(self.taken(room, round, again));
        }
    }
}

/// A part of those that a component has for itself: the rest is left to first attempts.
fn most_again(own: usize) -> usize {
    (own * 3 / 4).max(1)
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut shared = self.shared.lock();
        shared.free(self.room, self.round, self.again);
        let grants = shared.grants();
        drop(shared);
        Places { shared: Arc::clone(&self.shared) }.hand_out(grants);
    }
}

/// A place that is taken for somebody who waits.
struct Grant {
    sender: oneshot::Sender<Taken>,
    room: usize,
    round: u64,
    again: bool,
}

impl Shared {
    fn may_take(&self, room: usize, again: bool) -> bool {
        let room = &self.rooms[room];
        (!again || room.again < self.most_again) && (room.taken < self.own || self.common > 0)
    }

    fn occupy(&mut self, room: usize, again: bool) -> u64 {
        let room = &mut self.rooms[room];
        if room.taken >= self.own {
            self.common -= 1;
        }
        room.taken += 1;
        room.again += usize::from(again);
        room.round
    }

    fn free(&mut self, room: usize, round: u64, again: bool) {
        let room = &mut self.rooms[room];
        if room.round != round {
            self.left -= 1;
            self.leave();
            return;
        }
        if room.taken > self.own {
            self.common += 1;
        }
        room.taken -= 1;
        room.again -= usize::from(again);
    }

    /// Leaves uncounted what replaced versions hold, as far as there is room.
    fn leave(&mut self) {
        for room in self.rooms.iter_mut().filter(|room| room.replaced) {
            if self.left + room.taken > self.most_left {
                continue;
            }
            self.left += room.taken;
            self.common += room.taken.saturating_sub(self.own).cast_signed();
            (room.taken, room.again, room.replaced) = (0, 0, false);
            room.round += 1;
        }
    }

    /// Takes every place that is free and that somebody waits for: first attempts first, components in turn.
    fn grants(&mut self) -> Vec<Grant> {
        let mut grants = Vec::new();
        let mut without = 0;
        while self.waiting > 0 && without < self.rooms.len() {
            let room = self.next % self.rooms.len();
            self.next = room + 1;
            match self.grant(room) {
                Some(grant) => {
                    grants.push(grant);
                    without = 0;
                }
                None => without += 1,
            }
        }
        grants
    }

    fn grant(&mut self, room: usize) -> Option<Grant> {
        for again in [false, true] {
            while self.may_take(room, again) {
                let Some((_, sender)) = self.rooms[room].lines[usize::from(again)].pop_front() else { break };
                self.waiting -= 1;
                if !sender.is_closed() {
                    let round = self.occupy(room, again);
                    return Some(Grant { sender, room, round, again });
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    fn at_once(places: &Places, room: usize, again: bool) -> Option<Taken> {
        places.take(room, again).now_or_never()
    }

    fn fill(places: &Places, room: usize, again: bool) -> Vec<Taken> {
        std::iter::from_fn(|| at_once(places, room, again)).collect()
    }

    #[test]
    fn one_component_takes_its_own_and_the_common_places_and_leaves_those_of_the_others() {
        let places = Places::new(16, 4);
        let hanging = fill(&places, 0, false);
        assert_eq!(hanging.len(), 2 + 8);
        for other in 1..4 {
            assert_eq!(fill(&places, other, false).len(), 2, "{other}");
        }
    }

    #[test]
    fn those_that_were_attempted_before_leave_places_to_first_attempts() {
        let places = Places::new(16, 1);
        let again = fill(&places, 0, true);
        assert_eq!(again.len(), 6);
        assert_eq!(fill(&places, 0, false).len(), 10);
    }

    #[test]
    fn places_are_shared_out_anew_when_there_are_more_components_and_nobody_loses_one() {
        let places = Places::new(16, 1);
        let before = fill(&places, 0, false);
        assert_eq!(before.len(), 16);
        places.share_out(2);
        assert!(fill(&places, 0, false).is_empty());
        assert_eq!(fill(&places, 1, false).len(), 4, "what is its own");
        drop(before);
        let now = fill(&places, 0, false);
        assert_eq!((now.len(), fill(&places, 1, false).len()), (12, 4));
        drop(now);
        assert_eq!(fill(&places, 1, false).len(), 12);
    }

    #[test]
    fn a_single_place_is_for_everybody() {
        let places = Places::new(1, 3);
        for (room, again) in [(0, true), (1, false), (2, true)] {
            let taken = at_once(&places, room, again);
            assert!(taken.is_some() && at_once(&places, 0, false).is_none());
        }
    }

    #[tokio::test]
    async fn a_free_place_goes_to_who_waits_first_attempts_first_and_nobody_keeps_one_who_has_gone() {
        let places = Places::new(1, 1);
        let held = at_once(&places, 0, false).unwrap();
        let mut again = Box::pin(places.take(0, true));
        let mut gone = Box::pin(places.take(0, false));
        let mut first = Box::pin(places.take(0, false));
        assert!(
            again.as_mut().now_or_never().is_none() && gone.as_mut().now_or_never().is_none() && first.as_mut().now_or_never().is_none()
        );
        let crowd = places.crowd(0);
        assert_eq!((crowd.running, crowd.waiting), (1, 3));
        drop(gone);
        drop(held);
        let held = first.await;
        assert!(again.as_mut().now_or_never().is_none());
        drop(held);
        // A place that was handed to somebody who has gone before looking is not lost.
        drop(again);
        assert!(at_once(&places, 0, false).is_some());
    }

    #[test]
    fn what_a_replaced_version_holds_is_not_counted() {
        let places = Places::new(8, 2);
        let old = fill(&places, 0, false);
        assert_eq!(old.len(), 6);
        places.replaced(0);
        let new = fill(&places, 0, false);
        assert_eq!(new.len(), 6);
        // No more than as many again: the next one waits for some of them to end.
        places.replaced(0);
        assert!(at_once(&places, 0, false).is_none());
        drop(old);
        assert_eq!(fill(&places, 0, false).len(), 6);
        drop(new);
        assert_eq!((places.crowd(0).running, places.shared.lock().left), (0, 0));
        let others = fill(&places, 1, false);
        assert_eq!((others.len(), fill(&places, 0, false).len()), (6, 2));
    }
}

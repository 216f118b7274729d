//! What waits to be sent: in turn among the owners, in order for each key.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::entry::QueuedWrite;
use super::{CALL_BYTES_MAX, CALL_ITEMS_MAX, Key, Owner};

#[derive(Default)]
pub(super) struct Queue {
    lanes: HashMap<Owner, Lane>,
    /// The lanes that have something to send, in turn, each once.
    turns: VecDeque<Owner>,
    /// Keys that have something to send.
    ready: usize,
    /// Keys that wait before they are tried again.
    delayed: BinaryHeap<Reverse<(Instant, Owner, Key)>>,
}

/// What one owner has to write.
struct Lane {
    share: Arc<Semaphore>,
    lines: HashMap<Key, KeyWrites>,
    /// The keys whose line is ready, in order, each once.
    ready: VecDeque<Key>,
    has_turn: bool,
}

/// What is to be written to one key, in order. It may be empty: all was withdrawn.
struct KeyWrites {
    state: State,
    entries: VecDeque<QueuedWrite>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Ready,
    /// A write to the key is in a call.
    Flying,
    Delayed,
}

/// A write in a call.
pub(super) struct Flight {
    pub(super) owner: Owner,
    pub(super) entry: QueuedWrite,
}

/// How a key goes on after a call.
pub(super) enum Landed {
    /// With its next write.
    Next,
    /// With its next write, but not before then.
    NextAt(Instant),
    /// With the same write.
    Again(QueuedWrite),
    AgainAt(QueuedWrite, Instant),
}

impl Lane {
    fn new(share: Arc<Semaphore>) -> Lane {
        Lane {
            share,
            lines: HashMap::new(),
            ready: VecDeque::new(),
            has_turn: false,
        }
    }
}

impl Queue {
    /// What the owner may have in the queue: `max`, over all of its calls.
    pub(super) fn share(&self, owner: &Owner, max: usize) -> Arc<Semaphore> {
        let fresh = || Arc::new(Semaphore::new(max));
        let lane = self.lanes.get(owner);
        lane.map_or_else(fresh, |lane| lane.share.clone())
    }

    pub(super) fn push(
        &mut self,
        owner: &Owner,
        share: &Arc<Semaphore>,
        entries: Vec<QueuedWrite>,
    ) {
        if entries.is_empty() {
            return;
        }
        let lane = self.lanes.entry(owner.clone());
        let lane = lane.or_insert_with(|| Lane::new(share.clone()));
        for entry in entries {
            let line = lane.lines.entry(entry.key().clone()).or_insert_with(|| {
                lane.ready.push_back(entry.key().clone());
                KeyWrites {
                    state: State::Ready,
                    entries: VecDeque::new(),
                }
            });
            if line.entries.is_empty() && line.state == State::Ready {
                self.ready += 1;
            }
            line.entries.push_back(entry);
        }
        self.give_turn(owner);
    }

    /// Takes what its caller no longer wants. What is in a call stays there.
    pub(super) fn withdraw(&mut self, owner: &Owner, key: &Key, id: u64) {
        let lane = self.lanes.get_mut(owner);
        let Some(line) = lane.and_then(|lane| lane.lines.get_mut(key)) else {
            return;
        };
        let before = line.entries.len();
        line.entries.retain(|entry| entry.id != id);
        let emptied = before > 0 && line.entries.is_empty();
        if emptied && line.state == State::Ready {
            self.ready = self.ready.saturating_sub(1);
        }
    }

    /// How many keys have something to send.
    pub(super) fn ready(&self) -> usize {
        self.ready
    }

    /// When a key that waits goes on.
    pub(super) fn next_delayed(&self) -> Option<Instant> {
        self.delayed.peek().map(|Reverse((at, _, _))| *at)
    }

    /// Makes the keys ready that have waited for long enough.
    pub(super) fn wake(&mut self, now: Instant) {
        while self.next_delayed().is_some_and(|at| at <= now) {
            if let Some(Reverse((_, owner, key))) = self.delayed.pop() {
                self.make_ready(&owner, &key);
            }
        }
    }

    /// As much as one call takes: one of each owner in turn, and each key once.
    pub(super) fn batch(&mut self) -> Vec<Flight> {
        let mut batch: Vec<Flight> = Vec::new();
        let mut bytes = 0;
        while batch.len() < CALL_ITEMS_MAX {
            let Some(flight) = self.pop() else {
                break;
            };
            let alone = flight.entry.alone;
            bytes += flight.entry.write.wire_bytes;
            if !batch.is_empty() && (alone || bytes > CALL_BYTES_MAX) {
                self.put_back(flight);
                break;
            }
            batch.push(flight);
            if alone {
                break;
            }
        }
        batch
    }

    pub(super) fn land(&mut self, owner: &Owner, key: &Key, landed: Landed) {
        let lane = self.lanes.get_mut(owner);
        let Some(line) = lane.and_then(|lane| lane.lines.get_mut(key)) else {
            return;
        };
        let at = match landed {
            Landed::Next => None,
            Landed::NextAt(at) => Some(at),
            Landed::Again(entry) => {
                line.entries.push_front(entry);
                None
            }
            Landed::AgainAt(entry, at) => {
                line.entries.push_front(entry);
                Some(at)
            }
        };
        match at {
            None => self.make_ready(owner, key),
            Some(at) => {
                line.state = State::Delayed;
                self.delayed.push(Reverse((at, owner.clone(), key.clone())));
            }
        }
    }

    fn make_ready(&mut self, owner: &Owner, key: &Key) {
        let Some(lane) = self.lanes.get_mut(owner) else {
            return;
        };
        let Some(line) = lane.lines.get_mut(key) else {
            return;
        };
        if line.entries.is_empty() {
            lane.lines.remove(key);
            self.forget(owner);
            return;
        }
        line.state = State::Ready;
        lane.ready.push_back(key.clone());
        self.ready += 1;
        self.give_turn(owner);
    }

    fn give_turn(&mut self, owner: &Owner) {
        if let Some(lane) = self.lanes.get_mut(owner)
            && !lane.has_turn
            && !lane.ready.is_empty()
        {
            lane.has_turn = true;
            self.turns.push_back(owner.clone());
        }
    }

    /// A lane with nothing in it is made anew when it is wanted.
    fn forget(&mut self, owner: &Owner) {
        if self
            .lanes
            .get(owner)
            .is_some_and(|lane| lane.lines.is_empty())
        {
            self.lanes.remove(owner);
        }
    }

    fn pop(&mut self) -> Option<Flight> {
        while let Some(owner) = self.turns.pop_front() {
            let entry = self.lanes.get_mut(&owner).and_then(Lane::pop);
            if entry.is_some() {
                self.ready = self.ready.saturating_sub(1);
            }
            self.give_turn(&owner);
            self.forget(&owner);
            if let Some(entry) = entry {
                return Some(Flight { owner, entry });
            }
        }
        None
    }

    /// Undoes [`Queue::pop`]: the flight is the next to be popped.
    fn put_back(&mut self, flight: Flight) {
        let Flight { owner, entry } = flight;
        let Some(lane) = self.lanes.get_mut(&owner) else {
            return;
        };
        let key = entry.key().clone();
        if let Some(line) = lane.lines.get_mut(&key) {
            line.state = State::Ready;
            line.entries.push_front(entry);
            lane.ready.push_front(key);
            self.ready += 1;
        }
        // It may stand at the end, having another key to send.
        self.turns.retain(|other| *other != owner);
        lane.has_turn = true;
        self.turns.push_front(owner);
    }
}

impl Lane {
    /// The next write, whose key is then in a call.
    fn pop(&mut self) -> Option<QueuedWrite> {
        self.has_turn = false;
        while let Some(key) = self.ready.pop_front() {
            let Some(line) = self.lines.get_mut(&key) else {
                continue;
            };
            match line.entries.pop_front() {
                Some(entry) => {
                    line.state = State::Flying;
                    return Some(entry);
                }
                None => drop(self.lines.remove(&key)),
            }
        }
        None
    }
}

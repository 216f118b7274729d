//! Seats, of which there are so many in all and so many for each: whoever finds
//! none waits in turn.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub struct Room<K> {
    all: Arc<Semaphore>,
    each_max: usize,
    shares: Arc<Mutex<HashMap<K, CustomerSeats>>>,
}

/// What one has taken. It is forgotten with the last who sits or waits.
struct CustomerSeats {
    seats: Arc<Semaphore>,
    users: usize,
}

impl<K: Clone + Eq + Hash> Room<K> {
    pub fn new(all_max: usize, each_max: usize) -> Room<K> {
        Room {
            all: Arc::new(Semaphore::new(all_max.min(Semaphore::MAX_PERMITS))),
            each_max: each_max.min(Semaphore::MAX_PERMITS),
            shares: Arc::default(),
        }
    }

    /// Waits for a seat of one's own share, and then for one of the room.
    pub async fn enter(&self, key: K) -> Seat<K> {
        let (user, seats) = self.user(key);
        // Neither is ever closed.
        let own = seats.acquire_owned().await.ok();
        let all = self.all.clone().acquire_owned().await.ok();
        Seat {
            _own: own,
            _all: all,
            _user: user,
        }
    }

    fn user(&self, key: K) -> (User<K>, Arc<Semaphore>) {
        let mut shares = self.shares.lock();
        let share = shares.entry(key.clone()).or_insert_with(|| CustomerSeats {
            seats: Arc::new(Semaphore::new(self.each_max)),
            users: 0,
        });
        share.users += 1;
        let user = User {
            key,
            shares: self.shares.clone(),
        };
        (user, share.seats.clone())
    }
}

/// A seat, until it is dropped.
pub struct Seat<K: Clone + Eq + Hash> {
    _own: Option<OwnedSemaphorePermit>,
    _all: Option<OwnedSemaphorePermit>,
    _user: User<K>,
}

struct User<K: Clone + Eq + Hash> {
    key: K,
    shares: Arc<Mutex<HashMap<K, CustomerSeats>>>,
}

impl<K: Clone + Eq + Hash> Drop for User<K> {
    fn drop(&mut self) {
        let mut shares = self.shares.lock();
        if let Some(share) = shares.get_mut(&self.key) {
            share.users -= 1;
            if share.users == 0 {
                shares.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::task::{Context, Waker};

    use super::*;

    fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
        let mut future = std::pin::pin!(future);
        let mut context = Context::from_waker(Waker::noop());
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(value) => Some(value),
            std::task::Poll::Pending => None,
        }
    }

    #[test]
    fn one_who_has_its_share_leaves_the_rest_to_others() {
        let room = Room::new(3, 2);
        let first = at_once(room.enter("acme")).unwrap();
        let _second = at_once(room.enter("acme")).unwrap();
        assert!(at_once(room.enter("acme")).is_none());
        let _third = at_once(room.enter("globex")).unwrap();
        assert!(at_once(room.enter("initech")).is_none(), "all are taken");
        drop(first);
        assert!(at_once(room.enter("initech")).is_some());
    }

    #[test]
    fn nothing_is_kept_of_those_who_left_or_gave_up() {
        let room = Room::new(1, 1);
        let seat = at_once(room.enter("acme")).unwrap();
        assert!(at_once(room.enter("acme")).is_none());
        assert!(at_once(room.enter("globex")).is_none());
        drop(seat);
        assert!(room.shares.lock().is_empty());
        assert!(at_once(room.enter("globex")).is_some());
    }
}

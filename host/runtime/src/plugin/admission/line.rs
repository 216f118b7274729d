//! The calls of one deployment: those that run, and those that wait.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tokio::sync::oneshot;

use super::turns::{Rank, Turns};
use super::{AdmissionResult, Customer, Shed};

pub(super) struct CallQueueBounds {
    pub(super) in_flight_max: usize,
    pub(super) waiting_max: usize,
    pub(super) customer_in_flight_max: usize,
    pub(super) customer_waiting_max: usize,
}

pub(super) struct CallQueue {
    bounds: CallQueueBounds,
    running: usize,
    waiting: usize,
    /// When it last got a place.
    pub(super) turn: u64,
    /// Where it stands among the lines that are ready.
    pub(super) place: Option<Rank>,
    /// Whoever has a call here, and nobody else: the map is no larger than both
    /// limits together.
    shares: HashMap<Customer, CustomerQueue>,
    /// The customers of whom somebody waits who may run.
    ready: Turns<Customer>,
    /// How many wait of each customer, the most last.
    crowd: BTreeSet<(usize, Customer)>,
}

/// What one customer has of a line.
#[derive(Default)]
struct CustomerQueue {
    running: usize,
    turn: u64,
    place: Option<Rank>,
    /// By ticket, so the oldest first.
    waiting: BTreeMap<u64, oneshot::Sender<AdmissionResult>>,
}

impl CallQueue {
    pub(super) fn new(bounds: CallQueueBounds, turn: u64) -> CallQueue {
        CallQueue {
            bounds,
            running: 0,
            waiting: 0,
            turn,
            place: None,
            shares: HashMap::new(),
            ready: Turns::default(),
            crowd: BTreeSet::new(),
        }
    }

    pub(super) fn running(&self) -> usize {
        self.running
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    pub(super) fn in_flight(&self) -> usize {
        self.running + self.waiting
    }

    /// Whether somebody waits who needs nothing but a place of the host.
    pub(super) fn is_ready(&self) -> bool {
        self.running < self.bounds.in_flight_max && !self.ready.is_empty()
    }

    /// Whether nothing at all is remembered of anybody.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.shares.is_empty()
            && self.crowd.is_empty()
            && self.ready.is_empty()
            && self.in_flight() == 0
    }

    pub(super) fn has_room_for(&self, customer: &Customer) -> bool {
        let running = self.shares.get(customer).map_or(0, |share| share.running);
        self.running < self.bounds.in_flight_max && running < self.bounds.customer_in_flight_max
    }

    pub(super) fn start(&mut self, customer: &Customer, turn: u64) {
        self.running += 1;
        self.turn = turn;
        let share = self.shares.entry(customer.clone()).or_default();
        share.running += 1;
        share.turn = turn;
        self.rank(customer);
    }

    pub(super) fn end(&mut self, customer: &Customer) {
        let Some(share) = self.shares.get_mut(customer) else {
            return;
        };
        share.running = share.running.saturating_sub(1);
        self.running = self.running.saturating_sub(1);
        self.rank(customer);
    }

    /// # Errors
    /// If there is no room for another to wait, be it of the customer or at all.
    pub(super) fn enqueue(
        &mut self,
        customer: &Customer,
        ticket: u64,
    ) -> Result<oneshot::Receiver<AdmissionResult>, Shed> {
        let own = self.waiting_of(customer);
        if own >= self.bounds.customer_waiting_max {
            return Err(match self.bounds.waiting_max {
                0 => Shed::QueueFull,
                _ => Shed::ShareFull,
            });
        }
        if self.waiting >= self.bounds.waiting_max {
            self.make_room(own)?;
        }
        let (tell, told) = oneshot::channel();
        self.change_waiting(customer, |share| {
            // Whoever comes anew stands behind those who were here.
            if share.running == 0 && share.waiting.is_empty() {
                share.turn = ticket;
            }
            share.waiting.insert(ticket, tell);
        });
        Ok(told)
    }

    /// Takes one out who waits. Nothing means that it does not wait any more.
    pub(super) fn dequeue(
        &mut self,
        customer: &Customer,
        ticket: u64,
    ) -> Option<oneshot::Sender<AdmissionResult>> {
        self.change_waiting(customer, |share| share.waiting.remove(&ticket))
    }

    /// Starts the call whose turn it is, and answers whose it is and how to tell it.
    pub(super) fn next(
        &mut self,
        turn: u64,
    ) -> Option<(Customer, oneshot::Sender<AdmissionResult>)> {
        let customer = self.ready.first().cloned()?;
        let (_, tell) = self.change_waiting(&customer, |share| share.waiting.pop_first())?;
        self.start(&customer, turn);
        Some((customer, tell))
    }

    /// The newest call of the customer with the most waiting makes room for one
    /// of a customer with fewer. Where that would only turn the two round, the
    /// one that comes is turned away.
    fn make_room(&mut self, own: usize) -> Result<(), Shed> {
        let most = self.crowd.last().cloned();
        let (_, customer) = most
            .filter(|(waiting, _)| *waiting > own + 1)
            .ok_or(Shed::QueueFull)?;
        let newest = self.change_waiting(&customer, |share| share.waiting.pop_last());
        if let Some((_, tell)) = newest {
            let _ = tell.send(Err(Shed::QueueFull));
        }
        Ok(())
    }

    fn waiting_of(&self, customer: &Customer) -> usize {
        let share = self.shares.get(customer);
        share.map_or(0, |share| share.waiting.len())
    }

    /// The only way to change who waits: all that is counted follows.
    fn change_waiting<R>(
        &mut self,
        customer: &Customer,
        change: impl FnOnce(&mut CustomerQueue) -> R,
    ) -> R {
        let share = self.shares.entry(customer.clone()).or_default();
        let before = share.waiting.len();
        let result = change(share);
        let after = share.waiting.len();
        self.waiting = self.waiting + after - before;
        if before != after {
            self.crowd.remove(&(before, customer.clone()));
            if after > 0 {
                self.crowd.insert((after, customer.clone()));
            }
        }
        self.rank(customer);
        result
    }

    /// Puts a customer where it belongs, and forgets one that has nothing here.
    fn rank(&mut self, customer: &Customer) {
        let Some(share) = self.shares.get_mut(customer) else {
            return;
        };
        let may_run = share.running < self.bounds.customer_in_flight_max;
        let rank = (may_run && !share.waiting.is_empty()).then_some(Rank {
            running: share.running,
            turn: share.turn,
        });
        self.ready
            .place(&mut share.place, rank, || customer.clone());
        if share.running == 0 && share.waiting.is_empty() {
            self.shares.remove(customer);
        }
    }
}

//! Admission control: which of the waiting calls runs next.
//!
//! A call needs a place of its plugin (`in_flight_max`) and one of the host
//! (`engine.instances_max`). It takes both at once or none, so nobody holds the
//! one while waiting for the other. A place that comes free goes, among the
//! plugins that have somebody waiting and room for them, to the one with the
//! fewest calls running; and within the plugin to the customer with the fewest;
//! then to whoever was served longest ago. This is max-min fairness: whoever
//! asks for less than an equal share gets all of it, and what is left over is
//! shared by the rest.
//!
//! Order alone cannot help while one customer's slow calls hold every place.
//! So a customer has at most a share of a plugin's places and of its queue; and
//! when the queue is full, the customer with the most calls in it gives one up,
//! its newest.
//!
//! Requests without a key count as one customer together. A key costs
//! something, an address does not: a queue for each address would give the more
//! shares the more addresses somebody sends from.
//!
//! A queue that the plugin consumes counts as one customer, too: so a flood of
//! messages keeps no request waiting, nor a flood of requests the messages.

mod line;
mod permit;
mod reserve;
mod turns;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::Deserialize;
use tokio::sync::{Notify, oneshot};

use self::line::{CallQueue, CallQueueBounds};
pub use self::permit::{Gate, Permit};
pub use self::reserve::Reserve;
use self::turns::{Rank, Turns};
use crate::plugin::limits::PluginLimits;
use hearth_base::bounds;
use hearth_base::section::{Mistakes, Section};

/// The `[admission]` table of hearth.toml.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How much of a plugin's `in_flight_max` one customer may have, rounded up
    /// to whole calls.
    pub customer_in_flight_percent_max: u64,
    /// The same of `waiting_max`.
    pub customer_waiting_percent_max: u64,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            customer_in_flight_percent_max: 80,
            customer_waiting_percent_max: 75,
        }
    }
}

impl Section for Config {
    fn validate(&self, mistakes: &mut Mistakes) {
        bounds! { self, mistakes =>
            customer_in_flight_percent_max in 1..=100,
            customer_waiting_percent_max in 1..=100,
        }
    }
}

impl Config {
    fn bounds(&self, limits: &PluginLimits) -> CallQueueBounds {
        CallQueueBounds {
            in_flight_max: limits.in_flight_max,
            waiting_max: limits.waiting_max,
            customer_in_flight_max: share(
                limits.in_flight_max,
                self.customer_in_flight_percent_max,
            ),
            customer_waiting_max: share(limits.waiting_max, self.customer_waiting_percent_max),
        }
    }
}

fn share(of: usize, percent: u64) -> usize {
    let percent = usize::try_from(percent).unwrap_or(100);
    of.saturating_mul(percent).div_ceil(100).min(of)
}

/// Whom a call counts for: nobody means everybody without a key.
pub type Customer = Option<Arc<str>>;

/// Why a call does not get to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Shed {
    #[error("too many requests of this plugin are waiting")]
    QueueFull,
    #[error("too many requests of this customer are waiting")]
    ShareFull,
    #[error("no instance became free in time")]
    WaitedTooLong,
}

/// What a waiting call is told.
type AdmissionResult = Result<(), Shed>;

/// All places of the host, and everybody who waits for one.
pub struct Admission {
    state: Mutex<State>,
    config: Config,
    /// Whoever holds a place in reserve hears that somebody waits for one.
    waits: Notify,
}

struct State {
    /// Places of the host that nobody has.
    free: usize,
    lines: HashMap<u64, CallQueue>,
    /// The lines in which somebody waits who may run.
    ready: Turns<u64>,
    /// Numbers lines, tickets and turns: each is larger than those before it.
    last: u64,
}

/// How an arrival went.
enum Arrival {
    Runs,
    Waits {
        ticket: u64,
        told: oneshot::Receiver<AdmissionResult>,
    },
}

impl Admission {
    pub fn new(in_flight_max: usize, config: Config) -> Arc<Admission> {
        let state = State {
            free: in_flight_max,
            lines: HashMap::new(),
            ready: Turns::default(),
            last: 0,
        };
        Arc::new(Admission {
            state: Mutex::new(state),
            config,
            waits: Notify::new(),
        })
    }

    fn open(&self, limits: &PluginLimits) -> u64 {
        let mut state = self.state.lock();
        let id = state.number();
        let line = CallQueue::new(self.config.bounds(limits), id);
        state.lines.insert(id, line);
        id
    }

    /// Calls that still run give their places of the host back by themselves.
    fn close(&self, line: u64) {
        let mut state = self.state.lock();
        if let Some(closed) = state.lines.remove(&line) {
            state.ready.leave(closed.place);
        }
    }

    fn arrive(&self, line: u64, customer: &Customer) -> Result<Arrival, Shed> {
        let mut state = self.state.lock();
        let number = state.number();
        if state.start(line, customer, number) {
            return Ok(Arrival::Runs);
        }
        let Some(found) = state.lines.get_mut(&line) else {
            return Err(Shed::QueueFull);
        };
        let told = found.enqueue(customer, number)?;
        state.rank(line);
        self.waits.notify_waiters();
        Ok(Arrival::Waits {
            ticket: number,
            told,
        })
    }

    /// Whether the call runs; it never waits.
    fn try_arrive(&self, line: u64, customer: &Customer) -> bool {
        let mut state = self.state.lock();
        let number = state.number();
        state.start(line, customer, number)
    }

    fn somebody_waits(&self) -> bool {
        let state = self.state.lock();
        state.lines.values().any(|line| line.waiting() > 0)
    }

    /// A call has ended.
    fn leave(&self, line: u64, customer: &Customer) {
        self.state.lock().end(line, customer);
    }

    /// A call waits no longer, because its client went away or its time is over.
    /// It may have been given a place at this very moment.
    fn give_up(
        &self,
        line: u64,
        customer: &Customer,
        ticket: u64,
        told: &mut oneshot::Receiver<AdmissionResult>,
    ) {
        let mut state = self.state.lock();
        let waited = state
            .lines
            .get_mut(&line)
            .is_some_and(|line| line.dequeue(customer, ticket).is_some());
        match waited {
            true => state.rank(line),
            // Told under the lock, so an answer is there if there was one.
            false if matches!(told.try_recv(), Ok(Ok(()))) => state.end(line, customer),
            false => {}
        }
    }

    fn in_flight(&self, line: u64) -> usize {
        let state = self.state.lock();
        state.lines.get(&line).map_or(0, CallQueue::in_flight)
    }
}

impl State {
    fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Starts a call where there is room. Whoever waits may not run now, or would:
    /// places are handed out as soon as they come free. So nobody is overtaken.
    fn start(&mut self, line: u64, customer: &Customer, turn: u64) -> bool {
        let Some(found) = self.lines.get_mut(&line) else {
            return false;
        };
        if self.free == 0 || !found.has_room_for(customer) {
            return false;
        }
        found.start(customer, turn);
        self.free -= 1;
        self.rank(line);
        true
    }

    fn end(&mut self, line: u64, customer: &Customer) {
        self.free += 1;
        if let Some(ended) = self.lines.get_mut(&line) {
            ended.end(customer);
            self.rank(line);
        }
        self.hand_out();
    }

    /// Gives the free places to those who wait, the one that is owed most first.
    fn hand_out(&mut self) {
        while self.free > 0 {
            let number = self.number();
            let Some(id) = self.ready.first().copied() else {
                return;
            };
            let Some(line) = self.lines.get_mut(&id) else {
                return;
            };
            let Some((customer, tell)) = line.next(number) else {
                return;
            };
            // A call keeps its ear open until it has left the line, so this
            // never fails; if it did, the place would be free still.
            match tell.send(Ok(())) {
                Ok(()) => self.free -= 1,
                Err(_) => line.end(&customer),
            }
            self.rank(id);
        }
    }

    /// Puts a line where it belongs among those that are ready.
    fn rank(&mut self, id: u64) {
        let Some(line) = self.lines.get_mut(&id) else {
            return;
        };
        let rank = line.is_ready().then_some(Rank {
            running: line.running(),
            turn: line.turn,
        });
        self.ready.place(&mut line.place, rank, || id);
    }
}

//! The gate of one deployment, where a call waits for the permit to run.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use metrics::Gauge;
use tokio::sync::oneshot;

use super::{Admission, AdmissionResult, Arrival, Customer, Shed};
use crate::plugin::limits::PluginLimits;

/// How many calls run, and how many may wait for how long. A full queue sheds:
/// it does not grow.
pub struct Gate {
    pub(super) admission: Arc<Admission>,
    line: u64,
    wait_max: Duration,
    waiting: Gauge,
    /// Places that are held and not used, see [`super::Reserve`].
    pub(super) reserved: AtomicUsize,
}

/// When somebody who has time asks again, where there was not even room to wait.
const AGAIN: Duration = Duration::from_millis(50);

/// The right to run one call; dropped, another may.
pub struct Permit {
    admission: Arc<Admission>,
    line: u64,
    customer: Customer,
}

impl Gate {
    /// `admission` is shared by all plugins; `waiting` shows how many wait here.
    pub fn new(limits: &PluginLimits, admission: Arc<Admission>, waiting: Gauge) -> Gate {
        Gate {
            line: admission.open(limits),
            admission,
            wait_max: Duration::from_millis(limits.wait_ms_max),
            waiting,
            reserved: AtomicUsize::new(0),
        }
    }

    /// Waits for this caller's turn; it can be dropped while it waits.
    ///
    /// # Errors
    /// If there is no room to wait, or the wait was too long.
    pub async fn enter(&self, customer: Customer) -> Result<Permit, Shed> {
        let entering = self.enter_in_time(customer, Some(self.wait_max));
        entering.await
    }

    /// Waits for this caller's turn, however long that takes. Nobody may call it
    /// whose number is not bounded by something else.
    pub async fn enter_patiently(&self, customer: Customer) -> Permit {
        loop {
            match self.enter_in_time(customer.clone(), None).await {
                Ok(permit) => return permit,
                Err(_) => tokio::time::sleep(AGAIN).await,
            }
        }
    }

    /// Enters where there is room at once.
    pub fn try_enter(&self, customer: Customer) -> Option<Permit> {
        let runs = self.admission.try_arrive(self.line, &customer);
        runs.then(|| self.permit(customer))
    }

    async fn enter_in_time(
        &self,
        customer: Customer,
        wait_max: Option<Duration>,
    ) -> Result<Permit, Shed> {
        match self.admission.arrive(self.line, &customer)? {
            Arrival::Runs => Ok(self.permit(customer)),
            Arrival::Waits { ticket, told } => {
                let place = QueuedCall::take(self, customer, ticket, told);
                place.wait(wait_max).await
            }
        }
    }

    fn permit(&self, customer: Customer) -> Permit {
        Permit {
            admission: self.admission.clone(),
            line: self.line,
            customer,
        }
    }

    /// Calls that run or wait for their turn.
    pub fn in_flight(&self) -> usize {
        let taken = self.admission.in_flight(self.line);
        taken.saturating_sub(self.reserved.load(Relaxed))
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.admission.close(self.line);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.admission.leave(self.line, &self.customer);
    }
}

/// A call that waits; dropped, it waits no longer.
struct QueuedCall<'a> {
    gate: &'a Gate,
    customer: Customer,
    ticket: u64,
    told: oneshot::Receiver<AdmissionResult>,
    settled: bool,
}

impl<'a> QueuedCall<'a> {
    fn take(
        gate: &'a Gate,
        customer: Customer,
        ticket: u64,
        told: oneshot::Receiver<AdmissionResult>,
    ) -> QueuedCall<'a> {
        gate.waiting.increment(1.0);
        QueuedCall {
            gate,
            customer,
            ticket,
            told,
            settled: false,
        }
    }

    async fn wait(mut self, wait_max: Option<Duration>) -> Result<Permit, Shed> {
        let told = match wait_max {
            Some(wait_max) => tokio::time::timeout(wait_max, &mut self.told).await.ok(),
            None => Some((&mut self.told).await),
        };
        let Some(Ok(told)) = told else {
            return Err(Shed::WaitedTooLong);
        };
        self.settled = true;
        told.map(|()| self.gate.permit(self.customer.clone()))
    }
}

impl Drop for QueuedCall<'_> {
    fn drop(&mut self) {
        self.gate.waiting.decrement(1.0);
        if !self.settled {
            let (admission, line) = (&self.gate.admission, self.gate.line);
            admission.give_up(line, &self.customer, self.ticket, &mut self.told);
        }
    }
}

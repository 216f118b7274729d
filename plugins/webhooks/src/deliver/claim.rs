//! Claims a delivery if it is its turn. The state is read without a lock, and a place
//! of the endpoint is taken only if no other worker took one since: so thousands of
//! messages that arrive at once wait neither for each other nor for the plugin's
//! connections.

use std::time::Duration;

use hearth_plugin::consumer::Disposition;
use hearth_plugin::prelude::*;
use hearth_plugin::random;
use hearth_plugin::sql::Error;

use super::{LEASE, Leased, Worker, until, until_asked};
use crate::admit::{self, Admission};
use crate::order::Order;
use crate::sql::deliveries::{
    DeliveryState, Next, delivery_state, lease, lease_first, line, postpone, stop_delivery,
    take_slot,
};

/// How often a claim looks again where another one was quicker.
const LOOKS_MAX: u32 = 3;
/// When a message comes again that was too late each time.
const TOO_LATE: Duration = Duration::from_millis(50);

/// The state of a message so far.
pub(super) enum Claim {
    Leased(Leased),
    /// With the next one of the line, where it was leased in place of this one.
    Over(Disposition, Option<Next>),
}

impl From<Disposition> for Claim {
    fn from(disposition: Disposition) -> Self {
        Claim::Over(disposition, None)
    }
}

impl Worker<'_> {
    /// Leases the delivery, where it is its turn.
    pub(super) fn claim(&self) -> Result<Claim, Error> {
        for look in 1..=LOOKS_MAX {
            if let Some(claim) = self.look(look == LOOKS_MAX)? {
                return Ok(claim);
            }
        }
        Ok(until(Timestamp::now().after(TOO_LATE)).into())
    }

    /// `None` where something changed between the look and what followed from it.
    fn look(&self, is_last: bool) -> Result<Option<Claim>, Error> {
        let (event, endpoint) = (&self.order.event_id, &self.order.endpoint_id);
        let now = Timestamp::now();
        let Some(standing) = delivery_state(&self.database, event, endpoint, now)? else {
            return Ok(Some(Disposition::Done.into()));
        };
        match admit::admit(&standing, self.order.round, now) {
            Admission::Void => self.first_of_line(&standing, now).map(Some),
            Admission::Early(instant) => {
                let (ordered, failing) = (standing.ordered, standing.failing_since);
                Ok(Some(until_asked(instant, ordered, failing).into()))
            }
            Admission::Stop => {
                stop_delivery(&self.database, event, endpoint, self.order.round, now)?;
                Ok(Some(Disposition::Done.into()))
            }
            Admission::Line(from) => self.in_line(&standing, from, now),
            Admission::Slot(apart) => self.at_rate(&standing, apart, now),
            Admission::Go => match self.lease(&standing, now)? {
                None if is_last && standing.rate_per_second.is_none() => {
                    self.in_line(&standing, now, now)
                }
                leased => Ok(leased),
            },
        }
    }

    fn in_line(
        &self,
        standing: &DeliveryState,
        from: Timestamp,
        now: Timestamp,
    ) -> Result<Option<Claim>, Error> {
        let others = line(&self.database, &self.order.endpoint_id)?.count;
        let wait = admit::wait(standing, others, random::fraction());
        self.wait_until(standing, from.after(wait), false, now)
    }

    /// The message's own delivery is over, or carried on by another message: the place
    /// that it might have had is for the first one of the line.
    fn first_of_line(&self, standing: &DeliveryState, now: Timestamp) -> Result<Claim, Error> {
        if !standing.has_line || admit::is_full(standing) {
            return Ok(Disposition::Done.into());
        }
        let endpoint = &self.order.endpoint_id;
        let end = now.after(LEASE);
        let first = lease_first(&self.database, endpoint, now, end, standing.claims)?;
        Ok(Claim::Over(Disposition::Done, first))
    }

    fn wait_until(
        &self,
        standing: &DeliveryState,
        instant: Timestamp,
        has_slot: bool,
        now: Timestamp,
    ) -> Result<Option<Claim>, Error> {
        let order = self.order;
        let waits = postpone(
            &self.database,
            &order.event_id,
            &order.endpoint_id,
            order.round,
            now,
            instant,
            has_slot,
        )?;
        let (ordered, failing) = (standing.ordered, standing.failing_since);
        Ok((waits > 0).then(|| until_asked(instant, ordered, failing).into()))
    }

    /// Who has to wait for the rate gets an instant of its own, which is kept for it.
    fn at_rate(
        &self,
        standing: &DeliveryState,
        apart: Duration,
        now: Timestamp,
    ) -> Result<Option<Claim>, Error> {
        let micros = i64::try_from(apart.as_micros()).unwrap_or(i64::MAX);
        let slot = take_slot(&self.database, &self.order.endpoint_id, now, micros)?;
        let at = slot.map_or(now, |slot| slot.at);
        if at > now {
            return self.wait_until(standing, at, true, now);
        }
        match self.lease(standing, now)? {
            None => self.wait_until(standing, now.after(TOO_LATE), true, now),
            leased => Ok(leased),
        }
    }

    /// `None` where another one was quicker.
    fn lease(&self, standing: &DeliveryState, now: Timestamp) -> Result<Option<Claim>, Error> {
        let Order {
            event_id,
            endpoint_id,
            round,
        } = self.order;
        let (end, claims) = (now.after(LEASE), standing.claims);
        let taken = lease(
            &self.database,
            event_id,
            endpoint_id,
            *round,
            now,
            end,
            claims,
        )?;
        Ok(taken.map(|taken| {
            Claim::Leased(Leased {
                tries: taken.tries,
                attempts: taken.attempts,
                slow: standing.slow,
                throttles: standing.throttles,
                failing_since: standing.failing_since,
                ordered: standing.ordered,
            })
        }))
    }
}

//! One delivery from its message to its disposition: it is admitted and leased in a
//! transaction, sent without one, and what came of it is written in another. Should the
//! host end in between, the message comes again, and the receiver may see the event
//! twice, under the same id.

use std::time::Duration;

use hearth_plugin::consumer::{Batch as Messages, Disposition};
use hearth_plugin::prelude::*;
use hearth_plugin::seal::Keys;
use hearth_plugin::sql::{Batch, Error};
use hearth_plugin::{log, random};

use crate::admit::{self, Admission};
use crate::attempt::{self, Attempt, Delivery, Verdict};
use crate::endpoint::Reason;
use crate::headers::Headers;
use crate::order::Order;
use crate::sign::Key;
use crate::sql::attempts::{count_attempt, insert_attempt};
use crate::sql::deliveries::{
    lease, lock_delivery, lock_standing, note_failure, note_success, parcel, postpone, reserve,
    settle, stop_delivery,
};
use crate::sql::endpoints::{lock_endpoint, secrets_of};
use crate::{schedule, secrets, switch};

/// A call ends by then (`wall_ms_max` of the manifest), and whoever leased with it.
const LEASE: Duration = Duration::from_secs(20);
/// What an attempt leaves of the call's time for writing down what came of it.
const TO_WRITE: Duration = Duration::from_secs(2);
const MICROS_PER_HOUR: i64 = 3_600_000_000;

/// A leased delivery.
struct Leased {
    /// Attempts of its round so far.
    tries: i64,
    /// Slow attempts to its endpoint in a row.
    slow: i64,
    failing_since: Option<Timestamp>,
}

/// What came of a message so far.
enum Claim {
    Leased(Leased),
    Over(Disposition),
}

/// Delivers as an order says.
pub fn deliver(messages: &Messages, customer: &str, order: &Order) -> Disposition {
    let worker = Worker {
        messages,
        customer,
        database: messages.database(),
        order,
    };
    worker.run().unwrap_or_else(failed)
}

/// A trouble of the database passes; anything else would come again for ever.
pub fn failed(error: Error) -> Disposition {
    match error {
        Error::Unavailable
        | Error::DeadlineExceeded
        | Error::SerializationConflict
        | Error::OutcomeUnknown => Disposition::RetryAfter(spread(2)),
        error => Disposition::DeadLetter(format!("the database refused it: {error:?}")),
    }
}

/// From so many seconds to twice of them.
fn spread(seconds: u64) -> Duration {
    Duration::from_secs(seconds).mul_f64(1.0 + random::fraction())
}

/// Until that instant, and never a moment less.
fn until(instant: Timestamp) -> Disposition {
    let wait = Timestamp::now().until(instant);
    Disposition::RetryAfter(wait + Duration::from_millis(1))
}

struct Worker<'w> {
    messages: &'w Messages,
    customer: &'w str,
    database: Database,
    order: &'w Order,
}

impl Worker<'_> {
    fn run(&self) -> Result<Disposition, Error> {
        let leased = match self.claim()? {
            Claim::Leased(leased) => leased,
            Claim::Over(disposition) => return Ok(disposition),
        };
        if self.messages.context.deadline.remaining() < attempt::TIMEOUT + TO_WRITE {
            return self.give_back(Duration::ZERO);
        }
        match self.send()? {
            None => Ok(Disposition::Done),
            Some(Err(wait)) => self.give_back(wait.mul_f64(1.0 + random::fraction() / 4.0)),
            Some(Ok(attempt)) => self.write(&leased, &attempt),
        }
    }

    /// Leases the delivery, where it is its turn.
    fn claim(&self) -> Result<Claim, Error> {
        let Order {
            event_id,
            endpoint_id,
            round,
        } = self.order;
        let now = Timestamp::now();
        self.database.transaction(Isolation::ReadCommitted, |tx| {
            let Some(standing) = lock_standing(tx, endpoint_id)? else {
                return Ok(Claim::Over(Disposition::Done));
            };
            let Some(due) = lock_delivery(tx, event_id, endpoint_id, now)? else {
                return Ok(Claim::Over(Disposition::Done));
            };
            let over = match admit::admit(&standing, &due, *round, now, random::fraction()) {
                Admission::Go(rate_free_at) => {
                    lease(tx, event_id, endpoint_id, now.after(LEASE))?;
                    if rate_free_at != standing.rate_free_at {
                        reserve(tx, endpoint_id, standing.line_ends_at, rate_free_at)?;
                    }
                    return Ok(Claim::Leased(Leased {
                        tries: due.tries,
                        slow: standing.slow,
                        failing_since: standing.failing_since,
                    }));
                }
                Admission::Void => Disposition::Done,
                Admission::Early(instant) => until(instant),
                Admission::Stop => {
                    stop_delivery(tx, event_id, endpoint_id, now)?;
                    Disposition::Done
                }
                Admission::Wait(wait) => {
                    postpone(tx, event_id, endpoint_id, *round, wait.until, wait.has_slot)?;
                    reserve(tx, endpoint_id, wait.line_ends_at, wait.rate_free_at)?;
                    until(wait.until)
                }
            };
            Ok(Claim::Over(over))
        })
    }

    /// Nothing was sent: the delivery is due again after so long.
    fn give_back(&self, wait: Duration) -> Result<Disposition, Error> {
        let order = self.order;
        let due_at = Timestamp::now().after(wait);
        postpone(
            &self.database,
            &order.event_id,
            &order.endpoint_id,
            order.round,
            due_at,
            false,
        )?;
        Ok(until(due_at))
    }

    /// Makes the attempt; `None` where the event or the endpoint is gone.
    fn send(&self) -> Result<Option<Result<Attempt, Duration>>, Error> {
        let order = self.order;
        let Some(parcel) = parcel(&self.database, &order.event_id, &order.endpoint_id)? else {
            return Ok(None);
        };
        let stored = secrets_of(&self.database, &order.endpoint_id, Timestamp::now())?;
        let Ok(keys) = Keys::of_host() else {
            return Ok(Some(Err(spread(60))));
        };
        let open = |stored| secrets::open(&keys, self.customer, &order.endpoint_id, stored);
        let signing: Option<Vec<Key>> = stored.iter().map(open).collect();
        let headers = Headers::open(&keys, self.customer, &order.endpoint_id, &parcel.headers);
        let (Some(signing), Some(headers)) = (signing.filter(|keys| !keys.is_empty()), headers)
        else {
            let endpoint = order.endpoint_id.as_str();
            log::error!(
                "no key of this host opens an endpoint's secrets",
                endpoint = endpoint
            );
            return Ok(Some(Err(spread(60))));
        };
        let delivery = Delivery {
            event_id: &order.event_id,
            url: &parcel.url,
            body: &parcel.body,
            headers: &headers,
            keys: &signing,
        };
        Ok(Some(delivery.send()))
    }

    /// Writes down what an attempt came to.
    fn write(&self, leased: &Leased, attempt: &Attempt) -> Result<Disposition, Error> {
        let slow = attempt.slow(leased.slow);
        let verdict = attempt.verdict(leased.tries + 1, slow, random::fraction());
        metrics::count("attempts", 1, &[("outcome", attempt.outcome)]);
        metrics::observe("attempt", attempt.duration.as_secs_f64(), "seconds", &[]);
        match verdict {
            Verdict::Delivered => self.write_success(attempt, slow),
            verdict => self.write_failure(leased, attempt, slow, verdict),
        }
    }

    fn write_success(&self, attempt: &Attempt, slow: i64) -> Result<Disposition, Error> {
        let order = self.order;
        let (event, endpoint) = (order.event_id.as_str(), order.endpoint_id.as_str());
        let now = Timestamp::now();
        let row = Row::of(attempt);
        let mut batch = Batch::new();
        batch.add(note_success::step(endpoint, now, slow));
        batch.add(insert_attempt::step(
            &row.id,
            event,
            endpoint,
            attempt.started_at,
            row.duration_ms,
            attempt.outcome,
            row.status,
            None,
            &attempt.response,
        ));
        let ended = Some(now);
        batch.add(settle::step(
            event,
            endpoint,
            order.round,
            "delivered",
            now,
            row.status,
            None,
            ended,
        ));
        batch.add(count_attempt::step(
            endpoint,
            row.hour,
            1,
            0,
            row.duration_ms,
        ));
        batch.run(&self.database)?;
        Ok(Disposition::Done)
    }

    /// In one transaction with what it means for the endpoint. Locks are taken in the
    /// order of those who change endpoints: the endpoint's row, then its health.
    fn write_failure(
        &self,
        leased: &Leased,
        attempt: &Attempt,
        slow: i64,
        verdict: Verdict,
    ) -> Result<Disposition, Error> {
        let endpoint = self.order.endpoint_id.as_str();
        let now = Timestamp::now();
        let fails_for = |since: Timestamp| since.until(now) >= schedule::FAILING_MAX;
        let (wait, pause) = match verdict {
            Verdict::Again { wait, pause } => (Some(wait), pause),
            _ => (None, None),
        };
        let gone = verdict == Verdict::Gone;
        self.database.transaction(Isolation::ReadCommitted, |tx| {
            let ends = gone || leased.failing_since.is_some_and(fails_for);
            let locked = match ends {
                true => lock_endpoint(tx, endpoint)?,
                false => None,
            };
            let paused_until = pause.map(|pause| now.after(pause));
            let failing = note_failure(tx, endpoint, now, slow, paused_until)?;
            let failing = failing.is_some_and(|failing| fails_for(failing.failing_since));
            let mut stops = false;
            if let Some(mut locked) = locked.filter(|_| gone || failing) {
                let reason = if gone { Reason::Gone } else { Reason::Failing };
                switch::off(tx, &mut locked, reason, now)?;
                stops = true;
            }
            let status = match wait {
                _ if stops || gone => "stopped",
                Some(_) => "pending",
                None => "failed",
            };
            let due_at = now.after(wait.unwrap_or_default());
            self.write_attempt(tx, attempt, status, due_at, now)?;
            Ok(match status {
                "pending" => until(due_at),
                _ => Disposition::Done,
            })
        })
    }

    fn write_attempt(
        &self,
        tx: &Transaction,
        attempt: &Attempt,
        status: &str,
        due_at: Timestamp,
        now: Timestamp,
    ) -> Result<(), Error> {
        let order = self.order;
        let (event, endpoint) = (order.event_id.as_str(), order.endpoint_id.as_str());
        let row = Row::of(attempt);
        let error = attempt.error.as_deref();
        insert_attempt(
            tx,
            &row.id,
            event,
            endpoint,
            attempt.started_at,
            row.duration_ms,
            attempt.outcome,
            row.status,
            error,
            &attempt.response,
        )?;
        let ended_at = (status != "pending").then_some(now);
        settle(
            tx,
            event,
            endpoint,
            order.round,
            status,
            due_at,
            row.status,
            error,
            ended_at,
        )?;
        count_attempt(tx, endpoint, row.hour, 0, 1, row.duration_ms)?;
        Ok(())
    }
}

/// An attempt as its row has it.
struct Row {
    id: String,
    duration_ms: i64,
    status: Option<i64>,
    /// The hour in which it is counted.
    hour: Timestamp,
}

impl Row {
    fn of(attempt: &Attempt) -> Self {
        let micros = attempt.started_at.micros();
        Row {
            id: id::new("att"),
            duration_ms: i64::try_from(attempt.duration.as_millis()).unwrap_or(i64::MAX),
            status: attempt.status.map(i64::from),
            hour: Timestamp::from_micros(micros - micros.rem_euclid(MICROS_PER_HOUR)),
        }
    }
}

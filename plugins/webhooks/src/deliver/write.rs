//! Writes the outcome of an attempt: the attempt, its delivery, the health of the
//! endpoint, and whether the endpoint is disabled.

use std::time::Duration;

use hearth_plugin::consumer::Disposition;
use hearth_plugin::prelude::*;
use hearth_plugin::random;
use hearth_plugin::sql::{Batch, Error};

use super::{LEASE, Leased, TO_WRITE, Worker, until_asked};
use crate::attempt::{Attempt, Past, Verdict};
use crate::endpoint::Reason;
use crate::sql::attempts::{count_attempt, insert_attempt, latest};
use crate::sql::deliveries::{Next, lease_next, note_failure, note_success, settle};
use crate::sql::endpoints::lock_endpoint;
use crate::{schedule, switch};

/// Between two tries to write.
const BETWEEN_WRITES: Duration = Duration::from_millis(200);
const MICROS_PER_HOUR: i64 = 3_600_000_000;
/// Rows that count the attempts of an hour.
const PARTS: f64 = 16.0;
/// An endpoint that took an event since then takes events, if not so many.
const LATELY: Duration = Duration::from_secs(60);
/// Attempts of a delivery that its schedule does not count at most.
const UNCOUNTED_MAX: i64 = 100;

impl Worker<'_> {
    /// Writes the outcome of an attempt. If the database is unavailable for a moment it
    /// retries, as an attempt that is not written is sent again. The attempt's id shows
    /// whether it was written after all.
    pub(super) fn write(
        &self,
        leased: &Leased,
        attempt: &Attempt,
    ) -> Result<(Disposition, Option<Next>), Error> {
        let slow = attempt.slow(leased.slow);
        let tries = leased.tries + i64::from(self.counts(leased, attempt));
        let past = Past {
            tries: tries.max(1),
            slow,
            throttles: leased.throttles,
        };
        let verdict = attempt.verdict(past, random::fraction());
        metrics::count("attempts", 1, &[("outcome", attempt.outcome)]);
        metrics::observe("attempt", attempt.duration.as_secs_f64(), "seconds", &[]);
        let row = Row::of(attempt, slow, tries);
        let mut notify = true;
        loop {
            let written = match verdict {
                Verdict::Delivered => self.write_success(attempt, &row),
                verdict => {
                    let written = self.write_failure(leased, attempt, (&row, notify), verdict);
                    written.map(|disposition| (disposition, None))
                }
            };
            // The queue of notifications may be full, which must not stop this.
            notify = false;
            match written {
                Err(Error::UniqueViolation(_)) => return Ok((self.as_written(verdict), None)),
                Err(error) if !super::is_final(&error) && self.has_time() => {
                    std::thread::sleep(BETWEEN_WRITES);
                }
                written => return written,
            }
        }
    }

    /// Whether the schedule counts an attempt. Too many requests say nothing of the event
    /// where the endpoint takes others: it is sent again when the first of the schedule's
    /// waits is over, and so on, and not after hours.
    fn counts(&self, leased: &Leased, attempt: &Attempt) -> bool {
        let uncounted = leased.attempts - leased.tries;
        if attempt.status != Some(429) || uncounted >= UNCOUNTED_MAX {
            return true;
        }
        let lately = Timestamp::now().before(LATELY);
        let latest = latest(&self.database, &self.order.endpoint_id, hour_of(lately));
        // Where nobody can say, nothing can be written either, and all is tried again.
        let latest = latest.ok().and_then(|latest| latest.delivered_at);
        latest.is_none_or(|latest| latest < lately)
    }

    fn has_time(&self) -> bool {
        self.messages.context.deadline.remaining() > TO_WRITE / 2
    }

    /// The disposition of the message of an attempt that was written, although the
    /// answer of the database was lost. If the delivery is over, the message finds that
    /// out when it is received.
    fn as_written(&self, verdict: Verdict) -> Disposition {
        match verdict {
            Verdict::Again { wait, .. } => Disposition::RetryAfter(wait),
            _ => Disposition::Done,
        }
    }

    /// In one transaction with the lease of the next one, which has its place then.
    fn write_success(
        &self,
        attempt: &Attempt,
        row: &Row,
    ) -> Result<(Disposition, Option<Next>), Error> {
        let order = self.order;
        let (event, endpoint) = (order.event_id.as_str(), order.endpoint_id.as_str());
        let now = Timestamp::now();
        let mut batch = Batch::new();
        batch.add(note_success::step(
            endpoint,
            now,
            row.slow,
            attempt.started_at,
        ));
        batch.add(insert_attempt::step(
            &row.id,
            event,
            endpoint,
            attempt.started_at,
            row.duration_ms,
            attempt.outcome,
            row.status,
            None,
            attempt.note.as_deref(),
            &attempt.url,
            &row.request_headers,
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
            row.tries,
        ));
        batch.add(count_attempt::step(
            endpoint,
            row.hour,
            row.part,
            1,
            0,
            row.duration_ms,
            ended,
        ));
        let next = self
            .goes_on()
            .then(|| batch.add(lease_next::step(endpoint, now, now.after(LEASE))));
        let mut written = batch.run(&self.database)?;
        let next = next.map(|next| written.take(next)).transpose()?;
        Ok((Disposition::Done, next.flatten()))
    }

    /// In one transaction with what it means for the endpoint. Locks are taken in the
    /// order of those who change endpoints: the endpoint's row, then its health.
    fn write_failure(
        &self,
        leased: &Leased,
        attempt: &Attempt,
        (row, notify): (&Row, bool),
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
        let throttles = match attempt.is_throttled() {
            true => leased.throttles.saturating_add(1),
            false => 0,
        };
        self.database.transaction(Isolation::ReadCommitted, |tx| {
            let ends = gone || leased.failing_since.is_some_and(fails_for);
            let locked = match ends {
                true => lock_endpoint(tx, endpoint)?,
                false => None,
            };
            let paused_until = pause.map(|pause| now.after(pause));
            let failing = note_failure(tx, endpoint, now, row.slow, paused_until, throttles)?;
            let failing = failing.is_some_and(|failing| fails_for(failing.failing_since));
            let mut stops = false;
            if let Some(mut locked) = locked.filter(|_| gone || failing) {
                let reason = if gone { Reason::Gone } else { Reason::Failing };
                switch::off(tx, &mut locked, reason, now, notify)?;
                stops = true;
            }
            let status = match wait {
                _ if stops || gone => "stopped",
                Some(_) => "pending",
                None => "failed",
            };
            let due_at = now.after(wait.unwrap_or_default());
            self.write_attempt(tx, attempt, row, status, due_at, now)?;
            Ok(match status {
                "pending" => until_asked(due_at, leased.ordered, leased.failing_since),
                _ => Disposition::Done,
            })
        })
    }

    fn write_attempt(
        &self,
        tx: &Transaction,
        attempt: &Attempt,
        row: &Row,
        status: &str,
        due_at: Timestamp,
        now: Timestamp,
    ) -> Result<(), Error> {
        let order = self.order;
        let (event, endpoint) = (order.event_id.as_str(), order.endpoint_id.as_str());
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
            attempt.note.as_deref(),
            &attempt.url,
            &row.request_headers,
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
            row.tries,
        )?;
        count_attempt(
            tx,
            endpoint,
            row.hour,
            row.part,
            0,
            1,
            row.duration_ms,
            None,
        )?;
        Ok(())
    }
}

/// An attempt as its row has it.
struct Row {
    id: String,
    duration_ms: i64,
    status: Option<i64>,
    request_headers: Json,
    /// Attempts of the endpoint in a row that were slow, with this one.
    slow: i64,
    /// Attempts of the delivery that its schedule counts, with this one.
    tries: i64,
    /// The hour in which it is counted, and the part of it.
    hour: Timestamp,
    part: i64,
}

fn hour_of(instant: Timestamp) -> Timestamp {
    let micros = instant.micros();
    Timestamp::from_micros(micros - micros.rem_euclid(MICROS_PER_HOUR))
}

impl Row {
    fn of(attempt: &Attempt, slow: i64, tries: i64) -> Self {
        Row {
            id: id::new("att"),
            duration_ms: i64::try_from(attempt.duration.as_millis()).unwrap_or(i64::MAX),
            status: attempt.status.map(i64::from),
            request_headers: Json(attempt.request_headers.clone()),
            slow,
            tries,
            hour: hour_of(attempt.started_at),
            part: (random::fraction() * PARTS) as i64,
        }
    }
}

//! One delivery, from its message to its disposition: it is admitted and leased
//! (`claim`), sent while no transaction is open, and the outcome is written in one
//! (`write`). If the host ends in between, the message is delivered again, and the
//! receiver may see the event twice, under the same id.
//!
//! A worker that has delivered takes the next delivery of the endpoint's line in the
//! same place: a receiver that answers quickly gets waiting deliveries as fast as it
//! accepts them. When the messages of those are received later, the deliveries are
//! done, and the worker takes the next ones.

mod claim;
mod write;

use std::time::Duration;

use hearth_plugin::consumer::{Batch as Messages, Disposition};
use hearth_plugin::prelude::*;
use hearth_plugin::seal::Keys;
use hearth_plugin::sql::Error;
use hearth_plugin::{log, random};

use self::claim::Claim;
use crate::attempt::{self, Attempt, Delivery};
use crate::headers::Headers;
use crate::order::Order;
use crate::secrets;
use crate::sign::Key;
use crate::sql::deliveries::{Next, give_back, parcel};
use crate::sql::endpoints::secrets_of;

/// How long a delivery is leased: a call ends by then (`wall_ms_max` of the manifest),
/// and so does the worker that leased it.
const LEASE: Duration = Duration::from_secs(20);
/// How much of the call's time is reserved for writing the outcome of an attempt.
const TO_WRITE: Duration = Duration::from_secs(2);
/// Between two looks of an ordered endpoint's first delivery, which waits.
const LOOK_MIN: Duration = Duration::from_secs(2);
const LOOK_MAX: Duration = Duration::from_secs(60);
/// Deliveries of one call, so that the largest events, signed with two keys, stay well
/// within what it may compute (`cpu_ms_max`).
const ALONG_MAX: u32 = 32;

/// A leased delivery.
struct Leased {
    /// Attempts of its round so far that the schedule counts.
    tries: i64,
    /// All attempts so far, of all of its rounds.
    attempts: i64,
    /// Slow attempts to its endpoint in a row.
    slow: i64,
    /// How often in a row its endpoint asked for rest.
    throttles: i64,
    failing_since: Option<Timestamp>,
    /// Its endpoint wants its events in order.
    ordered: bool,
}

/// Delivers as an order says.
pub fn deliver(messages: &Messages, customer: &str, order: &Order) -> Disposition {
    let worker = Worker {
        messages,
        customer,
        database: messages.database(),
        order,
        number: 1,
    };
    worker.run().unwrap_or_else(failed)
}

/// A trouble of the database or of a queue passes; what would come again for ever is
/// a dead letter.
pub fn failed(error: Error) -> Disposition {
    match is_final(&error) {
        true => Disposition::DeadLetter(format!("the database rejected it: {error:?}")),
        false => Disposition::RetryAfter(spread(2)),
    }
}

/// Whether the same would fail the same way again.
pub fn is_final(error: &Error) -> bool {
    matches!(
        error,
        Error::UniqueViolation(_)
            | Error::ForeignKeyViolation(_)
            | Error::CheckViolation(_)
            | Error::TooLarge
            | Error::Denied(_)
            | Error::Invalid(_)
            | Error::RowCount(_)
            | Error::Unexpected
    )
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

/// Until that instant; where an endpoint is ordered the message comes to look before it
/// whether somebody asked for it meanwhile. It holds up all behind it, so no other message
/// could carry the delivery on. The longer the endpoint fails, the rarer it looks.
fn until_asked(instant: Timestamp, ordered: bool, failing_since: Option<Timestamp>) -> Disposition {
    let now = Timestamp::now();
    let failing = failing_since.map_or(Duration::ZERO, |since| since.until(now));
    let look = now.after((failing / 10).clamp(LOOK_MIN, LOOK_MAX));
    until(if ordered { instant.min(look) } else { instant })
}

struct Worker<'w> {
    messages: &'w Messages,
    customer: &'w str,
    database: Database,
    order: &'w Order,
    /// Which delivery of the call it is.
    number: u32,
}

impl Worker<'_> {
    fn run(&self) -> Result<Disposition, Error> {
        let (disposition, next) = match self.claim()? {
            Claim::Leased(leased) => self.attempt(&leased)?,
            Claim::Over(disposition, next) => (disposition, next),
        };
        if let Some(next) = next {
            self.take_along(next);
        }
        Ok(disposition)
    }

    /// Attempts what is leased; answers the next one of the line where it leased that.
    fn attempt(&self, leased: &Leased) -> Result<(Disposition, Option<Next>), Error> {
        if !self.has_time_to_send() {
            return Ok((self.give_back(Duration::ZERO)?, None));
        }
        match self.send()? {
            None => Ok((Disposition::Done, None)),
            Some(Err(wait)) => {
                let wait = wait.mul_f64(1.0 + random::fraction() / 4.0);
                Ok((self.give_back(wait)?, None))
            }
            Some(Ok(attempt)) => self.write(leased, &attempt),
        }
    }

    fn has_time_to_send(&self) -> bool {
        self.messages.context.deadline.remaining() >= attempt::TIMEOUT + TO_WRITE
    }

    /// Whether another delivery may follow in this call.
    fn goes_on(&self) -> bool {
        self.number < ALONG_MAX && self.has_time_to_send()
    }

    /// Attempts the next one, and those after it. What fails here has a message of its
    /// own, which comes again when the lease has ended.
    fn take_along(&self, next: Next) {
        let mut next = Some(next);
        for number in self.number + 1.. {
            let Some(Next {
                event_id,
                round,
                tries,
                attempts,
            }) = next.take()
            else {
                return;
            };
            let order = Order {
                event_id,
                endpoint_id: self.order.endpoint_id.clone(),
                round,
            };
            let worker = Worker {
                messages: self.messages,
                customer: self.customer,
                database: self.messages.database(),
                order: &order,
                number,
            };
            // The line of an endpoint that fails, or is slow, is nobody's to take along.
            let leased = Leased {
                tries,
                attempts,
                slow: 0,
                throttles: 0,
                failing_since: None,
                ordered: false,
            };
            next = worker.attempt(&leased).ok().and_then(|(_, next)| next);
        }
    }

    /// Nothing was sent: the delivery is due again after this time, and at once for a
    /// worker that has time for it.
    fn give_back(&self, wait: Duration) -> Result<Disposition, Error> {
        let order = self.order;
        let due_at = Timestamp::now().after(wait);
        give_back(
            &self.database,
            &order.event_id,
            &order.endpoint_id,
            order.round,
            due_at,
            wait.is_zero(),
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
                "the secrets of an endpoint cannot be decrypted with this host's keys",
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
}

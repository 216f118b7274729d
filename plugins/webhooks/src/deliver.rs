//! One delivery from its message to its disposition: it is admitted and leased in a
//! transaction, sent without one, and what came of it is written in another. Should the
//! host end in between, the message comes again, and the receiver may see the event
//! twice, under the same id.

mod write;

use std::time::Duration;

use hearth_plugin::consumer::{Batch as Messages, Disposition};
use hearth_plugin::prelude::*;
use hearth_plugin::seal::Keys;
use hearth_plugin::sql::Error;
use hearth_plugin::{log, random};

use crate::admit::{self, Admission};
use crate::attempt::{self, Attempt, Delivery};
use crate::headers::Headers;
use crate::order::Order;
use crate::secrets;
use crate::sign::Key;
use crate::sql::deliveries::{
    lease, lock_delivery, lock_standing, parcel, postpone, reserve, stop_delivery,
};
use crate::sql::endpoints::secrets_of;

/// A call ends by then (`wall_ms_max` of the manifest), and whoever leased with it.
const LEASE: Duration = Duration::from_secs(20);
/// What an attempt leaves of the call's time for writing down what came of it.
const TO_WRITE: Duration = Duration::from_secs(2);

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

/// A trouble of the database or of a queue passes; what would come again for ever is
/// a dead letter.
pub fn failed(error: Error) -> Disposition {
    match is_final(&error) {
        true => Disposition::DeadLetter(format!("the database refused it: {error:?}")),
        false => Disposition::RetryAfter(spread(2)),
    }
}

/// Whether the same would fail the same way again.
fn is_final(error: &Error) -> bool {
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
}

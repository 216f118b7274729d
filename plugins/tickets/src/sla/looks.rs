//! The pending orders to check a customer's clocks.
//!
//! One is enough for all tickets whose clocks are due by its time: it finds what is due
//! by an index, and sends the next order. So a change sends an order only if none is
//! pending for an earlier time, and most changes read nothing to know that: an order
//! stays pending until its time, so what this host knows about pending orders is true
//! however old it is.

use std::time::Duration;

use hearth_plugin::cache::{self, Options};
use hearth_plugin::prelude::*;

use super::order::Order;
use crate::sql::sla::looks_after;

/// Orders for an earlier time than this do not count: they may be carried out before
/// the transaction of the change commits, and not see it. It is longer than any call of
/// the plugin (`wall_ms_max`).
pub const MARGIN: Duration = Duration::from_secs(30);
/// Orders that other hosts sent are heard of so late. Until then a change may send
/// one too many, which finds nothing to do.
const KEPT: Duration = Duration::from_secs(60);
const KEY: &str = "looks";

const MICROS_PER_SECOND: i64 = 1_000_000;

/// The instants of the orders that are known to be under way.
pub struct Looks(Vec<Timestamp>);

impl Looks {
    /// Those of the caller's customer. To be called outside of transactions: it may
    /// wait for another request.
    pub fn of_caller(database: &Database) -> Result<Self, sql::Error> {
        let known = cache::get_or_compute(KEY, &Options::for_(KEPT), || {
            let found = looks_after(database, Timestamp::now())?;
            let found = found.iter().map(|look| look.at);
            Ok::<_, sql::Error>(Looks(found.collect()).to_bytes())
        })?;
        Ok(Looks::read(&known))
    }

    fn to_bytes(&self) -> Vec<u8> {
        let micros = self.0.iter().map(|at| at.micros().to_le_bytes());
        micros.flatten().collect()
    }

    fn read(bytes: &[u8]) -> Self {
        let micros = bytes
            .chunks_exact(8)
            .filter_map(|bytes| bytes.try_into().ok());
        let instants = micros.map(|bytes| Timestamp::from_micros(i64::from_le_bytes(bytes)));
        Looks(instants.collect())
    }

    /// The order that a transaction has to send, where one of these instants comes
    /// before every order on which it can rely. It covers the later ones too: it is
    /// sent when their tickets are committed.
    pub fn order(
        &self,
        checks: impl IntoIterator<Item = Timestamp>,
        now: Timestamp,
    ) -> Option<Order> {
        self.uncovered(checks, now).map(|at| Order::Look { at })
    }

    /// The second in which the first of these instants is past that has no order.
    pub fn uncovered(
        &self,
        checks: impl IntoIterator<Item = Timestamp>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let reliable = now.after(MARGIN);
        let in_time = |at: &Timestamp, check| *at > reliable && *at <= whole_second(check);
        let uncovered = checks.into_iter();
        let uncovered = uncovered.filter(|check| !self.0.iter().any(|at| in_time(at, *check)));
        uncovered.min().map(whole_second)
    }
}

/// To be called once orders for these instants were committed.
pub fn remember(sent: &[Timestamp]) {
    if sent.is_empty() {
        return;
    }
    let known = cache::get_local(KEY).map(|entry| Looks::read(&entry.value).0);
    let now = Timestamp::now();
    let known = known.unwrap_or_default().into_iter().filter(|at| *at > now);
    let known = Looks(known.chain(sent.iter().copied()).collect());
    let _ = cache::set(KEY, &known.to_bytes(), &Options::for_(KEPT));
}

/// The whole second in which an instant is past, so that the clocks of one second
/// are looked at together.
pub fn whole_second(instant: Timestamp) -> Timestamp {
    let seconds = instant.micros().div_euclid(MICROS_PER_SECOND);
    let past = i64::from(instant.micros().rem_euclid(MICROS_PER_SECOND) > 0);
    Timestamp::from_micros((seconds + past) * MICROS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * MICROS_PER_SECOND)
    }

    #[test]
    fn change_sends_an_order_where_none_comes_in_time() {
        let (known, now) = (Looks(vec![seconds(100), seconds(900)]), seconds(0));
        let ordered = |checks: &[i64]| {
            let checks = checks.iter().copied().map(seconds);
            known.order(checks, now)
        };
        let look = |at| Some(Order::Look { at: seconds(at) });
        assert_eq!(ordered(&[]), None);
        assert_eq!(ordered(&[100, 500, 1_000]), None);
        assert_eq!(ordered(&[99, 60]), look(60));
        assert_eq!(ordered(&[-5]), look(-5));
    }

    #[test]
    fn order_that_may_be_carried_out_before_the_change_commits_is_not_relied_on() {
        let known = Looks(vec![seconds(100)]);
        let sent = |now| known.order([seconds(500)], seconds(now)).is_some();
        assert_eq!((sent(69), sent(70), sent(200)), (false, true, true));
    }

    #[test]
    fn known_orders_are_read_as_they_were_kept() {
        let known = Looks(vec![seconds(100), seconds(-7)]);
        assert_eq!(Looks::read(&known.to_bytes()).0, known.0);
    }

    #[test]
    fn clocks_of_one_second_are_looked_at_together_when_it_is_over() {
        let at = |micros| whole_second(Timestamp::from_micros(micros));
        assert_eq!(at(2_000_000), seconds(2));
        assert_eq!((at(2_000_001), at(2_999_999)), (seconds(3), seconds(3)));
        assert_eq!(at(-1), seconds(0));
    }
}

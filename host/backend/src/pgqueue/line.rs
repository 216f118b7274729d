//! The customers who have messages in a queue, in turn, and where each one's begin.
//!
//! Postgres cannot keep that for us: a row that changes with each receive becomes as
//! many dead ones as there were receives, for as long as anybody has an old snapshot
//! open. So each host has its own, and shows it when it receives. It may be as old as
//! it likes, or none: what has come since is found by the horizon that goes with it.

use std::collections::{BTreeMap, HashSet};
use std::ops::Bound;

/// Customers whose turn one receive may reach.
const CUSTOMERS_MAX: usize = 32;

/// As many customers as have messages in the queue, of which there are no more than
/// `queue.depth_max`.
#[derive(Default)]
pub(super) struct CustomerLines {
    /// What was known when; Postgres alone can read it.
    horizon: Option<String>,
    /// Whether it is another one than was saved.
    is_dirty: bool,
    /// The customer whose turn was last.
    turn: String,
    /// Behind which seat all messages of a customer are.
    seats: BTreeMap<String, i64>,
}

/// What a receive has found out about them.
pub(super) struct Update {
    pub horizon: String,
    pub turn: Option<String>,
    pub customers: Vec<String>,
    /// `None` for customers who have no messages any more.
    pub seats: Vec<Option<i64>>,
}

impl CustomerLines {
    pub fn horizon(&self) -> Option<&str> {
        self.horizon.as_deref()
    }

    pub fn turn(&self) -> &str {
        &self.turn
    }

    /// The next in turn, with their seats.
    pub fn next(&self) -> (Vec<&str>, Vec<i64>) {
        let behind = (Bound::Excluded(self.turn.as_str()), Bound::Unbounded);
        let behind = self.seats.range::<str, _>(behind);
        let before = (Bound::Unbounded, Bound::Included(self.turn.as_str()));
        let all = behind.chain(self.seats.range::<str, _>(before));
        let next = all.map(|(customer, seat)| (customer.as_str(), *seat));
        next.take(CUSTOMERS_MAX).unzip()
    }

    /// The horizon with all customers and their seats, if it is another than was saved.
    pub fn take_unsaved(&mut self) -> Option<(String, Vec<String>, Vec<i64>)> {
        let horizon = self.horizon.clone().filter(|_| self.is_dirty)?;
        self.is_dirty = false;
        let all = self.seats.iter();
        let (customers, seats) = all.map(|(name, seat)| (name.clone(), *seat)).unzip();
        Some((horizon, customers, seats))
    }

    /// Goes on from what was saved.
    pub fn resume(&mut self, horizon: String, customers: Vec<String>, seats: Vec<i64>) {
        self.horizon = Some(horizon);
        self.seats = customers.into_iter().zip(seats).collect();
    }

    /// Takes over what a receive has found out; answers whether some customer turned
    /// out to have nothing, so that others' turn may come at once.
    ///
    /// It was shown the next customers alone. Of another it knows only what has come
    /// since, which is not where his messages begin if he had some before.
    pub fn apply(&mut self, update: Update) -> bool {
        let shown: HashSet<String> = self.next().0.into_iter().map(str::to_owned).collect();
        let mut is_shorter = false;
        for (customer, seat) in update.customers.into_iter().zip(update.seats) {
            let before = self.seats.get(&customer).copied();
            let before = before.filter(|_| !shown.contains(&customer));
            match seat.into_iter().chain(before).min() {
                Some(seat) => drop(self.seats.insert(customer, seat)),
                None => is_shorter |= self.seats.remove(&customer).is_some(),
            }
        }
        self.is_dirty = true;
        self.horizon = Some(update.horizon);
        if let Some(turn) = update.turn {
            self.turn = turn;
        }
        is_shorter
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(lines: &mut CustomerLines, turn: &str, known: &[(&str, Option<i64>)]) -> bool {
        lines.apply(Update {
            horizon: "h".into(),
            turn: Some(turn.into()),
            customers: known.iter().map(|(name, _)| (*name).into()).collect(),
            seats: known.iter().map(|(_, seat)| *seat).collect(),
        })
    }

    #[test]
    fn customers_come_in_turn_and_begin_anew_after_the_last() {
        let mut lines = CustomerLines::default();
        apply(
            &mut lines,
            "b",
            &[("c", Some(3)), ("a", Some(1)), ("b", Some(2))],
        );
        assert_eq!(lines.next(), (vec!["c", "a", "b"], vec![3, 1, 2]));
        apply(&mut lines, "c", &[]);
        assert_eq!(lines.next().0, ["a", "b", "c"]);
    }

    #[test]
    fn customer_without_messages_is_not_asked_for_again() {
        let mut lines = CustomerLines::default();
        assert!(!apply(&mut lines, "", &[("a", Some(1)), ("b", Some(2))]));
        assert!(apply(&mut lines, "a", &[("a", None)]));
        assert!(!apply(&mut lines, "a", &[("a", None), ("b", Some(5))]));
        assert_eq!(lines.next(), (vec!["b"], vec![5]));
    }

    #[test]
    fn what_was_saved_is_gone_on_from_and_saved_once() {
        let mut lines = CustomerLines::default();
        assert_eq!(lines.take_unsaved(), None);
        apply(&mut lines, "a", &[("a", Some(1)), ("b", Some(2))]);
        let (horizon, customers, seats) = lines.take_unsaved().unwrap();
        assert_eq!(lines.take_unsaved(), None);
        let mut other = CustomerLines::default();
        other.resume(horizon, customers, seats);
        assert_eq!(
            (other.horizon(), other.next()),
            (Some("h"), (vec!["a", "b"], vec![1, 2]))
        );
        assert_eq!(other.take_unsaved(), None);
    }

    #[test]
    fn customer_whose_turn_it_was_not_keeps_the_messages_that_he_had_before() {
        let mut lines = CustomerLines::default();
        let names: Vec<String> = (0..100).map(|number| format!("{number:03}")).collect();
        let known: Vec<_> = names.iter().map(|name| (&**name, Some(5))).collect();
        apply(&mut lines, "000", &known);
        // Of those shown one has no more, and one goes on; two of the others got some.
        apply(
            &mut lines,
            "030",
            &[
                ("001", None),
                ("002", Some(9)),
                ("050", Some(99)),
                ("060", None),
            ],
        );
        let seat = |name: &str| lines.seats.get(name).copied();
        assert_eq!(
            ["001", "002", "050", "060"].map(seat),
            [None, Some(9), Some(5), Some(5)]
        );
    }

    #[test]
    fn one_receive_reaches_a_bounded_number_of_customers() {
        let mut lines = CustomerLines::default();
        let names: Vec<String> = (0..100).map(|number| format!("{number:03}")).collect();
        let known: Vec<_> = names.iter().map(|name| (&**name, Some(0))).collect();
        apply(&mut lines, "098", &known);
        let (customers, _) = lines.next();
        assert_eq!(customers.len(), CUSTOMERS_MAX);
        assert_eq!(customers.first().copied(), Some("099"));
        assert_eq!(customers.get(1).copied(), Some("000"));
    }
}

use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;

/// Who left something in it, and which one it is.
type Instance = (Option<u8>, u32);

fn line(deployment: u64, customer: u8) -> IdleKey {
    IdleKey {
        deployment,
        owner: InstanceOwner::Customer(Some(Arc::from(customer.to_string()))),
    }
}

fn waiting(max: usize, customer_percent: u64) -> IdleQueue<Instance> {
    IdleQueue::new(WaitingBounds::new(max, customer_percent))
}

#[test]
fn one_that_was_used_waits_for_its_customer_and_deployment_alone() {
    let mut waiting = waiting(10, 100);
    waiting.give(line(1, 7), (Some(7), 0));
    for other in [
        line(1, 8),
        line(2, 7),
        IdleKey {
            deployment: 1,
            owner: InstanceOwner::Customer(None),
        },
        IdleKey {
            deployment: 1,
            owner: InstanceOwner::Everybody,
        },
    ] {
        assert_eq!(waiting.take(&other), None, "{other:?}");
    }
    assert_eq!(waiting.take(&line(1, 7)), Some((Some(7), 0)));
    assert_eq!(waiting.take(&line(1, 7)), None);
}

#[test]
fn one_that_nobody_used_serves_anybody_of_its_deployment() {
    let mut waiting = waiting(10, 100);
    waiting.give_ready(1, (None, 0));
    assert_eq!((waiting.ready(1), waiting.ready(2)), (1, 0));
    assert_eq!(waiting.take(&line(2, 7)), None);
    assert_eq!(waiting.take(&line(1, 7)), Some((None, 0)));
    assert_eq!(waiting.ready(1), 0);
}

#[test]
fn where_it_is_full_the_one_used_longest_ago_goes() {
    let mut waiting = waiting(3, 100);
    for customer in 0..3 {
        waiting.give(line(1, customer), (Some(customer), 0));
    }
    // The first calls again, so the second is the oldest.
    let again = waiting.take(&line(1, 0)).unwrap();
    waiting.give(line(1, 0), again);
    assert!(waiting.give(line(2, 3), (Some(3), 0)).kept);
    assert_eq!(waiting.take(&line(1, 1)), None);
    for (deployment, customer) in [(1, 0), (1, 2), (2, 3)] {
        assert!(waiting.take(&line(deployment, customer)).is_some());
    }
}

#[test]
fn a_customer_has_a_share_and_takes_nothing_from_others() {
    let mut waiting = waiting(10, 40);
    waiting.give(line(1, 1), (Some(1), 0));
    for number in 0..20 {
        assert!(
            waiting
                .give(line(u64::from(number % 2), 7), (Some(7), number))
                .kept
        );
    }
    assert_eq!(waiting.owners.count(&line(1, 7).owner), 4);
    // The last that it used, of whichever deployment.
    assert_eq!(waiting.take(&line(1, 7)), Some((Some(7), 19)));
    assert_eq!(waiting.take(&line(0, 7)), Some((Some(7), 18)));
    assert_eq!(waiting.take(&line(1, 1)), Some((Some(1), 0)));
}

#[test]
fn what_is_kept_ready_makes_room_for_nobody() {
    let mut waiting = waiting(2, 100);
    waiting.give(line(1, 7), (Some(7), 0));
    for number in 0..2 {
        assert!(waiting.give_ready(1, (None, number)).kept);
    }
    assert!(!waiting.give_ready(1, (None, 2)).kept);
    assert!(!waiting.give(line(1, 7), (Some(7), 1)).kept);
    assert_eq!(waiting.ready(1), 2);
    assert!(waiting.used.is_empty() && waiting.owners.0.is_empty() && waiting.lines.0.is_empty());
}

#[test]
fn a_share_of_nothing_keeps_nothing() {
    let mut waiting = waiting(0, 40);
    assert!(!waiting.give(line(1, 7), (Some(7), 0)).kept);
    assert!(!waiting.give_ready(1, (None, 0)).kept);
}

#[test]
fn a_deployment_that_goes_takes_its_own_along() {
    let mut waiting = waiting(10, 100);
    for deployment in 1..=2 {
        waiting.give(line(deployment, 7), (Some(7), 0));
        waiting.give(line(deployment, 7), (Some(7), 1));
        waiting.give_ready(deployment, (None, 2));
    }
    let young = waiting.remove(1, |(_, number)| *number == 0);
    assert_eq!(young, [(Some(7), 0)]);
    assert_eq!(waiting.remove(1, |_| true).len(), 2);
    assert_eq!(waiting.take(&line(1, 7)), None);
    assert_eq!(waiting.remove(2, |_| true).len(), 3);
    assert!(waiting.owners.0.is_empty() && waiting.lines.0.is_empty());
}

/// Calls of all kinds in a random order, as many at once as there may be.
#[test]
fn nobody_gets_what_another_used_and_no_bound_is_passed() {
    for seed in 0..200 {
        let mut random = StdRng::seed_from_u64(seed);
        let (max, running_max) = (random.random_range(0..8), random.random_range(1..8));
        let mut waiting = waiting(max, 40);
        let mut running: Vec<(IdleKey, Instance)> = Vec::new();
        for number in 0..300 {
            let (deployment, customer) = (random.random_range(0..3), random.random_range(0..6));
            match random.random_range(0..20) {
                0 => drop(waiting.remove(deployment, |_| true)),
                1..4 => drop(waiting.give_ready(deployment, (None, number))),
                _ => {
                    let line = line(deployment, customer);
                    let (before, id) = waiting.take(&line).unwrap_or((None, number));
                    assert!(
                        before.is_none_or(|before| before == customer),
                        "seed {seed}"
                    );
                    running.push((line, (Some(customer), id)));
                }
            }
            if running.len() >= running_max {
                let (line, ended) = running.remove(0);
                waiting.give(line, ended);
            }
            let ready: usize = waiting.ready.values().map(Vec::len).sum();
            assert!(waiting.used.len() + ready <= max, "seed {seed}");
            let share = waiting.bounds.customer_max;
            let mut shares = waiting.owners.0.values().map(BTreeSet::len);
            assert!(shares.all(|of| of <= share), "seed {seed}");
        }
    }
}

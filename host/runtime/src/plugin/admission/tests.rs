//! Who runs when, told by the order alone: nothing here takes time.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use metrics::Gauge;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::{Admission, Config, Customer, Gate, Permit, Reserve, Shed};
use crate::plugin::limits::PluginLimits;

type Waiting<'g> = Pin<Box<dyn Future<Output = Result<Permit, Shed>> + 'g>>;

fn whole() -> Config {
    Config {
        customer_in_flight_percent_max: 100,
        customer_waiting_percent_max: 100,
    }
}

fn gate(admission: &Arc<Admission>, in_flight_max: usize, waiting_max: usize) -> Gate {
    let limits = PluginLimits {
        in_flight_max,
        waiting_max,
        wait_ms_max: 600_000,
        ..PluginLimits::default()
    };
    Gate::new(&limits, admission.clone(), Gauge::noop())
}

fn customer(name: &str) -> Customer {
    Some(Arc::from(name))
}

/// Arrives, and says how it went so far.
fn arrive<'g>(gate: &'g Gate, name: &str) -> (Waiting<'g>, Poll<Result<Permit, Shed>>) {
    // One test polls more than a task of tokio's should.
    let mut waiting: Waiting<'g> = Box::pin(tokio::task::unconstrained(gate.enter(customer(name))));
    let answer = look(&mut waiting);
    (waiting, answer)
}

fn look(waiting: &mut Waiting<'_>) -> Poll<Result<Permit, Shed>> {
    waiting
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
}

fn runs(gate: &Gate, name: &str) -> Permit {
    match arrive(gate, name).1 {
        Poll::Ready(Ok(permit)) => permit,
        Poll::Ready(Err(shed)) => panic!("{name} was shed: {shed}"),
        Poll::Pending => panic!("{name} has to wait"),
    }
}

fn waits<'g>(gate: &'g Gate, name: &str) -> (String, Waiting<'g>) {
    let (waiting, answer) = arrive(gate, name);
    assert!(answer.is_pending(), "{name} does not wait");
    (name.to_owned(), waiting)
}

/// Ends one call after the other and tells who came in, in that order.
fn order(permit: Permit, mut waiting: Vec<(String, Waiting<'_>)>) -> Vec<String> {
    let (mut order, mut running) = (Vec::new(), permit);
    while !waiting.is_empty() {
        drop(running);
        let found = waiting
            .iter_mut()
            .enumerate()
            .find_map(|(at, (_, call))| match look(call) {
                Poll::Ready(Ok(permit)) => Some((at, permit)),
                _ => None,
            });
        let (at, permit) = found.expect("a place is lost");
        order.push(waiting.remove(at).0);
        running = permit;
    }
    order
}

#[tokio::test]
async fn customers_take_turns_however_many_calls_one_has_waiting() {
    let admission = Admission::new(400, whole());
    let gate = gate(&admission, 1, 1_000);
    let first = runs(&gate, "many");
    let mut waiting: Vec<_> = (0..500).map(|_| waits(&gate, "many")).collect();
    waiting.extend((0..3).map(|_| waits(&gate, "few")));
    let order = order(first, waiting);
    let last = order.iter().rposition(|name| name == "few").unwrap();
    assert!(last < 6, "the last of the few came in as number {last}");
    assert_eq!(order.len(), 503);
}

#[tokio::test]
async fn plugin_with_few_calls_comes_before_one_that_is_saturated() {
    let admission = Admission::new(2, whole());
    let (busy, quiet) = (gate(&admission, 2, 100), gate(&admission, 2, 100));
    let (first, second) = (runs(&busy, "a"), runs(&busy, "a"));
    let mut waiting: Vec<_> = (0..50).map(|_| waits(&busy, "a")).collect();
    let (_, mut call) = waits(&quiet, "b");
    drop(first);
    let Poll::Ready(Ok(permit)) = look(&mut call) else {
        panic!("the plugin without a call has to wait");
    };
    assert!(waiting.iter_mut().all(|(_, call)| look(call).is_pending()));
    drop((permit, second));
}

#[tokio::test]
async fn calls_that_wait_hold_no_place_of_another_plugin() {
    let admission = Admission::new(2, whole());
    let (full, other) = (gate(&admission, 1, 100), gate(&admission, 2, 100));
    let permit = runs(&full, "a");
    let _waiting: Vec<_> = (0..10).map(|_| waits(&full, "a")).collect();
    drop(runs(&other, "b"));
    drop(permit);
}

#[tokio::test]
async fn one_customer_leaves_places_for_others() {
    let admission = Admission::new(400, Config::default());
    let gate = gate(&admission, 10, 100);
    let held: Vec<_> = (0..8).map(|_| runs(&gate, "greedy")).collect();
    let (_, mut ninth) = waits(&gate, "greedy");
    let other = runs(&gate, "other");
    assert!(look(&mut ninth).is_pending());
    drop(held);
    assert!(look(&mut ninth).is_ready());
    drop(other);
}

#[tokio::test]
async fn one_customer_leaves_room_in_the_queue() {
    let admission = Admission::new(1, Config::default());
    let gate = gate(&admission, 1, 8);
    let _permit = runs(&gate, "greedy");
    let _waiting: Vec<_> = (0..6).map(|_| waits(&gate, "greedy")).collect();
    let (_, seventh) = arrive(&gate, "greedy");
    assert!(matches!(seventh, Poll::Ready(Err(Shed::ShareFull))));
    drop(waits(&gate, "other"));
}

#[tokio::test]
async fn full_queue_sheds_the_newest_call_of_whoever_has_most_waiting() {
    let admission = Admission::new(1, whole());
    let gate = gate(&admission, 1, 4);
    let _permit = runs(&gate, "most");
    let mut most: Vec<_> = (0..3).map(|_| waits(&gate, "most")).collect();
    let _one = waits(&gate, "one");
    let _new = waits(&gate, "new");
    let shed: Vec<bool> = most
        .iter_mut()
        .map(|(_, call)| matches!(look(call), Poll::Ready(Err(Shed::QueueFull))))
        .collect();
    assert_eq!(shed, [false, false, true]);
    // Two, one, one: another of "one" would only turn the queue round.
    let (_, late) = arrive(&gate, "one");
    assert!(matches!(late, Poll::Ready(Err(Shed::QueueFull))));
    assert_eq!(gate.in_flight(), 5);
}

#[tokio::test]
async fn call_that_waits_too_long_is_shed_and_leaves_the_queue() {
    let admission = Admission::new(1, whole());
    let limits = PluginLimits {
        in_flight_max: 1,
        wait_ms_max: 1,
        ..PluginLimits::default()
    };
    let gate = Gate::new(&limits, admission, Gauge::noop());
    let permit = runs(&gate, "a");
    let shed = gate.enter(customer("b")).await.err();
    assert_eq!(shed, Some(Shed::WaitedTooLong));
    assert_eq!(gate.in_flight(), 1);
    drop(permit);
    assert_eq!(gate.in_flight(), 0);
}

#[tokio::test]
async fn place_that_was_given_to_a_client_that_went_away_goes_to_the_next() {
    let admission = Admission::new(1, whole());
    let gate = gate(&admission, 1, 4);
    let permit = runs(&gate, "a");
    let (_, gone) = waits(&gate, "b");
    let (_, mut next) = waits(&gate, "c");
    drop(permit);
    // It has been told, and never looked.
    drop(gone);
    assert!(matches!(look(&mut next), Poll::Ready(Ok(_))));
}

#[tokio::test]
async fn permit_that_outlives_its_gate_gives_the_host_its_place_back() {
    let admission = Admission::new(1, whole());
    let old = gate(&admission, 1, 4);
    let permit = runs(&old, "a");
    let new = gate(&admission, 1, 4);
    let (_, mut waiting) = waits(&new, "a");
    drop(old);
    assert!(look(&mut waiting).is_pending());
    drop(permit);
    assert!(look(&mut waiting).is_ready());
}

#[tokio::test]
async fn place_in_reserve_goes_to_whoever_else_wants_one() {
    let admission = Admission::new(1, whole());
    let (idle, busy) = (gate(&admission, 1, 4), gate(&admission, 1, 4));
    let mut reserve = Reserve::new(&idle, runs(&idle, "consume:a"));
    assert_eq!(idle.in_flight(), 0, "it only waits for work");
    let mut keeping = Box::pin(reserve.keep());
    let mut context = Context::from_waker(Waker::noop());
    assert!(keeping.as_mut().poll(&mut context).is_pending());
    let (_, mut call) = waits(&busy, "customer");
    assert!(keeping.as_mut().poll(&mut context).is_pending());
    let Poll::Ready(Ok(permit)) = look(&mut call) else {
        panic!("the place was not given up");
    };
    drop(keeping);
    assert!(reserve.take().is_none());
    drop(permit);
}

#[tokio::test]
async fn reserve_hears_of_whoever_waited_before_it() {
    let admission = Admission::new(2, whole());
    let (full, idle) = (gate(&admission, 1, 4), gate(&admission, 2, 4));
    let _permit = runs(&full, "a");
    let _waiting = waits(&full, "a");
    let mut reserve = Reserve::new(&idle, runs(&idle, "consume:a"));
    let mut keeping = Box::pin(reserve.keep());
    let mut context = Context::from_waker(Waker::noop());
    assert!(keeping.as_mut().poll(&mut context).is_pending());
    drop(keeping);
    assert!(reserve.take().is_none());
    assert_eq!(admission.state.lock().free, 1);
}

#[tokio::test]
async fn place_that_nobody_else_wanted_is_kept() {
    let admission = Admission::new(1, whole());
    let gate = gate(&admission, 1, 4);
    let mut reserve = Reserve::new(&gate, runs(&gate, "consume:a"));
    let mut context = Context::from_waker(Waker::noop());
    assert!(
        Box::pin(reserve.keep())
            .as_mut()
            .poll(&mut context)
            .is_pending()
    );
    let permit = reserve.take().expect("the permit");
    assert_eq!(gate.in_flight(), 1);
    drop(permit);
    assert_eq!((gate.in_flight(), admission.state.lock().free), (0, 1));
}

#[tokio::test]
async fn whoever_has_time_is_not_shed() {
    let admission = Admission::new(1, whole());
    let limits = PluginLimits {
        in_flight_max: 1,
        waiting_max: 0,
        wait_ms_max: 1,
        ..PluginLimits::default()
    };
    let gate = Gate::new(&limits, admission, Gauge::noop());
    let permit = runs(&gate, "a");
    assert!(gate.try_enter(customer("consume:a")).is_none());
    let mut entering = Box::pin(gate.enter_patiently(customer("consume:a")));
    let wait = std::time::Duration::from_millis(20);
    assert!(tokio::time::timeout(wait, &mut entering).await.is_err());
    drop(permit);
    drop(entering.await);
}

/// Everything at random: nobody is lost, nothing is counted twice, no bound is
/// passed, and nobody waits while there is room for him.
#[tokio::test]
async fn no_place_is_lost_whatever_happens() {
    for seed in 0..50 {
        let admission = Admission::new(5, Config::default());
        let gates: Vec<Gate> = (0..3).map(|_| gate(&admission, 3, 6)).collect();
        storm(&gates, &mut StdRng::seed_from_u64(seed));
        for gate in &gates {
            assert_eq!(gate.in_flight(), 0, "seed {seed}");
        }
        let state = admission.state.lock();
        assert_eq!(state.free, 5, "seed {seed}");
        assert!(state.ready.is_empty());
        assert!(state.lines.values().all(super::CallQueue::is_empty));
    }
}

fn storm(gates: &[Gate], random: &mut StdRng) {
    let (mut running, mut waiting) = (Vec::new(), Vec::new());
    for _ in 0..400 {
        let at = random.random_range(0..usize::MAX);
        match random.random_range(0..10) {
            0..5 => {
                let name = ["a", "b", "c", "d"][at % 4];
                match arrive(&gates[at % 3], name) {
                    (_, Poll::Ready(Ok(permit))) => running.push(permit),
                    (_, Poll::Ready(Err(_))) => {}
                    (call, Poll::Pending) => waiting.push(call),
                }
            }
            5..7 if !running.is_empty() => drop(running.swap_remove(at % running.len())),
            7 if !waiting.is_empty() => drop(waiting.swap_remove(at % waiting.len())),
            _ => collect(&mut waiting, &mut running),
        }
        assert!(running.len() <= 5);
    }
    running.clear();
    while !waiting.is_empty() {
        let before = waiting.len();
        collect(&mut waiting, &mut running);
        running.clear();
        assert!(
            waiting.len() < before,
            "somebody waits although all is free"
        );
    }
}

fn collect<'g>(waiting: &mut Vec<Waiting<'g>>, running: &mut Vec<Permit>) {
    let calls = std::mem::take(waiting);
    for mut call in calls {
        match look(&mut call) {
            Poll::Ready(Ok(permit)) => running.push(permit),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => waiting.push(call),
        }
    }
}

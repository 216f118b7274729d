//! What a guest keeps in its memory: it is its customer's alone, in `reuse = "serial"`.

pub mod fixture;

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::Method;
use serde_json::Value;

use crate::consumer::fixture::{admin, change};
use crate::harness::host::{Host, runs};
use crate::harness::postgres::until;
use fixture::{Customer, Found, Keeper};

const CUSTOMERS: usize = 100;
/// Requests at once.
const CLIENTS: usize = 16;
/// Messages that one request sends.
const MESSAGES: usize = 10;

/// What the calls of a run found.
#[derive(Default)]
struct Tally {
    calls: AtomicUsize,
    messages: AtomicUsize,
    /// Calls that found what an earlier one of the same customer left.
    own: AtomicUsize,
    /// Calls that found what another customer left.
    foreign: AtomicUsize,
}

impl Tally {
    fn count(&self, customer: &Customer, found: Option<Found>) {
        self.calls.fetch_add(1, Relaxed);
        let Some(found) = found else {
            return;
        };
        let met = match found.is_of(customer) {
            true => &self.own,
            false => &self.foreign,
        };
        met.fetch_add(1, Relaxed);
    }
}

/// Requests with a key, without one, and messages, of all customers in a random order.
async fn client(keeper: &Keeper, seed: usize, tally: &Tally, calls: usize) {
    let mut random = StdRng::seed_from_u64(seed as u64);
    let done = || tally.calls.load(Relaxed) + tally.messages.load(Relaxed);
    while done() < calls {
        let customer = match random.random_range(0..10) {
            0 => &keeper.nobody,
            _ => &keeper.customers[random.random_range(0..CUSTOMERS)],
        };
        if random.random_range(0..100) == 0 && customer.key.is_some() {
            keeper.send(customer, MESSAGES).await;
            tally.messages.fetch_add(MESSAGES, Relaxed);
        } else {
            tally.count(customer, keeper.ask(customer).await);
        }
    }
}

async fn mix(keeper: &Keeper, calls: usize) -> Tally {
    let tally = Tally::default();
    join_all((0..CLIENTS).map(|seed| client(keeper, seed, &tally, calls))).await;
    tally
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secret_in_a_static_never_crosses_customers() {
    let keeper = Keeper::start("serial", "", CUSTOMERS).await;
    let calls = runs(10_000, 1_000_000);
    let tally = mix(&keeper, calls).await;
    let messages = tally.messages.load(Relaxed);
    until(async || keeper.settled("done").await + keeper.settled("dead-letter").await >= messages)
        .await;
    let (own, foreign) = (tally.own.load(Relaxed), tally.foreign.load(Relaxed));
    println!(
        "{calls} calls, {messages} of them messages: {own} found their own, {foreign} another's"
    );
    assert_eq!((foreign, keeper.settled("dead-letter").await), (0, 0));
    assert!(
        own > calls / 4,
        "{own} of {calls} calls met a used instance"
    );
}

/// The same calls do cross where an operator let them: so the test above can fail.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secret_in_a_static_crosses_customers_where_reuse_is_shared() {
    let keeper = Keeper::start("shared", "", CUSTOMERS).await;
    let tally = mix(&keeper, 1_000).await;
    let messages = tally.messages.load(Relaxed);
    until(async || keeper.settled("done").await + keeper.settled("dead-letter").await >= messages)
        .await;
    assert!(tally.foreign.load(Relaxed) > 0);
    assert!(messages == 0 || keeper.settled("dead-letter").await > 0);
}

/// A slot of the pool that another customer used is as good as new.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fresh_instance_finds_nothing_of_anybody() {
    let keeper = Keeper::start("fresh", "", CUSTOMERS).await;
    let tally = mix(&keeper, 1_000).await;
    assert!(tally.calls.load(Relaxed) > 0);
    assert_eq!(
        (tally.own.load(Relaxed), tally.foreign.load(Relaxed)),
        (0, 0)
    );
}

#[tokio::test]
async fn used_instance_waits_for_its_customer_and_calls_without_one_are_one_more() {
    let keeper = Keeper::start("serial", "", 2).await;
    let [one, other] = &keeper.customers[..] else {
        panic!("two customers");
    };
    for customer in [one, other, &keeper.nobody] {
        assert_eq!(keeper.ask(customer).await, None, "the first call of each");
    }
    for customer in [one, other, &keeper.nobody, one] {
        assert!(keeper.ask(customer).await.unwrap().is_of(customer));
    }
    keeper.send(one, 1).await;
    until(async || keeper.settled("done").await >= 1).await;
    assert!(keeper.ask(one).await.unwrap().is_of(one));
}

#[tokio::test]
async fn customers_who_call_often_keep_their_instance_however_many_call_once() {
    let config = "[engine]\nidle_instances_max = 4\n";
    let keeper = Keeper::start("serial", config, 40).await;
    let (often, once) = keeper.customers.split_first().unwrap();
    keeper.ask(often).await;
    for cold in once.chunks(3) {
        for customer in cold {
            assert_eq!(keeper.ask(customer).await, None);
        }
        assert!(keeper.ask(often).await.unwrap().is_of(often));
    }
    let waiting = keeper.host.metric("hearth_instances_waiting", &[]).await;
    assert!(waiting <= 4.0, "{waiting}");
}

#[tokio::test]
async fn one_customer_holds_no_more_than_its_share_of_what_waits() {
    let config = "[engine]\nidle_instances_max = 10\ncustomer_idle_instances_percent_max = 40\n";
    let keeper = Keeper::start("serial", config, 2).await;
    let [many, few] = &keeper.customers[..] else {
        panic!("two customers");
    };
    keeper.ask(few).await;
    for _ in 0..5 {
        join_all((0..20).map(|_| keeper.ask(many))).await;
    }
    let waiting = keeper.host.metric("hearth_instances_waiting", &[]).await;
    assert!(
        (2.0..=5.0).contains(&waiting),
        "4 of the one, 1 of the other: {waiting}"
    );
    assert!(keeper.ask(few).await.unwrap().is_of(few));
}

#[tokio::test]
async fn sharing_instances_wants_the_approval_of_an_operator_and_says_what_it_means() {
    let keeper = Keeper::start("serial", "", 1).await;
    let file = fixture::packed("shared", "0.2.0");
    let deploy = async |approve: &str| -> Value {
        let path = format!("/deployments?approve={approve}");
        change(admin(&keeper.host, Method::POST, &path).body(file.clone())).await
    };
    let refused = deploy("").await;
    assert_eq!(refused["step"], "grants", "{refused}");
    let reason = refused["reasons"][0].as_str().unwrap();
    for part in ["`reuse:shared`", "not approved", "another", "serial"] {
        assert!(reason.contains(part), "{reason}");
    }
    assert_eq!(refused["asks"], serde_json::json!(["reuse:shared"]));
    let serving = deploy("reuse:shared").await;
    assert_eq!(serving["label"], "keeper@2", "{serving}");
}

/// The instances of the old deployment go with it, whoever's they are.
#[tokio::test]
async fn swap_leaves_nothing_of_the_old_deployment_waiting() {
    let keeper = Keeper::start("serial", "", 3).await;
    for customer in &keeper.customers {
        keeper.ask(customer).await;
    }
    assert_eq!(waiting(&keeper.host).await, 3.0);
    let file = fixture::packed("serial", "0.2.0");
    let swapped = change(admin(&keeper.host, Method::POST, "/deployments").body(file)).await;
    assert_eq!(swapped["label"], "keeper@2", "{swapped}");
    until(async || waiting(&keeper.host).await <= 1.0).await;
    for customer in &keeper.customers {
        assert_eq!(keeper.ask(customer).await, None);
    }
}

async fn waiting(host: &Host) -> f64 {
    host.metric("hearth_instances_waiting", &["plugin=\"keeper\""])
        .await
}

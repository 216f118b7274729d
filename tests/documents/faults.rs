//! A DynamoDB that leaves undone, throttles, fails, loses and delays: what was
//! acknowledged is there as it was sent, and what was not is not claimed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hearth::backend::dynamodb::Config as DynamoConfig;
use hearth::capability::documents::{Config, Range};
use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, TestRunner};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use tokio::time::Instant;

use super::fixture::{Bench, item, key};
use crate::harness::dynamodb::{Fate, Private, Proxy, Request};
use crate::harness::host::runs;

/// How the requests of one run end, by chance.
struct Chance(Mutex<StdRng>);

impl Chance {
    fn decide(&self, request: &Request) -> (Duration, Fate) {
        if !request.is_batch() {
            return (Duration::ZERO, Fate::Pass);
        }
        let mut rng = self.0.lock().unwrap();
        // One in forty takes longer than the host has patience.
        let delay = match rng.random_range(0..40) {
            0 => 500,
            1..20 => rng.random_range(0..20),
            _ => 0,
        };
        let fate = match rng.random_range(0..100) {
            0..40 => Fate::Pass,
            40..70 => Fate::Unprocessed(some_of(&mut *rng, request.writes())),
            70..80 => Fate::Throttle,
            80..87 => Fate::Cut,
            87..94 => Fate::LoseAnswer,
            _ => Fate::Fail,
        };
        (Duration::from_millis(delay), fate)
    }
}

fn some_of(rng: &mut impl Rng, all: usize) -> Vec<usize> {
    (0..all).filter(|_| rng.random_range(0..2) == 0).collect()
}

/// Of one case: ten are ten thousand.
const OPERATIONS: usize = 1_000;

/// One write: of which customer, to which key, put or deleted, and for how long its
/// caller waits.
struct Operation {
    customer: u8,
    key: u8,
    deletes: bool,
    patience: Patience,
}

#[derive(Clone, Copy, PartialEq)]
enum Patience {
    Long,
    Millis(u64),
    /// The caller goes away.
    GoneAfter(u64),
}

fn operation(rng: &mut impl Rng) -> Operation {
    Operation {
        customer: rng.random_range(0..3),
        key: rng.random_range(0..KEYS),
        deletes: rng.random_range(0..5) == 0,
        patience: match rng.random_range(0..10) {
            0 => Patience::Millis(rng.random_range(1..60)),
            1 => Patience::GoneAfter(rng.random_range(0..60)),
            _ => Patience::Long,
        },
    }
}

/// What a key may hold: what the last acknowledged write left, or one after that.
#[derive(Default)]
struct Model {
    writes: BTreeMap<(u8, u8), Vec<Wrote>>,
}

/// What a write left (nothing, where it deleted), and whether it was acknowledged.
type Wrote = (Option<String>, bool);

impl Model {
    fn note(&mut self, of: (u8, u8), wrote: Option<String>, acknowledged: bool) {
        self.writes
            .entry(of)
            .or_default()
            .push((wrote, acknowledged));
    }

    fn allows(&self, of: (u8, u8)) -> BTreeSet<Option<String>> {
        let writes = self.writes.get(&of).map_or(&[][..], Vec::as_slice);
        let acknowledged = writes.iter().rposition(|(_, acknowledged)| *acknowledged);
        let from = &writes[acknowledged.unwrap_or(0)..];
        let mut allowed: BTreeSet<_> = from.iter().map(|(wrote, _)| wrote.clone()).collect();
        if acknowledged.is_none() {
            allowed.insert(None);
        }
        allowed
    }
}

const KEYS: u8 = 40;
const CUSTOMERS: [&str; 3] = ["acme", "globex", "initech"];

/// Begins all operations of a wave in order, so that the order of each key is known,
/// and waits for their outcomes.
async fn wave(bench: &Bench, first: usize, operations: &[Operation], model: &mut Model) {
    let mut begun = Vec::new();
    for (place, operation) in operations.iter().enumerate() {
        let text = format!("{{\"n\":{},\"text\":\"é\\n\"}}", first + place);
        let wrote = (!operation.deletes).then_some(text);
        let mut call = bench.call(CUSTOMERS[usize::from(operation.customer)]);
        call.call.deadline = Instant::now()
            + match operation.patience {
                Patience::Millis(millis) => Duration::from_millis(millis),
                // For ever: how long it takes says how busy the machine is.
                Patience::Long | Patience::GoneAfter(_) => Duration::from_secs(600),
            };
        let (sort, puts) = (operation.key.to_string(), wrote.clone());
        let mut write = Box::pin(async move {
            match puts {
                Some(text) => call.put(item(&sort, &text)).await,
                None => call.delete(key(&sort)).await,
            }
        });
        // Polled once it is in line, unless the task has done as much as it may in one go.
        tokio::task::yield_now().await;
        let polled = futures_util::poll!(&mut write);
        let patience = operation.patience;
        let outcome = tokio::spawn(async move {
            match patience {
                _ if polled.is_ready() => false,
                Patience::GoneAfter(millis) => {
                    let gone = Duration::from_millis(millis);
                    let written = tokio::time::timeout(gone, write).await;
                    written.is_ok_and(|written| written.is_ok())
                }
                _ => write.await.is_ok(),
            }
        });
        begun.push((
            (operation.customer, operation.key),
            wrote,
            patience,
            outcome,
        ));
    }
    for (of, wrote, patience, outcome) in begun {
        let acknowledged = outcome.await.unwrap();
        assert!(
            acknowledged || patience != Patience::Long,
            "ten minutes were not enough"
        );
        model.note(of, wrote, acknowledged);
    }
}

async fn check(clean: &Bench, model: &Model) -> Result<(), TestCaseError> {
    for (number, customer) in CUSTOMERS.iter().enumerate() {
        let mut call = clean.call(customer);
        let page = call.page(Range::All, 1_000, None, false).await.unwrap();
        let there: BTreeMap<_, _> = page
            .items
            .into_iter()
            .map(|item| (item.sort, item.attributes))
            .collect();
        for key in 0..KEYS {
            let holds = there.get(&key.to_string()).cloned();
            let allowed = model.allows((number as u8, key));
            prop_assert!(
                allowed.contains(&holds),
                "{customer} {key}: {holds:?} of {allowed:?}"
            );
        }
    }
    Ok(())
}

async fn run(seed: u64) -> Result<(), TestCaseError> {
    let private = Private::start().await;
    let mut rng = StdRng::seed_from_u64(seed);
    let operations: Vec<_> = (0..OPERATIONS).map(|_| operation(&mut rng)).collect();
    let chance = Arc::new(Chance(Mutex::new(rng)));
    let proxy = Proxy::start(private.url(), move |request: Arc<Request>| {
        let (delay, fate) = chance.decide(&request);
        async move {
            tokio::time::sleep(delay).await;
            fate
        }
    })
    .await;
    let impatient = DynamoConfig {
        attempt_ms_max: 250,
        ..DynamoConfig::default()
    };
    let mut config = Config::default();
    (config.writer.retry_ms, config.writer.retry_ms_max) = (10, 200);
    config.writer.linger_ms_max = 50;
    let bench = Bench::reaching(&proxy.url, &impatient, config).await;
    let clean = Bench::at(private.url(), Config::default()).await;
    let mut model = Model::default();
    for (number, operations) in operations.chunks(250).enumerate() {
        wave(&bench, number * 250, operations, &mut model).await;
        check(&clean, &model).await?;
    }
    prop_assert!(bench.metric("hearth_documents_retries_total", "") > 0.0);
    Ok(())
}

#[test]
fn acknowledged_writes_are_there_in_order_whatever_dynamodb_does() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // What happens when is not in the seed, so there is nothing to make smaller.
    let mut runner = TestRunner::new(Cases {
        cases: runs(10, 100) as u32,
        max_shrink_iters: 0,
        failure_persistence: None,
        ..Cases::default()
    });
    let outcome = runner.run(&any::<u64>(), |seed| runtime.block_on(run(seed)));
    outcome.unwrap();
}

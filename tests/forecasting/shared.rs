//! Two hosts with one DynamoDB between them: what one forecast the other serves, and
//! each goes on alone where DynamoDB is unavailable.

use reqwest::Response;
use tokio::sync::watch;

use super::{Costs, months_of, row};
use crate::harness::dynamodb::{Fate, Private, Proxy};
use crate::harness::fleet::Fleet;
use crate::harness::postgres::until;
use crate::notifications::fixture::on_dynamodb;

/// Patient with a machine that is busy, quick to find out that DynamoDB is back.
const CACHE: &str = "[cache]\nshared_ms_max = 5_000\nshared_write_ms_max = 10_000\n\
    shared_probe_ms = 100";

/// Two hosts, and whether DynamoDB cuts them off.
struct Pair {
    one: Costs,
    two: Costs,
    away: watch::Sender<bool>,
    _parts: (Proxy, Private, Fleet),
}

impl Pair {
    async fn start() -> Pair {
        let (fleet, private) = (Fleet::start().await, Private::start().await);
        let (away, is_away) = watch::channel(false);
        let proxy = Proxy::start(private.url(), move |_| {
            let fate = match *is_away.borrow() {
                true => Fate::Cut,
                false => Fate::Pass,
            };
            async move { fate }
        });
        let proxy = proxy.await;
        let start = || {
            let host = fleet.host(|with| on_dynamodb(with, &proxy.url).forecasting().config(CACHE));
            Costs::on(host)
        };
        let (one, two) = tokio::task::block_in_place(|| (start(), start()));
        Pair {
            one,
            two,
            away,
            _parts: (proxy, private, fleet),
        }
    }
}

fn x_cache(answer: &Response) -> String {
    answer.headers()["x-cache"].to_str().unwrap().to_string()
}

impl Costs {
    async fn written(&self) -> f64 {
        let name = "hearth_cache_shared_writes_total";
        self.host.metric(name, &["outcome=\"written\""]).await
    }

    async fn is_alone(&self) -> bool {
        self.host
            .metric("hearth_cache_shared_unavailable", &[])
            .await
            == 1.0
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_host_forecast_the_other_serves_until_a_record_comes() {
    let Pair { one, two, .. } = &Pair::start().await;
    one.load(&months_of("a", 48, 1.0)).await;
    let before = one.written().await;
    let first = one.answer("/forecast?months=12").await;
    assert_eq!(x_cache(&first), "MISS");
    until(async || one.written().await > before).await;
    let second = two.answer("/forecast?months=12").await;
    assert_eq!(x_cache(&second), "HIT, shared");
    assert_eq!(second.text().await.unwrap(), first.text().await.unwrap());
    assert_eq!((one.computed().await, two.computed().await), (1.0, 0.0));
    // A record that came to the other host makes the next forecast new, at once.
    two.load(&[row(-1, "a", "5000")]).await;
    let new = one.answer("/forecast?months=12").await;
    assert_eq!(x_cache(&new), "MISS");
    assert_eq!(one.computed().await, 2.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forecasts_are_answered_while_dynamodb_is_away_and_say_so() {
    let pair = Pair::start().await;
    let costs = &pair.one;
    costs.load(&months_of("a", 48, 1.0)).await;
    assert_eq!(x_cache(&costs.answer("/forecast?months=1").await), "MISS");
    pair.away.send_replace(true);
    let mut said = Vec::new();
    for months in 2..=18 {
        let answer = costs.answer(&format!("/forecast?months={months}")).await;
        assert_eq!(answer.status(), 200, "{months}");
        said.push(x_cache(&answer));
    }
    assert_eq!(said.last().unwrap(), "MISS, shared-unavailable", "{said:?}");
    assert!(costs.is_alone().await);
    let again = costs.answer("/forecast?months=18").await;
    assert!(x_cache(&again).starts_with("HIT"), "{}", x_cache(&again));
    pair.away.send_replace(false);
    until(async || !costs.is_alone().await).await;
    let new = costs.answer("/forecast?months=12&level=80").await;
    assert_eq!(x_cache(&new), "MISS");
}

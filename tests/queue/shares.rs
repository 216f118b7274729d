//! What one customer may have of a queue, and of its dead letters.

use hearth::backend::queue::{QueueError, Settlement};

use super::bench::{Bench, On, message, of_customer};
use crate::harness::postgres::until;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn customer_has_its_part_of_a_queue_before_anybody_counts() {
    let bench = Bench::with(On::Postgres, |config| {
        config.depth_max = 100;
        config.customer_depth_percent_max = 20;
        config.count_ms = 3_600_000;
    })
    .await;
    let send = async || bench.queues.send(vec![message("plain", "more")]).await;
    let mut count = 0;
    let refused = loop {
        let sent = send().await.remove(0);
        match sent {
            Ok(_) => count += 1,
            Err(refused) => break refused,
        }
    };
    assert_eq!(refused, QueueError::ShareFull);
    // The one count at the start may know messages twice, or not yet.
    assert!((15..=40).contains(&count), "{count}");
    bench
        .send(of_customer("globex", message("plain", "has its own part")))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_of_one_customer_push_out_no_other_s() {
    let bench = Bench::with(On::Postgres, |config| config.dead_letters_max = 3).await;
    let dead = async |customer: &str, text: &str| {
        bench
            .send(of_customer(customer, message("plain", text)))
            .await;
        let received = bench.one("plain").await;
        bench
            .settle(received, Settlement::DeadLetter("no".into()))
            .await;
    };
    dead("globex", "o").await;
    for number in 0..6 {
        dead("acme", &number.to_string()).await;
    }
    until(async || {
        let dead = bench.queues.dead_letters("plain", None, 10).await.unwrap();
        let bodies: Vec<_> = dead.iter().map(|dead| dead.body[0]).collect();
        bodies == b"54o"
    })
    .await;
}

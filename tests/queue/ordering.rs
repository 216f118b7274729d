//! Groups and deduplication, on every backend.

use std::collections::HashMap;
use std::time::Duration;

use hearth::backend::queue::{Outgoing, Settlement, Which};

use super::bench::{Bench, On, after, body, failed, message, of_customer, of_group, once};
use super::on_each_backend;

on_each_backend!(
    messages_of_a_group_arrive_in_order_and_one_at_a_time,
    groups_do_not_wait_for_each_other,
    message_that_comes_again_holds_back_its_group,
    given_back_message_keeps_its_place,
    delayed_message_holds_back_those_behind_it,
    dead_letter_lets_its_group_go_on,
    messages_of_twenty_groups_keep_their_order,
    second_message_with_a_deduplication_id_is_dropped,
    deduplication_ids_belong_to_a_queue_a_customer_and_a_sender,
    deduplication_id_is_forgotten_after_five_minutes,
);

async fn messages_of_a_group_arrive_in_order_and_one_at_a_time(on: On) {
    let bench = Bench::start(on).await;
    let messages = (0..10).map(|number| of_group("g", &number.to_string()));
    for sent in bench.queues.send(messages.collect()).await {
        sent.unwrap();
    }
    for number in 0..10 {
        let received = bench.one("ordered").await;
        assert_eq!(body(&received), number.to_string());
        assert_eq!(received.group.as_deref(), Some("g"));
        if number == 4 {
            bench.nothing("ordered").await;
        }
        bench.done(received).await;
    }
}

async fn groups_do_not_wait_for_each_other(on: On) {
    let bench = Bench::start(on).await;
    for message in [
        of_group("a", "a1"),
        of_group("a", "a2"),
        of_group("b", "b1"),
        of_customer("globex", of_group("a", "other a1")),
        message("ordered", "single"),
    ] {
        bench.send(message).await;
    }
    let mut held = HashMap::new();
    while held.len() < 4 {
        for received in bench.receive("ordered", 10).await {
            held.insert(body(&received).to_owned(), received);
        }
    }
    let mut bodies: Vec<_> = held.keys().cloned().collect();
    bodies.sort();
    assert_eq!(bodies, ["a1", "b1", "other a1", "single"]);
    bench.done(held.remove("b1").unwrap()).await;
    bench.nothing("ordered").await;
    bench.done(held.remove("a1").unwrap()).await;
    assert_eq!(body(&bench.one("ordered").await), "a2");
}

async fn message_that_comes_again_holds_back_its_group(on: On) {
    let bench = Bench::start(on).await;
    bench.send(of_group("g", "1")).await;
    bench.send(of_group("g", "2")).await;
    let second = Duration::from_secs(1);
    let first = bench.one("ordered").await;
    bench
        .settle(first, Settlement::RetryAfter(2 * second))
        .await;
    let again = bench.one("ordered").await;
    assert_eq!((body(&again), again.attempt), ("1", 1));
    bench.settle(again, failed("it broke")).await;
    let again = bench.one("ordered").await;
    assert_eq!((body(&again), again.attempt), ("1", 2));
    bench.done(again).await;
    assert_eq!(body(&bench.one("ordered").await), "2");
}

async fn given_back_message_keeps_its_place(on: On) {
    let bench = Bench::start(on).await;
    bench.send(of_group("g", "1")).await;
    bench.send(of_group("g", "2")).await;
    let first = bench.one("ordered").await;
    bench.settle(first, Settlement::GiveBack).await;
    let again = bench.one("ordered").await;
    assert_eq!((body(&again), again.attempt), ("1", 1));
}

async fn delayed_message_holds_back_those_behind_it(on: On) {
    let bench = Bench::start(on).await;
    bench
        .send(after(Duration::from_secs(60), of_group("g", "1")))
        .await;
    bench.send(of_group("g", "2")).await;
    bench.nothing("ordered").await;
    bench.forward(Duration::from_secs(61));
    for number in ["1", "2"] {
        let received = bench.one("ordered").await;
        assert_eq!(body(&received), number);
        bench.done(received).await;
    }
}

async fn dead_letter_lets_its_group_go_on(on: On) {
    let bench = Bench::start(on).await;
    bench.send(of_group("g", "1")).await;
    bench.send(of_group("g", "2")).await;
    let first = bench.one("ordered").await;
    bench
        .settle(first, Settlement::DeadLetter("no".into()))
        .await;
    let second = bench.one("ordered").await;
    assert_eq!(body(&second), "2");
    // It comes back behind the others.
    assert_eq!(bench.queues.redrive("ordered", &Which::All).await, Ok(1));
    bench.nothing("ordered").await;
    bench.done(second).await;
    assert_eq!(body(&bench.one("ordered").await), "1");
}

async fn messages_of_twenty_groups_keep_their_order(on: On) {
    let bench = Bench::start(on).await;
    let messages = match on {
        On::Postgres => 1_000,
        // One call to SQS for each message of a group.
        On::Sqs(_) => 200,
    };
    let sent = (0..messages).map(|number| {
        let group = format!("g{}", number % 20);
        of_group(&group, &number.to_string())
    });
    for sent in bench.queues.send(sent.collect()).await {
        sent.unwrap();
    }
    let mut last: HashMap<String, usize> = HashMap::new();
    let mut came = 0;
    while came < messages {
        let received = bench.receive("ordered", 10).await;
        assert!(!received.is_empty(), "{came} came");
        for received in received {
            let number: usize = body(&received).parse().unwrap();
            let group = received.group.clone().unwrap();
            let before = last.insert(group, number);
            let expected = before.map_or(number % 20, |before| before + 20);
            assert_eq!(number, expected, "of its group");
            bench.done(received).await;
            came += 1;
        }
    }
    bench.nothing("ordered").await;
}

async fn second_message_with_a_deduplication_id_is_dropped(on: On) {
    let bench = Bench::start(on).await;
    let first = bench.send(once("d", message("plain", "first"))).await;
    let second = bench.send(once("d", message("plain", "second"))).await;
    assert_eq!(first, second, "the id of the first");
    let both = vec![
        once("e", message("plain", "third")),
        once("e", message("plain", "fourth")),
    ];
    let sent = bench.queues.send(both).await;
    assert_eq!(sent[0], sent[1]);
    assert_eq!(super::drain(&bench, "plain", 2).await.len(), 2);
    // Also after it was consumed.
    bench.send(once("d", message("plain", "fifth"))).await;
    bench.nothing("plain").await;
}

async fn deduplication_ids_belong_to_a_queue_a_customer_and_a_sender(on: On) {
    let bench = Bench::start(on).await;
    let own = once("d", message("plain", "own"));
    let of_other_plugin = Outgoing {
        plugin: "webhooks".into(),
        ..own.clone()
    };
    let of_nobody = Outgoing {
        customer: None,
        ..own.clone()
    };
    for message in [
        own.clone(),
        of_customer("globex", own.clone()),
        of_other_plugin,
        of_nobody,
    ] {
        bench.send(message).await;
    }
    assert_eq!(super::drain(&bench, "plain", 4).await.len(), 4);
    bench.send(once("d", message("ordered", "elsewhere"))).await;
    assert_eq!(body(&bench.one("ordered").await), "elsewhere");
    bench.nothing("plain").await;
}

async fn deduplication_id_is_forgotten_after_five_minutes(on: On) {
    let bench = Bench::start(on).await;
    bench.send(once("d", message("plain", "1"))).await;
    bench.forward(Duration::from_secs(290));
    bench.send(once("d", message("plain", "2"))).await;
    bench.forward(Duration::from_secs(310));
    bench.send(once("d", message("plain", "3"))).await;
    let mut came = super::drain(&bench, "plain", 2).await;
    came.sort();
    assert_eq!(
        came.iter().map(|body| &**body).collect::<Vec<_>>(),
        ["1", "3"]
    );
    bench.nothing("plain").await;
}

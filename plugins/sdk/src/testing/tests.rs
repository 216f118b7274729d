use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use serde_json::json;

use super::{CUSTOMER, TestHost};
use crate::cache::{self, Options};
use crate::documents::{self, Change, Condition, Item, Key, Range};
use crate::outbound::{self, Answer};
use crate::push::{self, Event};
use crate::queue::{self, Message};
use crate::{Timestamp, config, cursor, id, log, metrics, seal};

fn key(sort: &str) -> Key {
    Key {
        partition: "p".into(),
        sort: sort.into(),
    }
}

#[test]
fn settings_are_those_that_the_test_has_set() {
    let host = TestHost::start();
    assert_eq!(config::get("a"), None);
    host.set("a", "1");
    host.set_secret("b", "2");
    assert_eq!(config::get("a").as_deref(), Some("1"));
    assert_eq!(config::secret("b").as_deref(), Some("2"));
    assert_eq!(config::get("b"), None);
}

#[test]
fn every_plugin_has_keys_to_seal_and_to_sign_with() {
    let host = TestHost::start();
    let sealed = seal::Keys::of_host()
        .unwrap()
        .seal(&["a"], b"text")
        .unwrap();
    assert_eq!(
        seal::Keys::of_host()
            .unwrap()
            .open(&["a"], &sealed)
            .unwrap()
            .plain,
        b"text"
    );
    let binding = cursor::Binding::of(&host.request("GET", "/m/list"), &["list"]).unwrap();
    let row = binding.decode::<1>(&binding.encode(&["k"])).unwrap();
    assert_eq!(row, ["k"]);
}

#[test]
fn host_that_is_dropped_forgets_everything() {
    let host = TestHost::start();
    host.set("a", "1");
    documents::put(&Item::new("p", "a", &json!({}))).unwrap();
    drop(host);
    let host = TestHost::start();
    assert_eq!(config::get("a"), None);
    assert_eq!(host.document("p", "a"), None);
}

#[test]
#[should_panic(expected = "TestHost::start")]
fn handler_without_a_host_says_how_to_begin() {
    config::get("a");
}

#[test]
fn request_is_the_customers_below_its_mount() {
    let host = TestHost::start();
    let request = host.request("GET", "/notes/7?limit=2");
    assert_eq!(request.local_path(), Some("/7"));
    assert_eq!(request.raw_query(), Some("limit=2"));
    assert_eq!(request.caller().unwrap().customer_id, CUSTOMER);
    assert!(id::is("cus", CUSTOMER));
    host.scopes(&["agent"]);
    assert!(host.request("GET", "/notes").has_scope("agent"));
    assert!(!host.request("GET", "/notes").has_scope("write"));
}

#[test]
fn messages_are_kept_as_their_consumer_gets_them() {
    let host = TestHost::start();
    let message = || {
        Message::json(&json!({"n": 1}))
            .attribute("a", "b")
            .once("x")
    };
    let first = queue::send("q", message().after(Duration::from_secs(5))).unwrap();
    assert_eq!(queue::send("q", message()).unwrap(), first, "deduplicated");
    let sent = queue::send_many(
        "q",
        vec![Message::new(b"2".to_vec()), Message::new(b"3".to_vec())],
    );
    assert!(sent.iter().all(Result::is_ok));
    let sent = host.sent("q");
    let bodies: Vec<&[u8]> = sent.iter().map(|message| message.body.as_slice()).collect();
    assert_eq!(bodies, [b"{\"n\":1}".as_slice(), b"2", b"3"]);
    assert_eq!(sent[0].attributes, [("a".to_string(), "b".to_string())]);
    assert_eq!(host.delays("q")[0], Duration::from_secs(5));
    assert!(host.sent("other").is_empty());
    let batch = host.batch(sent);
    assert_eq!(batch.context.caller.unwrap().customer_id, CUSTOMER);
    assert_eq!(batch.messages.len(), 3);
}

#[test]
fn documents_are_written_changed_and_listed_in_order() {
    let host = TestHost::start();
    let items: Vec<Item> = ["a1", "a2", "b1"]
        .iter()
        .map(|sort| Item::new("p", sort, &json!({"n": 1, "of": sort})))
        .collect();
    assert!(documents::put_many(&items).iter().all(Result::is_ok));
    let page = documents::query("p", &Range::BeginsWith("a".into()), 1, None, false).unwrap();
    assert_eq!(page.items[0].sort, "a1");
    let next = documents::query("p", &Range::All, 9, page.cursor.as_deref(), false).unwrap();
    let sorts: Vec<&str> = next.items.iter().map(|item| item.sort.as_str()).collect();
    assert_eq!((sorts, next.cursor), (vec!["a2", "b1"], None));
    let some = documents::query_attributes("p", &Range::All, 1, None, true, &["of"]).unwrap();
    assert_eq!(some.items[0].attributes, r#"{"of":"b1"}"#);
    documents::update(
        &key("a1"),
        &[Change::Add("n".into(), 2)],
        &Condition::Exists,
    )
    .unwrap();
    assert_eq!(host.document("p", "a1"), Some(json!({"n": 3, "of": "a1"})));
    documents::delete(&key("a1")).unwrap();
    assert_eq!(documents::count("p", &Range::All, 10).unwrap(), 2);
}

#[test]
fn condition_that_does_not_hold_changes_nothing() {
    let host = TestHost::start();
    let set = [Change::Set("v".into(), json!(2))];
    let update = |condition| documents::update(&key("a"), &set, &condition);
    assert_eq!(
        update(Condition::Exists),
        Err(documents::Error::ConditionFailed)
    );
    assert_eq!(host.document("p", "a"), None);
    assert!(update(Condition::Absent).is_ok());
    assert_eq!(
        update(Condition::Absent),
        Err(documents::Error::ConditionFailed)
    );
    assert!(update(Condition::Equals("v".into(), json!(2))).is_ok());
    let other = Condition::Equals("v".into(), json!(3));
    assert_eq!(update(other), Err(documents::Error::ConditionFailed));
}

#[test]
fn document_that_has_expired_is_gone() {
    let host = TestHost::start();
    let past = Timestamp::from_micros(Timestamp::now().micros() - 1_000_000);
    documents::put(&Item::new("p", "a", &json!({})).until(past)).unwrap();
    assert_eq!(host.document("p", "a"), None);
    assert_eq!(documents::count("p", &Range::All, 10).unwrap(), 0);
}

#[test]
fn cached_value_is_computed_once_until_its_tag_is_invalidated() {
    let _host = TestHost::start();
    let (options, computed) = (
        Options::for_(Duration::from_secs(60)).tag("t"),
        Cell::new(0),
    );
    let get = || {
        cache::get_or_compute("k", &options, || {
            computed.set(computed.get() + 1);
            Ok::<_, ()>(b"v".to_vec())
        })
    };
    assert_eq!((get(), get()), (Ok(b"v".to_vec()), Ok(b"v".to_vec())));
    assert_eq!(computed.get(), 1);
    cache::invalidate_tag("t");
    assert_eq!(get(), Ok(b"v".to_vec()));
    assert_eq!(computed.get(), 2);
}

#[test]
fn stale_value_is_answered_with_the_right_to_renew_it() {
    let _host = TestHost::start();
    let options = Options::for_(Duration::ZERO).stale_for(Duration::from_secs(60));
    cache::set("k", b"old", &options).unwrap();
    assert_eq!(cache::get("k"), None);
    let cache::Found::Stale(entry, Some(lease)) = cache::lookup("k") else {
        panic!("it is stale");
    };
    assert_eq!(entry.value, b"old");
    lease
        .fulfil(b"new", &Options::for_(Duration::from_secs(60)))
        .unwrap();
    assert_eq!(cache::get("k").unwrap().value, b"new");
}

#[test]
fn outside_answers_as_the_test_says() {
    let host = TestHost::start();
    let request = outbound::Request::new("POST", "https://example.com/hook").body(b"hi".to_vec());
    assert!(matches!(request.send(), Err(outbound::Error::Connect(_))));
    let seen = Rc::new(Cell::new(0));
    let counted = seen.clone();
    host.answer_outbound(move |request| {
        counted.set(counted.get() + 1);
        assert_eq!(
            (request.method(), request.bytes()),
            ("POST", b"hi".as_slice())
        );
        Ok(Answer {
            status: 204,
            headers: Vec::new(),
            body: vec![0; 8],
        })
    });
    assert_eq!(request.send().unwrap().status, 204);
    let short = request.clone().max_response_bytes(4);
    assert_eq!(short.send(), Err(outbound::Error::TooLarge));
    assert_eq!(seen.get(), 2);
}

#[test]
fn events_lines_and_counts_are_seen_by_the_test() {
    let host = TestHost::start();
    push::publish("inbox", &Event::new("hello").kind("greeting")).unwrap();
    assert_eq!(
        host.published("inbox"),
        [Event::new("hello").kind("greeting")]
    );
    log::info!("created", ticket = "tkt_1");
    let lines = host.logged();
    assert_eq!(
        (lines[0].message.as_str(), &lines[0].fields),
        ("created", &json!({"ticket": "tkt_1"}))
    );
    metrics::count("created", 2, &[("kind", "a")]);
    metrics::count("created", 1, &[]);
    assert_eq!(host.counted("created"), 3);
}

use std::collections::BTreeMap;

use hearth_plugin::outbound::Answer;

use super::*;

fn attempt(status: Option<u16>, outcome: &'static str) -> Attempt {
    Attempt {
        started_at: Timestamp::default(),
        duration: Duration::from_millis(20),
        outcome,
        status,
        error: None,
        note: None,
        response: Vec::new(),
        asked: None,
        url: String::new(),
        request_headers: Value::Null,
    }
}

fn partly(status: u16, headers: &[(&str, &str)], body: &[u8], cut: Option<Error>) -> Attempt {
    let header = |(name, value): &(&str, &str)| (name.to_string(), value.as_bytes().to_vec());
    let answer = Answer {
        status,
        headers: headers.iter().map(header).collect(),
        body: body.to_vec(),
    };
    attempt(None, "status").with_answer(Partial { answer, cut })
}

fn answered(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Attempt {
    partly(status, headers, body, None)
}

fn past(tries: i64, slow: i64, throttles: i64) -> Past {
    Past {
        tries,
        slow,
        throttles,
    }
}

fn first(attempt: &Attempt) -> Verdict {
    attempt.verdict(past(1, 0, 0), 0.5)
}

fn pause(attempt: &Attempt, past: Past) -> Option<u64> {
    match attempt.verdict(past, 0.5) {
        Verdict::Again { pause, .. } => pause.map(|pause| pause.as_secs()),
        _ => None,
    }
}

#[test]
fn only_2xx_is_a_success() {
    for status in [200, 201, 204, 299] {
        assert_eq!(first(&answered(status, &[], b"")), Verdict::Delivered);
    }
    for status in [100, 300, 301, 302, 307, 400, 404, 500, 503] {
        let wait = Duration::from_secs(5);
        let again = Verdict::Again { wait, pause: None };
        assert_eq!(first(&answered(status, &[], b"")), again, "{status}");
    }
}

#[test]
fn status_counts_whatever_became_of_the_body() {
    for why in [
        Error::TooLarge,
        Error::Timeout,
        Error::Protocol("closed".into()),
    ] {
        let delivered = partly(200, &[], b"abc", Some(why.clone()));
        assert_eq!(first(&delivered), Verdict::Delivered);
        assert_eq!((delivered.error, delivered.response), (None, b"abc".into()));
        assert!(delivered.note.unwrap().contains(&why.to_string()));
        assert_eq!(first(&partly(410, &[], b"", Some(why))), Verdict::Gone);
    }
    assert_eq!(answered(200, &[], b"").note, None);
}

#[test]
fn gone_ends_it_at_once_and_the_tenth_attempt_ends_it_too() {
    let tenth = past(10, 0, 0);
    assert_eq!(first(&answered(410, &[], b"")), Verdict::Gone);
    assert_eq!(answered(500, &[], b"").verdict(tenth, 0.5), Verdict::Failed);
    assert_eq!(
        answered(200, &[], b"").verdict(tenth, 0.5),
        Verdict::Delivered
    );
}

#[test]
fn endpoint_rests_as_long_as_it_asks_for() {
    for status in [429, 502, 503, 504] {
        let asks = |text: &str| answered(status, &[("retry-after", text)], b"");
        let wait = Duration::from_secs(60);
        let pause = Some(wait);
        assert_eq!(first(&asks("60")), Verdict::Again { wait, pause });
        let again = past(9, 0, 5);
        assert_eq!(self::pause(&asks("0"), again), Some(1));
        assert_eq!(self::pause(&asks("3600"), again), Some(3_600));
        assert_eq!(self::pause(&asks("999999999"), again), Some(7_200));
    }
    let fault = answered(500, &[("retry-after", "60")], b"");
    assert_eq!(pause(&fault, past(1, 0, 0)), None, "its own matter");
}

#[test]
fn endpoint_that_does_not_say_how_long_rests_for_seconds_that_grow() {
    for status in [429, 502, 504] {
        let throttled = answered(status, &[], b"");
        let rests = [0, 1, 2, 5, 6, i64::MAX].map(|times| past(9, 0, times));
        let rests = rests.map(|past| pause(&throttled, past));
        assert_eq!(rests, [1, 2, 4, 32, 60, 60].map(Some), "{status}");
    }
}

#[test]
fn a_receiver_that_hangs_rests_ever_longer() {
    let hangs = attempt(None, "timeout");
    let rests = [1, 2, 3, 4, 5, 100].map(|slow| pause(&hangs, past(1, slow, 0)));
    assert_eq!(rests, [5, 10, 20, 40, 60, 60].map(Some));
    let mut slow = attempt(None, "timeout");
    assert_eq!(slow.slow(3), 0);
    slow.duration = TIMEOUT;
    assert_eq!(slow.slow(3), 4);
}

#[test]
fn the_beginning_of_an_answer_is_kept() {
    let long = vec![b'x'; 20_000];
    assert_eq!(answered(500, &[], &long).response.len(), 16 * 1024);
    assert_eq!(answered(200, &[], b"ok").response, b"ok");
}

#[test]
fn headers_are_shown_without_the_values_of_the_endpoint_s_own() {
    let own = ("authorization".to_string(), "Bearer hunter2".to_string());
    let headers = Headers(BTreeMap::from([own]));
    let delivery = Delivery::example("https://example.com/", &headers);
    let shown = delivery.masked_headers(delivery.head(7));
    assert_eq!(shown["webhook-id"], "evt");
    assert_eq!(shown["webhook-timestamp"], "7");
    assert_eq!(shown["authorization"], "***");
    assert!(!shown.to_string().contains("hunter2"));
}

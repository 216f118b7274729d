//! HTTP/2 without TLS, by prior knowledge: served, drained, and attacked.

mod frames;

use std::time::{Duration, Instant};

use reqwest::{Client, Version};

use self::frames::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, GOAWAY, HEADERS, PING,
    RST_STREAM, SETTINGS, Wire, frame, get, literal,
};
use crate::harness::host::{Host, Setup, runs};
use crate::harness::tool::tool;

fn host() -> Host {
    Setup::new()
        .guest("echo", &[], "")
        .config("[server]\nwrite_idle_ms_max = 1_000\nidle_ms_max = 3_000")
        .start()
}

fn client() -> Client {
    Client::builder().http2_prior_knowledge().build().unwrap()
}

/// Whoever attacks, others are served.
async fn serves(host: &Host) {
    let answer = client()
        .get(format!("{}/healthz", host.url))
        .send()
        .await
        .unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.version()),
        (200, Version::HTTP_2)
    );
}

#[tokio::test]
async fn streams_of_one_connection_are_answered_side_by_side() {
    let host = host();
    let key = host.key("acme", &[]);
    let client = client();
    let asked = (0..50).map(|number| {
        let request = client
            .post(format!("{}/echo", host.url))
            .header("x-api-key", &key);
        request.body(format!("body {number}")).send()
    });
    for (number, answer) in futures_util::future::join_all(asked)
        .await
        .into_iter()
        .enumerate()
    {
        let answer = answer.unwrap();
        assert_eq!(answer.version(), Version::HTTP_2);
        assert!(
            answer
                .text()
                .await
                .unwrap()
                .contains(&format!("body {number}"))
        );
    }
}

#[tokio::test]
async fn drain_says_goaway_answers_what_is_under_way_and_has_no_connection_header() {
    let mut host = Setup::new()
        .guest("sleeper", &["sql"], "sql_functions = [\"pg_sleep\"]")
        .start();
    let key = host.key("acme", &[]);
    let mut wire = Wire::open(&host);
    let count = 40;
    for number in 0..count {
        let block = get("/sleeper", &[("x-api-key", &key)]);
        wire.send(&frame(
            HEADERS,
            END_STREAM | END_HEADERS,
            2 * number + 1,
            &block,
        ));
    }
    // An answer shows that the others are under way too.
    assert!(wire.find(HEADERS).is_some());
    host.signal(libc::SIGTERM);
    let mut frames = Vec::new();
    while let Some(next) = wire.next() {
        // The farewell asks with a PING whether everything that came before came.
        if next.kind == PING && next.flags & ACK == 0 {
            wire.try_send(&frame(PING, ACK, 0, &next.payload));
        }
        frames.push(next);
    }
    assert!(
        frames
            .iter()
            .any(|frame| frame.kind == GOAWAY && frame.error() == 0)
    );
    let ended = frames
        .iter()
        .filter(|frame| frame.kind == DATA && frame.flags & END_STREAM != 0);
    assert!(ended.count() >= count as usize - 1);
    assert!(frames.iter().all(|frame| frame.kind != RST_STREAM));
    assert!(host.stop().success());
    assert!(
        !host.log().contains("Connection header illegal"),
        "{}",
        host.log()
    );
}

#[tokio::test]
async fn rapid_reset_is_told_to_calm_down() {
    let host = host();
    let mut wire = Wire::open(&host);
    let block = get("/healthz", &[]);
    for number in 0..u32::try_from(runs(20_000, 1_000_000)).unwrap() {
        let stream = 2 * number + 1;
        let mut both = frame(HEADERS, END_STREAM | END_HEADERS, stream, &block);
        both.extend(frame(RST_STREAM, 0, stream, &8u32.to_be_bytes()));
        if !wire.try_send(&both) {
            break;
        }
    }
    let goaway = wire.find(GOAWAY);
    assert!(goaway.is_none_or(|frame| frame.error() == ENHANCE_YOUR_CALM));
    serves(&host).await;
}

#[tokio::test]
async fn endless_headers_end_the_connection_and_take_no_memory() {
    let host = host();
    serves(&host).await;
    let before = host.resident_bytes();
    let mut wire = Wire::open(&host);
    wire.send(&frame(HEADERS, END_STREAM, 1, &get("/healthz", &[])));
    let block: Vec<u8> = (0..100)
        .flat_map(|_| literal("x-bomb", &"a".repeat(100)))
        .collect();
    let more = frame(CONTINUATION, 0, 1, &block);
    let mut sent = 0;
    while wire.try_send(&more) {
        sent += 1;
        assert!(sent < 100_000, "a flood of CONTINUATION was taken");
    }
    let grown = host.resident_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown}");
    serves(&host).await;
}

#[tokio::test]
async fn header_list_that_unpacks_to_much_is_refused() {
    let host = host();
    let mut wire = Wire::open(&host);
    // Once into the table (RFC 7541, section 6.2.1), then a byte for each use.
    let mut block = get("/healthz", &[]);
    block.extend([0x40, 1, b'x', 0x7f, 0]);
    block.truncate(block.len() - 2);
    block.push(120);
    block.extend([b'a'; 120]);
    block.extend(std::iter::repeat_n(0x80 | 62, 10_000));
    wire.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &block));
    let answered = std::iter::from_fn(|| wire.next())
        .find(|frame| matches!(frame.kind, HEADERS | RST_STREAM | GOAWAY));
    // 431 where it is a header frame: the block ends with the status as text.
    if let Some(answer) = answered.filter(|frame| frame.kind == HEADERS) {
        assert!(!answer.payload.starts_with(&[0x88]), "200 for a bomb");
    }
    serves(&host).await;
}

#[tokio::test]
async fn flood_of_pings_and_settings_whose_answers_nobody_reads_takes_no_memory() {
    let host = host();
    serves(&host).await;
    let before = host.resident_bytes();
    for flood in [frame(PING, 0, 0, &[0; 8]), frame(SETTINGS, 0, 0, &[])] {
        let mut wire = Wire::open(&host);
        wire.stream
            .set_write_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        let many: Vec<u8> = flood.repeat(1_000);
        for _ in 0..runs(500, 10_000) {
            if !wire.try_send(&many) {
                break;
            }
        }
        let grown = host.resident_bytes().saturating_sub(before);
        assert!(grown < 64 << 20, "{grown}");
    }
    serves(&host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stream_without_a_window_is_ended_and_so_is_an_idle_connection() {
    let host = host();
    let key = host.key("acme", &[]);
    // SETTINGS_INITIAL_WINDOW_SIZE 0: nothing of a body may be sent.
    let mut wire = Wire::with_settings(&host, &[0, 4, 0, 0, 0, 0]);
    let block = get("/echo/large/8388608", &[("x-api-key", &key)]);
    wire.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &block));
    let frames: Vec<_> = std::iter::from_fn(|| wire.next()).collect();
    assert!(frames.iter().any(|frame| frame.kind == HEADERS));
    assert!(
        frames
            .iter()
            .all(|frame| frame.kind != DATA || frame.payload.is_empty())
    );
    // Pings are no use of a connection.
    let mut idle = Wire::open(&host);
    let until = Instant::now() + Duration::from_secs(60);
    let goaway = loop {
        idle.try_send(&frame(PING, 0, 0, &[0; 8]));
        match idle.next() {
            None => break false,
            Some(frame) if frame.kind == GOAWAY => break true,
            Some(frame) if frame.kind == PING && frame.flags & ACK == 0 => {}
            Some(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
        assert!(Instant::now() < until, "an idle connection was kept");
    };
    assert!(goaway);
    let name = "hearth_connections_ended_total";
    assert!(host.metric(name, &["reason=\"idle\""]).await >= 1.0);
}

#[tokio::test]
async fn early_answer_ends_its_stream_without_an_error_and_takes_nothing_from_others() {
    let limits = "[server]\nlinger_bytes_max = 40_000";
    let host = Setup::new().config(limits).start();
    let mut wire = Wire::open(&host);
    let head = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/nowhere"),
        (":authority", "a"),
        ("content-length", "10000000"),
    ];
    let block: Vec<u8> = head
        .iter()
        .flat_map(|(name, value)| literal(name, value))
        .collect();
    let body = [b'a'; 16_000];
    // Together more than the connection's window, so all of it is given back.
    for number in 0..40 {
        let stream = 2 * number + 1;
        wire.send(&frame(HEADERS, END_HEADERS, stream, &block));
        for _ in 0..4 {
            wire.send(&frame(DATA, 0, stream, &body));
        }
        let frames = std::iter::from_fn(|| wire.next());
        let until_reset: Vec<_> = frames
            .take_while(|frame| frame.kind != RST_STREAM || frame.payload != [0; 4])
            .inspect(|frame| assert!(![GOAWAY, RST_STREAM].contains(&frame.kind), "{frame:?}"))
            .collect();
        // NO_ERROR (RFC 9113, section 8.1), behind the whole answer.
        let ends = |frame: &frames::Frame| frame.kind == DATA && frame.flags & END_STREAM != 0;
        assert!(until_reset.iter().any(ends), "{until_reset:?}");
    }
    let next = frame(HEADERS, END_STREAM | END_HEADERS, 81, &get("/healthz", &[]));
    wire.send(&next);
    // RFC 7541, appendix A: 8 is `:status: 200`.
    let answer = wire.find(HEADERS).unwrap();
    assert_eq!(answer.payload.first(), Some(&0x88));
    // A client of the usual kind takes the answer for what it is, and goes on.
    let client = client();
    for _ in 0..2 {
        let body = vec![b'a'; 2_000_000];
        let post = client.post(format!("{}/nowhere", host.url)).body(body);
        assert_eq!(post.send().await.unwrap().status(), 404);
    }
}

#[tokio::test]
async fn authority_and_host_that_differ_are_400() {
    let host = host();
    let mut wire = Wire::open(&host);
    for (stream, name, status) in [(1, "b", "400"), (3, "A", "200")] {
        let block = get("/healthz", &[("host", name)]);
        wire.send(&frame(HEADERS, END_STREAM | END_HEADERS, stream, &block));
        let answer = wire.find(HEADERS).unwrap();
        // RFC 7541, appendix A: 8 is `:status: 200`, 12 is `:status: 400`.
        let first = if status == "200" { 0x88 } else { 0x8c };
        assert_eq!(answer.payload.first(), Some(&first), "{name}");
    }
}

#[tokio::test]
async fn h2load_sees_no_failed_request() {
    let host = host();
    let requests = runs(5_000, 200_000).to_string();
    let url = format!("{}/healthz", host.url);
    let mut command = tool("h2load");
    command.args(["-n", &requests, "-c", "10", "-m", "20", &url]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let expected = format!("{requests} done, {requests} succeeded, 0 failed, 0 errored, 0 timeout");
    assert!(told.contains(&expected), "{told}");
}

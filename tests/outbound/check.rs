//! The dry run: it says what `send` would, and everything at once, and sends nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use hearth::capability::Call;
use hearth::capability::outbound::{
    self, Client, Config, GuestError, GuestRefusal as Refusal, GuestRequest, Lent, Pattern,
    Resolver, State, View,
};
use hearth::telemetry::{HostMetrics, Metrics};
use proptest::prelude::*;
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store};

use super::server::{Server, text};
use super::{Bench, EVERYWHERE, get, ip, loopback, names};

fn with(url: &str, headers: &[(&str, &[u8])]) -> GuestRequest {
    let headers = headers.iter();
    GuestRequest {
        headers: headers
            .map(|(name, value)| (name.to_string(), value.to_vec()))
            .collect(),
        ..get(url)
    }
}

#[tokio::test]
async fn everything_that_is_in_the_way_is_told_at_once() {
    let config = Config {
        request_bytes_max: 10,
        ..Config::default()
    };
    let mut call = Bench::new(config).call("acme", &["https://example.com"]);
    let request = GuestRequest {
        method: "CONNECT".into(),
        body: vec![0; 11],
        ..with(
            "http://10.0.0.1:81/",
            &[("HTTP2-Settings", b""), ("x-a", b"1\r\n"), ("x-b", b"1")],
        )
    };
    let told = call.check(request).await;
    let [
        Refusal::Method(_),
        Refusal::Denied(denied),
        Refusal::BlockedAddress(blocked),
        Refusal::Header((first, _)),
        Refusal::Header((second, value)),
        Refusal::Body(body),
    ] = told.as_slice()
    else {
        panic!("{told:?}")
    };
    assert!(
        denied.contains("can grant outbound:http://10.0.0.1:81"),
        "{denied}"
    );
    assert!(
        blocked.contains("10.0.0.1: private (RFC 1918)"),
        "{blocked}"
    );
    assert!(blocked.contains("outbound.allow_addresses"), "{blocked}");
    assert_eq!((first.as_str(), second.as_str()), ("HTTP2-Settings", "x-a"));
    assert!(!value.contains('\n') && !value.contains('1'), "{value}");
    assert!(body.contains("outbound.request_bytes_max"), "{body}");
    let told = call.check(get("https://example.com:0/")).await;
    assert!(matches!(told.as_slice(), [Refusal::Url(_)]), "{told:?}");
}

#[tokio::test]
async fn headers_are_bounded_together() {
    let mut call = Bench::new(Config::default()).call("acme", &EVERYWHERE);
    let many: Vec<_> = (0..5_000).map(|n| (format!("x-{n}"), vec![])).collect();
    let large = vec![("x-a".to_owned(), vec![b'x'; 33 << 10])];
    for headers in [many, large] {
        let request = GuestRequest {
            headers,
            ..get("https://example.com/")
        };
        let told = call.check(request).await;
        assert!(matches!(told.as_slice(), [Refusal::Headers(_)]), "{told:?}");
    }
}

#[tokio::test]
async fn addresses_are_judged_by_the_one_table_of_the_host() {
    let mut call = Bench::new(Config::default()).call("acme", &EVERYWHERE);
    for host in [
        "168.63.129.16",
        "[3fff::1]",
        "[3fff:fff::1]",
        "192.88.99.1",
        "169.254.169.254",
        "0",
        "2130706433",
        "[::ffff:10.0.0.1]",
        "[2002:7f00:1::]",
        "localhost",
        "a.localhost",
    ] {
        let told = call.check(get(&format!("https://{host}/"))).await;
        assert!(
            matches!(told.as_slice(), [Refusal::BlockedAddress(_)]),
            "{host}: {told:?}"
        );
    }
    for host in [
        "93.184.216.34",
        "[2606:4700:4700::1111]",
        "example.com",
        "db.internal",
    ] {
        assert_eq!(
            call.check(get(&format!("https://{host}/"))).await.len(),
            0,
            "{host}"
        );
    }
    let mut call = Bench::new(loopback()).call("acme", &EVERYWHERE);
    for host in ["127.0.0.1:9000", "localhost:9000", "[::1]:9000"] {
        assert_eq!(
            call.check(get(&format!("http://{host}/"))).await.len(),
            0,
            "{host}"
        );
    }
}

#[tokio::test]
async fn check_reaches_nobody_asks_for_no_name_and_uses_up_no_request() {
    let server = Server::http("127.0.0.1:0", async |_| text("ok")).await;
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let resolver = names(move |_| {
        counted.fetch_add(1, Relaxed);
        vec![ip("127.0.0.1")]
    });
    let bench = Bench::with(loopback(), resolver);
    let mut call = bench.call("acme", &EVERYWHERE);
    for _ in 0..100 {
        assert!(call.check(get(&server.url())).await.is_empty());
        assert!(call.check(get("http://example.com/")).await.is_empty());
    }
    assert_eq!((server.accepted(), asked.load(Relaxed)), (0, 0));
    assert_eq!(bench.metric("hearth_outbound_calls_total", ""), 0);
    for _ in 0..32 {
        assert_eq!(call.send(get(&server.url())).await.unwrap().status, 200);
    }
    let more = call.send(get(&server.url())).await;
    assert!(matches!(more, Err(GuestError::Denied(_))), "{more:?}");
    assert!(call.check(get(&server.url())).await.is_empty());
}

/// A URL whose host is closed, unknown, or none.
fn urls() -> impl Strategy<Value = String> {
    let hosts = prop_oneof![
        any::<u32>().prop_map(|bits| format!(
            "127.{}.{}.{}",
            bits >> 24,
            bits >> 16 & 255,
            bits & 255
        )),
        any::<u64>().prop_map(|low| format!("[fd00::{:x}:{:x}]", low >> 16 & 0xffff, low & 0xffff)),
        any::<u32>().prop_map(|bits| format!("[64:ff9b::{:x}:{:x}]", bits >> 16, bits & 0xffff)),
        "[a-z0-9.:@%-]{0,12}\\.example",
        Just("localhost".to_owned()),
        Just("granted.test".to_owned()),
    ];
    let schemes = prop_oneof![Just("https"), Just("http"), Just("ftp")];
    (schemes, hosts, "(:[0-9]{1,6})?", "/[a-z #?\\\\é]{0,8}")
        .prop_map(|(scheme, host, port, path)| format!("{scheme}://{host}{port}{path}"))
}

fn requests() -> impl Strategy<Value = GuestRequest> {
    let names = prop_oneof![
        "[a-zA-Z0-9 :_-]{0,12}",
        Just("HTTP2-Settings".to_owned()),
        Just("te".to_owned()),
    ];
    let values = prop::collection::vec(any::<u8>(), 0..8);
    let methods = prop_oneof![Just("POST".to_owned()), "[A-Z ]{0,40}"];
    let headers = prop::collection::vec((names, values), 0..4);
    (methods, urls(), headers, 0..20_usize).prop_map(|(method, url, headers, body)| GuestRequest {
        method,
        url,
        headers,
        body: vec![b'x'; body],
    })
}

proptest! {
    /// No name here has an address but `localhost`, so that nothing is ever reached.
    #[test]
    fn what_is_taken_is_sent_and_what_is_refused_is_refused_by_send(request in requests()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let config = Config { request_bytes_max: 10, ..Config::default() };
            let resolver = names(|name| match name {
                "localhost" => vec![ip("127.0.0.1")],
                _ => vec![],
            });
            let mut call = Bench::with(config, resolver).call("acme", &["https://*", "http://granted.test"]);
            let told = call.check(request.clone()).await;
            let sent = call.send(request.clone()).await.unwrap_err();
            let refused = matches!(
                sent,
                GuestError::Invalid(_) | GuestError::Denied(_) | GuestError::BlockedAddress
            );
            assert_eq!(refused, !told.is_empty(), "{request:?}: {told:?} {sent:?}");
        });
    }
}

/// The interface as components knew it that were built before it had `check`.
const BEFORE: &str = r#"(component
    (import "hearth:plugin/outbound@0.1.0" (instance
        (type $pair (tuple string (list u8)))
        (type $request (record (field "method" string) (field "url" string)
            (field "headers" (list $pair)) (field "body" (list u8))))
        (export "request" (type $r (eq $request)))
        (type $response (record (field "status" u16) (field "headers" (list $pair))
            (field "body" (list u8))))
        (export "response" (type $a (eq $response)))
        (type $options (record (field "timeout-ms" u64) (field "max-response-bytes" u64)))
        (export "options" (type $o (eq $options)))
        (type $error (variant (case "blocked-address") (case "dns" string)
            (case "connect" string) (case "tls" string) (case "timeout") (case "too-large")
            (case "breaker-open" u64) (case "denied" string) (case "protocol" string)
            (case "invalid" string)))
        (export "error" (type $e (eq $error)))
        (export "send" (func (param "request" $r) (param "options" $o)
            (result (result $a (error $e)))))
    ))
)"#;

/// What a store has for the interface alone.
struct Borrowed {
    call: Call,
    lent: Lent,
    state: State,
}

#[tokio::test]
async fn component_that_was_built_before_there_was_a_check_still_links() {
    let metrics = HostMetrics::new(&Metrics::new(&hearth::telemetry::Config::default()));
    let client = Client::open(&Config::default(), Resolver::System, &metrics).unwrap();
    let borrowed = Borrowed {
        call: Call::of("old", Some("acme")),
        lent: client.lend("old", vec![Pattern::parse("https://*").unwrap()]),
        state: State::default(),
    };
    let engine = Engine::default();
    let component = Component::new(&engine, BEFORE).unwrap();
    let mut linker: Linker<Borrowed> = Linker::new(&engine);
    outbound::add_to_linker(&mut linker, |borrowed| View {
        call: &borrowed.call,
        lent: &borrowed.lent,
        state: &mut borrowed.state,
    })
    .unwrap();
    let mut store = Store::new(&engine, borrowed);
    linker
        .instantiate_async(&mut store, &component)
        .await
        .unwrap();
}

//! The capability `log` and the logs behind it, without a component.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hearth::capability::Call;
use hearth::capability::log::generated::{Host, Level};
use hearth::capability::log::{Client, Config, Lent, State, View};
use hearth::telemetry::logs::Guard;
use hearth::telemetry::{HostMetrics, LogFormat, Logs, Metrics, Redactor, Traces};
use proptest::prelude::*;
use serde_json::Value;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

struct Bench {
    lines: Lines,
    guard: Guard,
    metrics: Metrics,
    lent: Lent,
    call: Call,
    state: State,
}

impl Bench {
    fn new(config: &Config, log_format: LogFormat) -> Self {
        let telemetry = hearth::telemetry::Config {
            log_format,
            log_bytes_waiting_max: 64 << 20,
            ..Default::default()
        };
        let lines = Lines::default();
        let redactor = Redactor::new(["secret-of-the-host"]);
        let (logs, guard) = Logs::to_writer(&telemetry, &redactor, lines.clone()).unwrap();
        let metrics = Metrics::new(&telemetry);
        let client = Client::open(config, &logs, &redactor, &HostMetrics::new(&metrics));
        let lent = client.lend("tickets", 7, ["secret-of-the-plugin"]);
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        let customer = Some("acme".into());
        let call = Call::new(
            "tickets".into(),
            7,
            "req_1".into(),
            customer,
            deadline,
            u64::MAX,
        );
        Self {
            lines,
            guard,
            metrics,
            lent,
            call,
            state: State::default(),
        }
    }

    fn write(&mut self, level: Level, message: &str, fields: &str) {
        let mut view = View {
            call: &self.call,
            lent: &self.lent,
            state: &mut self.state,
        };
        view.write(level, message.to_owned(), fields.to_owned())
            .unwrap();
    }

    /// Everything that was written, after the writer's end.
    fn finish(self) -> String {
        drop(self.guard);
        String::from_utf8(self.lines.0.lock().unwrap().clone()).unwrap()
    }
}

fn json(config: &Config) -> Bench {
    Bench::new(config, LogFormat::Json)
}

fn parse(lines: &str) -> Vec<Value> {
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_line_carries_what_the_host_knows_of_the_call() {
    let mut bench = json(&Config::default());
    bench.write(Level::Warn, "created", r#"{"ticket": "tkt_1", "n": 1.50}"#);
    let lines = parse(&bench.finish());
    assert_eq!(lines.len(), 1);
    let line = &lines[0];
    assert_eq!(line["level"], "WARN");
    assert_eq!(line["target"], "plugin");
    assert_eq!(line["message"], "created");
    assert_eq!(line["plugin"], "tickets");
    assert_eq!(line["deployment"], 7);
    assert_eq!(line["request_id"], "req_1");
    assert_eq!(line["customer"], "acme");
    assert_eq!(line["fields"].to_string(), r#"{"n":1.50,"ticket":"tkt_1"}"#);
}

#[test]
fn line_says_which_trace_its_call_is_of() {
    let mut telemetry = hearth::telemetry::Config::default();
    telemetry.traces.endpoint = Some("http://127.0.0.1:4318".into());
    let metrics = HostMetrics::new(&Metrics::new(&telemetry));
    let (traces, _exporter) = Traces::open(&telemetry, &metrics).unwrap();
    let span = traces.consume(std::iter::empty());
    let mut bench = json(&Config::default());
    bench.call.trace = span.scope();
    bench.write(Level::Info, "traced", "");
    let trace = span.scope().trace_id().unwrap().to_string();
    assert_eq!(parse(&bench.finish())[0]["trace_id"], trace);
}

#[test]
fn a_guest_cannot_forge_a_line() {
    let mut bench = Bench::new(&Config::default(), LogFormat::Human);
    let forged = "ok\n2026-01-01T00:00:00Z ERROR plugin: forged\r\u{1b}[31m\u{85}\u{2028}\u{202e}";
    bench.write(Level::Info, forged, "{\"a\":\"x\u{7f}\u{9b}\\ny\"}");
    let text = bench.finish();
    assert_eq!(text.lines().count(), 1, "{text:?}");
    let strange = |c: char| c != '\n' && (c.is_control() || ('\u{2028}'..='\u{202e}').contains(&c));
    assert!(!text.contains(strange), "{text:?}");
}

#[test]
fn secrets_do_not_reach_the_log() {
    let mut bench = json(&Config::default());
    bench.write(
        Level::Info,
        "host secret-of-the-host plugin secret-of-the-plugin",
        "",
    );
    bench.write(
        Level::Info,
        "key hk_0123456789abcdefghij",
        r#"{"password":"hunter2"}"#,
    );
    bench.write(
        Level::Info,
        "at postgres://app:hunter2@db/app",
        "secret-of-the-plugin {",
    );
    let text = bench.finish();
    for secret in ["secret-of", "hk_0123", "hunter2"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    assert_eq!(text.matches("[redacted]").count(), 6, "{text}");
}

#[test]
fn a_secret_that_the_limit_halves_is_not_shown() {
    let config = Config {
        line_bytes_max: 64,
        ..Config::default()
    };
    // Redacting what comes first moves the half at the cut into what is kept.
    for padding in 0..128 {
        let mut bench = json(&config);
        let many = "secret-of-the-plugin".repeat(40);
        bench.write(Level::Info, &format!("{}{many}", "x".repeat(padding)), "");
        let text = bench.finish();
        assert!(!text.contains("secr"), "{text}");
    }
}

#[test]
fn fields_that_are_no_object_become_text() {
    let mut bench = json(&Config::default());
    for fields in ["not json", "[1,2]", "{\"a\":", "\"quoted\""] {
        bench.write(Level::Info, "m", fields);
    }
    let lines = parse(&bench.finish());
    let texts: Vec<String> = lines
        .iter()
        .map(|line| line["fields"].clone())
        .map(|fields| fields["text"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(texts, ["not json", "[1,2]", "{\"a\":", "\"quoted\""]);
}

#[test]
fn lines_past_the_limit_are_dropped_and_counted() {
    let mut bench = json(&Config {
        lines_max: 3,
        ..Config::default()
    });
    for _ in 0..1_000_000 {
        bench.write(Level::Info, "again", "");
    }
    let page = bench.metrics.render();
    let counted =
        "hearth_plugin_log_lines_dropped_total{plugin=\"tickets\",reason=\"lines_max\"} 999997";
    assert!(page.contains(counted), "{page}");
    let lines = parse(&bench.finish());
    assert_eq!(
        lines.len(),
        4,
        "three lines, and one that says that no more come"
    );
    assert!(lines[3]["message"].as_str().unwrap().contains("lines_max"));
}

#[test]
fn a_long_line_is_cut_between_characters() {
    let config = Config {
        line_bytes_max: 65,
        fields_bytes_max: 64,
        ..Config::default()
    };
    let mut bench = json(&config);
    bench.write(
        Level::Info,
        &"é".repeat(10_000),
        &format!("{{\"a\":\"{}\"}}", "b".repeat(9_000)),
    );
    let lines = parse(&bench.finish());
    let message = lines[0]["message"].as_str().unwrap();
    assert_eq!(message, format!("{}…", "é".repeat(32)));
    assert!(lines[0]["fields"].to_string().len() < 128);
}

#[test]
fn lines_below_the_level_are_not_written() {
    let mut bench = json(&Config::default());
    bench.write(Level::Debug, "debug", "");
    bench.write(Level::Trace, "trace", "");
    assert_eq!(bench.finish(), "");
}

/// Takes nothing until it is let go.
struct Stuck(Arc<Mutex<()>>, Lines);

impl Write for Stuck {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let _held = self.0.lock().unwrap();
        self.1.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_stopped_holds_nobody_up() {
    let lines = Lines::default();
    let gate = Arc::new(Mutex::new(()));
    let held = gate.lock().unwrap();
    let telemetry = hearth::telemetry::Config {
        log_bytes_waiting_max: 64 << 10,
        ..Default::default()
    };
    let stuck = Stuck(Arc::clone(&gate), lines.clone());
    let (logs, guard) = Logs::to_writer(&telemetry, &Redactor::default(), stuck).unwrap();
    let metrics = Metrics::new(&telemetry);
    let config = Config {
        lines_max: u32::MAX,
        ..Config::default()
    };
    let host = HostMetrics::new(&metrics);
    let client = Client::open(&config, &logs, &Redactor::default(), &host);
    let lent = client.lend("tickets", 1, [""; 0]);
    let deadline = tokio::time::Instant::now();
    let call = Call::new(
        "tickets".into(),
        1,
        "req_1".into(),
        None,
        deadline,
        u64::MAX,
    );
    let mut state = State::default();
    let mut write = |message: &str| {
        let mut view = View {
            call: &call,
            lent: &lent,
            state: &mut state,
        };
        view.write(Level::Info, message.to_owned(), String::new())
            .unwrap();
    };
    for _ in 0..500 {
        write(&"x".repeat(1_000));
    }
    let waiting = "nothing was written while the reader held still";
    assert!(lines.0.lock().unwrap().is_empty(), "{waiting}");
    drop(held);
    // Once there is room again, a line says how many are missing.
    let told = || String::from_utf8_lossy(&lines.0.lock().unwrap()).contains("were dropped");
    let end = Instant::now() + Duration::from_secs(60);
    while !told() && Instant::now() < end {
        write("after");
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(guard);
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(
        text.contains("lines of this log were dropped"),
        "{}",
        text.len()
    );
    let long = text.lines().filter(|line| line.contains("xxx")).count();
    assert!(
        (1..=64).contains(&long),
        "{long} of 500 lines fit into 64 KiB"
    );
}

proptest! {
    /// Whatever a guest writes is one line, and never longer than its limits
    /// with every character escaped.
    #[test]
    fn any_line_stays_one_line(message in any::<String>(), fields in any::<String>()) {
        let mut bench = json(&Config { line_bytes_max: 64, fields_bytes_max: 64, ..Config::default() });
        bench.write(Level::Info, &message, &fields);
        let text = bench.finish();
        prop_assert_eq!(text.lines().count(), 1);
        prop_assert!(text.len() < 4_096);
        prop_assert!(serde_json::from_str::<Value>(&text).is_ok());
    }

    #[test]
    fn redaction_never_leaves_a_known_secret(before in ".{0,40}", after in ".{0,40}") {
        let redactor = Redactor::new(["known-secret-value"]);
        let text = format!("{before}known-secret-value{after}");
        prop_assert!(!redactor.redact(&text).contains("known-secret-value"));
    }
}

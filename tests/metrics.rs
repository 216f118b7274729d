//! The capability `metrics` and the page behind it, without a component.

use std::io::Write;
use std::process::{Command, Stdio};

use hearth::capability::Call;
use hearth::capability::metrics::generated::Host;
use hearth::capability::metrics::{Client, Config, Lent, View};
use hearth::telemetry::{HostMetrics, Metrics};
use proptest::prelude::*;

struct Bench {
    metrics: Metrics,
    host: HostMetrics,
    client: Client,
    lent: Lent,
}

impl Bench {
    fn new(config: &Config) -> Self {
        let metrics = Metrics::new(&hearth::telemetry::Config::default());
        let host = HostMetrics::new(&metrics);
        let client = Client::open(config, &metrics, &host);
        let lent = client.lend("tickets", 1);
        Self {
            metrics,
            host,
            client,
            lent,
        }
    }

    fn count(&self, name: &str, by: u64, labels: &[(&str, &str)]) {
        View {
            call: &Call::of("tickets", None),
            lent: &self.lent,
        }
        .count(name.to_owned(), by, owned(labels))
        .unwrap();
    }

    fn observe(&self, name: &str, value: f64, unit: &str, labels: &[(&str, &str)]) {
        let call = Call::of("tickets", None);
        let mut view = View {
            call: &call,
            lent: &self.lent,
        };
        view.observe(name.to_owned(), value, unit.to_owned(), owned(labels))
            .unwrap();
    }

    /// The lines of the plugin's own series.
    fn page(&self) -> Vec<String> {
        let page = self.metrics.render();
        page.lines()
            .filter(|line| line.starts_with("plugin_"))
            .map(str::to_owned)
            .collect()
    }

    fn dropped(&self, reason: &str) -> u64 {
        let start = format!(
            "hearth_plugin_metrics_dropped_total{{plugin=\"tickets\",reason=\"{reason}\"}} "
        );
        let page = self.metrics.render();
        let line = page
            .lines()
            .find_map(|line| line.strip_prefix(&start))
            .map(str::to_owned);
        line.unwrap().parse().unwrap()
    }
}

fn owned(labels: &[(&str, &str)]) -> Vec<(String, String)> {
    labels
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn a_counter_is_prefixed_suffixed_and_labelled_with_its_plugin() {
    let bench = Bench::new(&Config::default());
    bench.count("created", 2, &[("kind", "bug")]);
    bench.count("created_total", 3, &[("kind", "bug")]);
    assert_eq!(
        bench.page(),
        ["plugin_created_total{kind=\"bug\",plugin=\"tickets\"} 5"]
    );
}

#[test]
fn a_histogram_has_buckets_of_its_unit() {
    let bench = Bench::new(&Config::default());
    bench.observe("lookup", 0.003, "seconds", &[]);
    bench.observe("size_bytes", 2_000.0, "bytes", &[]);
    let page = bench.page().join("\n");
    for line in [
        "plugin_lookup_seconds_bucket{plugin=\"tickets\",le=\"0.0025\"} 0",
        "plugin_lookup_seconds_bucket{plugin=\"tickets\",le=\"0.005\"} 1",
        "plugin_lookup_seconds_count{plugin=\"tickets\"} 1",
        "plugin_size_bytes_bucket{plugin=\"tickets\",le=\"4096\"} 1",
        "plugin_size_bytes_sum{plugin=\"tickets\"} 2000",
    ] {
        assert!(page.contains(line), "{line} is missing from\n{page}");
    }
}

#[test]
fn the_order_of_labels_makes_no_other_series() {
    let bench = Bench::new(&Config::default());
    bench.count("n", 1, &[("a", "1"), ("b", "2")]);
    bench.count("n", 1, &[("b", "2"), ("a", "1")]);
    assert_eq!(
        bench.page(),
        ["plugin_n_total{a=\"1\",b=\"2\",plugin=\"tickets\"} 2"]
    );
}

#[test]
fn samples_that_break_a_rule_are_dropped_and_counted() {
    let bench = Bench::new(&Config {
        labels_max: 2,
        ..Config::default()
    });
    let long = "n".repeat(200);
    for name in ["", "1a", "a-b", "a b", "ä", "a:b", "a\n", &long] {
        bench.count(name, 1, &[]);
    }
    for (name, unit) in [("a", "total"), ("a", "sum"), ("a_count", ""), ("a", "Ü")] {
        bench.observe(name, 1.0, unit, &[]);
    }
    assert_eq!(bench.dropped("name"), 12);
    let labels: [&[(&str, &str)]; 9] = [
        &[("", "x")],
        &[("plugin", "other")],
        &[("le", "1")],
        &[("__name__", "x")],
        &[("a-b", "x")],
        &[("a", "1"), ("a", "2")],
        &[("a", "1"), ("b", "2"), ("c", "3")],
        &[("a", "line\nend")],
        &[("a", &long)],
    ];
    for labels in labels {
        bench.count("n", 1, labels);
    }
    assert_eq!(bench.dropped("label"), 9);
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        bench.observe("n", value, "seconds", &[]);
    }
    assert_eq!(bench.dropped("value"), 3);
    assert_eq!(bench.page(), [""; 0]);
}

#[test]
fn a_plugin_has_at_most_its_series_over_all_deployments() {
    let bench = Bench::new(&Config {
        series_max: 10,
        ..Config::default()
    });
    for n in 0..1_000 {
        bench.count("n", 1, &[("id", &n.to_string())]);
    }
    let second = bench.client.lend("tickets", 2);
    View {
        call: &Call::of("tickets", None),
        lent: &second,
    }
    .count("another".to_owned(), 1, Vec::new())
    .unwrap();
    assert_eq!(bench.page().len(), 10);
    assert_eq!(bench.dropped("series_max"), 991);
    // A series that exists goes on counting, and a neighbour has its own.
    bench.count("n", 1, &[("id", "3")]);
    assert!(
        bench
            .page()
            .contains(&"plugin_n_total{id=\"3\",plugin=\"tickets\"} 2".to_owned())
    );
    let neighbour = bench.client.lend("webhooks", 1);
    View {
        call: &Call::of("webhooks", None),
        lent: &neighbour,
    }
    .count("n".to_owned(), 1, Vec::new())
    .unwrap();
    assert!(
        bench
            .page()
            .contains(&"plugin_n_total{plugin=\"webhooks\"} 1".to_owned())
    );
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.split_ascii_whitespace()
        .next()
        .unwrap()
        .parse()
        .unwrap()
}

#[test]
fn millions_of_samples_do_not_grow_the_host() {
    // Nothing runs the upkeep here: the bound holds by itself.
    let bench = Bench::new(&Config::default());
    let batch = || {
        for _ in 0..1_000_000 {
            bench.observe("lookup", 0.003, "seconds", &[]);
        }
    };
    batch();
    let before = resident_kib();
    (0..3).for_each(|_| batch());
    let grown = resident_kib().saturating_sub(before);
    assert!(grown < 16 << 10, "{grown} KiB");
    let page = bench.page().join("\n");
    assert!(
        page.contains("plugin_lookup_seconds_count{plugin=\"tickets\"} 4000000"),
        "{page}"
    );
}

#[test]
fn the_hosts_own_metrics_are_on_the_page() {
    let bench = Bench::new(&Config::default());
    let tickets = bench.host.plugin("tickets");
    tickets.count_request(200);
    tickets.count_request(200);
    tickets.count_request(503);
    tickets.count_shed("wait");
    tickets.count_trap("memory");
    tickets.request_seconds.record(0.25);
    tickets.instances_in_flight.increment(1.0);
    let page = bench.host.render();
    for line in [
        "hearth_requests_total{plugin=\"tickets\",status=\"200\"} 2",
        "hearth_requests_total{plugin=\"tickets\",status=\"503\"} 1",
        "hearth_calls_shed_total{plugin=\"tickets\",reason=\"wait\"} 1",
        "hearth_guest_traps_total{plugin=\"tickets\",kind=\"memory\"} 1",
        "hearth_request_seconds_count{plugin=\"tickets\"} 1",
        "hearth_instances_in_flight{plugin=\"tickets\"} 1",
        "hearth_backend_trouble{backend=\"postgres\",state=\"unavailable\"} 0",
        "hearth_build_info{version=\"",
    ] {
        assert!(page.contains(line), "{line} is missing from\n{page}");
    }
    let resident = page
        .lines()
        .find_map(|line| line.strip_prefix("hearth_process_resident_bytes "));
    assert!(resident.unwrap().parse::<f64>().unwrap() > 1e6);
}

/// Each name is declared once with its type and has a help text, no series stands
/// there twice, and every line has the form of the text format.
fn check_page(page: &str) {
    let mut types = std::collections::BTreeMap::new();
    let mut helps = std::collections::BTreeSet::new();
    let mut series = std::collections::BTreeSet::new();
    for line in page.lines().filter(|line| !line.is_empty()) {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(
                types.insert(name.to_owned(), kind.to_owned()).is_none(),
                "{name} twice"
            );
        } else if let Some(rest) = line.strip_prefix("# HELP ") {
            helps.insert(rest.split_once(' ').unwrap().0.to_owned());
        } else {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
            assert!(series.insert(name.to_owned()), "{name} twice");
            let name = name.split('{').next().unwrap();
            let ends = ["_bucket", "_sum", "_count"];
            let family = ends
                .iter()
                .find_map(|end| name.strip_suffix(end))
                .unwrap_or(name);
            let known = types.contains_key(family) || types.contains_key(name);
            assert!(known, "{line} has no type");
            assert_eq!(
                types.get(name).is_some_and(|kind| kind == "counter"),
                name.ends_with("_total")
            );
        }
    }
    assert!(
        types.keys().all(|name| helps.contains(name)),
        "{types:?} {helps:?}"
    );
}

/// Prometheus's own judgement, where its tool is installed.
fn promtool(page: &str) {
    let started = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = started else {
        return;
    };
    promtool
        .stdin
        .take()
        .unwrap()
        .write_all(page.as_bytes())
        .unwrap();
    let output = promtool.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}\n{page}");
}

#[test]
fn prometheus_has_nothing_to_say_against_the_page() {
    let bench = Bench::new(&Config::default());
    let tickets = bench.host.plugin("tickets");
    tickets.count_request(200);
    tickets.count_shed("wait");
    tickets.count_trap("cpu");
    tickets.guest_cpu_seconds.record(0.001);
    bench.count("created", 1, &[("path", "a\\b"), ("quote", "\"")]);
    bench.count("created", 1, &[("path", "a\\\\b"), ("quote", "\\\"")]);
    bench.observe("lookup", 0.5, "seconds", &[]);
    let page = bench.host.render();
    check_page(&page);
    promtool(&page);
}

proptest! {
    /// No name, unit, value or label of a guest spoils the page for others.
    #[test]
    fn any_sample_leaves_a_sound_page(
        names in prop::collection::vec(("[a-c_]{1,3}(_total|_sum|_bucket|_count)?|.{0,8}", "(seconds|total|sum|count|bucket|)|.{0,4}"), 1..20),
        labels in prop::collection::vec(("[a-c_]{1,3}|le|plugin|.{0,4}", "[\\\\\"\n a]{0,4}|.{0,8}"), 0..3),
        value in any::<f64>(),
        by in any::<u64>(),
    ) {
        let bench = Bench::new(&Config::default());
        for (name, unit) in &names {
            let call = Call::of("tickets", None);
            let mut view = View { call: &call, lent: &bench.lent };
            view.count(name.clone(), by, labels.clone()).unwrap();
            view.observe(name.clone(), value, unit.clone(), labels.clone()).unwrap();
        }
        check_page(&bench.metrics.render());
    }
}

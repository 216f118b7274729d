//! A thousand plugins, each another one, on one host.

use reqwest::Method;
use wasm_encoder::{ComponentSection, CustomSection};

use super::frame::report::{self, BENCH};
use super::frame::rounds::Rounds;
use super::frame::row::{Bar, Question};
use super::frame::settings;
use super::frame::wrk::{Load, Target};
use super::hosts::trivial_of;
use crate::harness::fleet::Fleet;
use crate::harness::host::{Host, guest};
use crate::swap::{admin, result};

const MANY: usize = 0;
const ONE: usize = 1;

const MEMORY: Question = Question {
    name: "plugins-memory",
    what: "memory with a thousand plugins deployed",
    unit: "MiB",
    beside: "",
    bar: Bar::AtMost(1_024.0),
};

const LATENCY: Question = Question {
    name: "plugins-p50",
    what: "trivial guest, each of a thousand plugins in turn, against one plugin, p50",
    unit: "ms",
    beside: "one",
    bar: Bar::AtMost(1.2),
};

const COMPILED: Question = Question {
    name: "plugins-compiled",
    what: "components compiled again when the host with a thousand plugins restarts",
    unit: "",
    beside: "",
    bar: Bar::AtMost(0.0),
};

fn name(number: usize) -> String {
    format!("p{number:04}")
}

/// The trivial guest as a component that is nobody else's.
fn packed(number: usize) -> Vec<u8> {
    let name = name(number);
    let mut component = std::fs::read(guest("echo")).unwrap();
    let section = CustomSection {
        name: "of".into(),
        data: name.as_bytes().into(),
    };
    section.append_to_component(&mut component);
    trivial_of(&component, &name, "0.1.0", "")
}

async fn deploy(host: &Host, number: usize) {
    let request = admin(host, Method::POST, "/deployments").body(packed(number));
    let told = result(request).await;
    assert_eq!(told["result"], "serving", "{told}");
}

fn mebibytes(host: &Host) -> f64 {
    host.resident_bytes() as f64 / f64::from(1 << 20)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a benchmark"]
async fn by_the_thousand() {
    let (fleet, other) = (Fleet::start().await, Fleet::start().await);
    let mut host = fleet.host(|setup| setup);
    let beside = other.host(|setup| setup);
    let count = settings::plugins();
    for number in 0..count {
        deploy(&host, number).await;
    }
    deploy(&beside, 0).await;
    let paths: Vec<String> = (0..count)
        .map(|number| format!("/{}", name(number)))
        .collect();
    let rounds = {
        let targets = [
            Target::get_each(&host.url, &paths, &host.key("acme", &[])),
            Target::get_each(&beside.url, &paths[..1], &beside.key("acme", &[])),
        ];
        for target in &targets {
            target.load(1).await;
        }
        Rounds::take(2, async |side| targets[side].turn().await).await
    };
    let memory = mebibytes(&host);
    host.stop();
    host.restart();
    let again = host.metric("hearth_compile_seconds_count", &[]).await;
    println!("{:.0} MiB after a restart", mebibytes(&host));
    let p50_ms = |load: &Load| load.p50_us / 1_000.0;
    let rows = [
        MEMORY.of_one(memory),
        LATENCY.of_sides(&rounds, [MANY, ONE], p50_ms),
        COMPILED.of_one(again),
    ];
    report::keep(BENCH, rows.into());
}

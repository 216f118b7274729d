//! A thousand plugins, each another one, on one host.

use std::time::SystemTime;

use reqwest::Method;
use wasm_encoder::{ComponentSection, CustomSection};

use super::frame::report::{self, BENCH};
use super::frame::rounds::Rounds;
use super::frame::row::{Bar, Question, grouped};
use super::frame::settings;
use super::frame::wrk::{Target, WrkResult};
use super::hosts::trivial_of;
use crate::harness::fleet::Fleet;
use crate::harness::host::{Host, guest};
use crate::swap::{admin, result};

const MANY: usize = 0;
const ONE: usize = 1;

/// By what is asked, for so many plugins.
fn questions(plugins: &str) -> [String; 3] {
    [
        format!("memory with {plugins} plugins deployed"),
        format!("trivial guest, each of {plugins} plugins in turn, against one plugin, p50"),
        format!("components compiled again when the host with {plugins} plugins restarts"),
    ]
}

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

/// When what the host keeps of compiled components was written.
fn kept(host: &Host) -> Vec<SystemTime> {
    let files = std::fs::read_dir(host.data_dir().join("aot")).unwrap();
    let written = files.map(|file| file.unwrap().metadata().unwrap().modified().unwrap());
    written.collect()
}

/// Starts it again, and counts what was not kept, or is written anew.
fn compiled_again(host: &mut Host, plugins: usize) -> usize {
    let missing = plugins.saturating_sub(kept(host).len());
    let began = SystemTime::now();
    host.restart();
    let anew = kept(host).into_iter().filter(|written| *written >= began);
    anew.count().max(missing)
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
    let again = compiled_again(&mut host, count);
    println!("{:.0} MiB after a restart", mebibytes(&host));
    let p50_ms = |load: &WrkResult| load.p50_us / 1_000.0;
    let question = |name, what, unit, most| Question {
        name,
        what,
        unit,
        beside: "one",
        bar: Bar::AtMost(most),
    };
    let [in_memory, of_each, compiled] = &questions(&grouped(count as u64));
    let rows = [
        question("plugins-memory", in_memory, "MiB", 1_024.0).of_one(memory),
        question("plugins-p50", of_each, "ms", 1.2).of_sides(&rounds, [MANY, ONE], p50_ms),
        question("plugins-compiled", compiled, "", 0.0).of_one(again as f64),
    ];
    report::keep(BENCH, rows.into());
}

//! Hosts as `make run` has them, what their customers have, and how far the events of
//! their tickets are.

use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::stream::{StreamExt, iter};
use hearth::plugin::package::{PackageParts, pack};
use serde_json::{Value, json};

use crate::harness::fleet::Fleet;
use crate::harness::host::{Host, Setup, guest, plugin};
use crate::harness::meter::clock_at;
use crate::webhooks::fixture;

/// A ticket as the guide's load test makes it.
pub const TICKET: &str = r#"{"subject":"Test","description":"Load test","priority":"medium"}"#;

/// Whom tickets tell.
const QUEUES: [&str; 2] = ["webhook-events", "notification-events"];
/// What is told, at the latest, is consumed after.
const CONSUMED: Duration = Duration::from_secs(600);
/// Tickets of one bulk request, and such requests at once.
const EACH: usize = 100;
const AT_ONCE: usize = 4;

/// The four plugins, each of which hears of the others what it hears of them with
/// deploy/hearth.toml.
pub fn everything(setup: Setup) -> Setup {
    let events = "[plugins.webhooks.config]\nevents = \"notification-events\"";
    setup
        .tickets_telling(&QUEUES.join(","))
        .plugin("webhooks", &plugin("webhooks"), &fixture::GRANTS, events)
        .notifications()
        .forecasting()
}

/// A host of the fleet with all of them, whose clocks of tickets were reviewed a minute ago
/// by its own time: with a million of them the next review is no part of a measurement.
pub fn reviewed(fleet: &Fleet) -> Host {
    let clock = clock_at(18, fleet.cluster.folder.path());
    fleet.host(|setup| everything(setup).env("HEARTH_CLOCK_FILE", &clock))
}

/// An agent's key of the customer.
pub fn agent(host: &Host, customer: &str) -> String {
    host.key(customer, &["--scope", "customer", "--scope", "agent"])
}

/// The trivial guest under a name of its own, with whatever else its manifest shall say.
pub fn trivial(name: &str, version: &str, more: &str) -> Vec<u8> {
    let component = std::fs::read(guest("echo")).unwrap();
    trivial_of(&component, name, version, more)
}

/// The same of another component.
pub fn trivial_of(component: &[u8], name: &str, version: &str, more: &str) -> Vec<u8> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("guests/echo.toml");
    let mut parts = PackageParts::read(&file).unwrap();
    let manifest = parts
        .manifest
        .replace("echo", name)
        .replace("0.1.0", version);
    parts.manifest = format!("{manifest}{more}");
    pack(component, &parts).unwrap()
}

/// Makes tickets, and answers their ids.
pub async fn tickets(host: &Host, agent: &str, count: usize) -> Vec<String> {
    let ticket: Value = serde_json::from_str(TICKET).unwrap();
    let each = (0..count).step_by(EACH).map(|from| EACH.min(count - from));
    let made = each.map(|count| {
        let request = host.post("/support/tickets/bulk", agent);
        let request = request.json(&json!({"create": vec![&ticket; count]}));
        async {
            let answer = request.send().await.unwrap();
            let told: Value = answer.json().await.unwrap();
            let results = told["results"].as_array().unwrap().iter();
            let ids = results.map(|one| one["ticket"]["id"].as_str().unwrap().to_string());
            ids.collect::<Vec<String>>()
        }
    });
    let made = iter(made).buffer_unordered(AT_ONCE).collect::<Vec<_>>();
    made.await.concat()
}

/// Events of tickets, since the host's start.
#[derive(Clone, Copy)]
pub struct EventCounts {
    pub told: f64,
    pub done: f64,
}

impl EventCounts {
    pub async fn of(host: &Host) -> EventCounts {
        let mut events = EventCounts {
            told: 0.0,
            done: 0.0,
        };
        for queue in QUEUES {
            let queue = format!("queue=\"{queue}\"");
            events.told += host.metric("hearth_queue_sent_total", &[&queue]).await;
            for how in ["done", "dead-letter"] {
                let how = format!("disposition=\"{how}\"");
                let name = "hearth_consumer_messages_total";
                events.done += host.metric(name, &[&queue, &how]).await;
            }
        }
        events
    }

    pub fn waiting(self) -> f64 {
        self.told - self.done
    }
}

/// Until whatever tickets told is consumed.
pub async fn until_consumed(host: &Host) {
    let until = Instant::now() + CONSUMED;
    while EventCounts::of(host).await.waiting() > 0.0 {
        assert!(Instant::now() < until, "events are not consumed");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

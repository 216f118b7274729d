//! Between which numbers each setting may lie.

mod cache;
mod consumer;
mod database;
mod dynamodb;
mod outbound;
mod push;
mod queue;
mod wire;

use std::ops::RangeInclusive;

use super::Config;
use super::document::Document;
use crate::edge::rate::{self, Allowance};
use hearth_base::telemetry;
use hearth_runtime::capability;
use hearth_runtime::engine::config::Config as Engine;
use hearth_runtime::plugin::admission;
use hearth_runtime::plugin::limits::{LimitOverrides, PluginLimits};

/// A key, its value, and where the value may lie.
type Bound = (&'static str, u64, RangeInclusive<u64>);

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const HOUR_MS: u64 = 3_600_000;

/// Notes every number that is out of its range.
pub(super) fn check(config: &Config, document: &mut Document<'_>) {
    wire::check(config, document);
    note(
        document,
        &["database"],
        &database::clients(&config.database),
    );
    let embedded = database::embedded(&config.database.embedded);
    note(document, &["database", "embedded"], &embedded);
    note(
        document,
        &["dynamodb"],
        &dynamodb::reached(&config.dynamodb),
    );
    note(document, &["engine"], &engine(&config.engine));
    note(document, &["engine"], &compiler(&config.engine));
    note(document, &["telemetry"], &telemetry(&config.telemetry));
    let spans = traces(&config.telemetry.traces);
    note(document, &["telemetry", "traces"], &spans);
    note(
        document,
        &["idempotency"],
        &idempotency(&config.idempotency),
    );
    let responses = &config.response_cache;
    note(document, &["response_cache"], &cache::responses(responses));
    note(document, &["cache"], &cache::values(&config.cache));
    note(document, &["consumer"], &consumer::intake(&config.consumer));
    note(document, &["schedule"], &consumer::clock(&config.schedule));
    let documents = &config.documents;
    note(document, &["documents"], &dynamodb::documents(documents));
    let writer = dynamodb::writer(&documents.writer);
    note(document, &["documents", "writer"], &writer);
    note(document, &["queue"], &queue::messages(&config.queue));
    note(document, &["queue"], &queue::upkeep(&config.queue));
    note(document, &["queue", "sqs"], &queue::sqs(&config.queue.sqs));
    queue::check_sqs(&config.queue, document);
    note(document, &["cache"], &cache::shared(&config.cache));
    note(document, &["redis"], &cache::redis(&config.redis));
    push::check(&config.push, document);
    note(document, &["log"], &log(&config.log));
    note(document, &["metrics"], &metrics(&config.metrics));
    outbound::check(&config.outbound, document);
    note(document, &["rate"], &rate(&config.rate));
    for (tier, allowance) in tiers(&config.rate) {
        note(document, &["rate", tier], &allowed(allowance));
    }
    note(document, &["admission"], &admission(&config.admission));
    let defaults = &config.plugin_defaults;
    note(
        document,
        &["plugin_defaults"],
        &limits(defaults, &config.engine),
    );
    for (name, plugin) in &config.plugins {
        let set = set_limits(
            &plugin.limits,
            &limits(&plugin.limits.over(defaults), &config.engine),
        );
        note(document, &["plugins", name, "limits"], &set);
    }
}

fn note(document: &mut Document<'_>, section: &[&str], bounds: &[Bound]) {
    for (key, value, range) in bounds {
        if range.contains(value) {
            continue;
        }
        let (min, max) = (range.start(), range.end());
        let path: Vec<&str> = section.iter().copied().chain([*key]).collect();
        document.blame(&path, format!("expected {min} to {max}, found {value}"));
    }
}

fn idempotency(keys: &crate::edge::idempotency::Config) -> [Bound; 10] {
    // A host that beats less often than this would count as gone while it lives.
    let silence = keys.beat_ms.saturating_mul(2)..=HOUR_MS;
    [
        ("kept_ms_max", keys.kept_ms_max, 1_000..=30 * 24 * HOUR_MS),
        ("key_bytes_max", keys.key_bytes_max as u64, 1..=4 * KIB),
        (
            "answer_bytes_max",
            keys.answer_bytes_max as u64,
            0..=64 * MIB,
        ),
        (
            "customer_keys_max",
            keys.customer_keys_max,
            1..=1_000_000_000,
        ),
        (
            "customer_answers_bytes_max",
            keys.customer_answers_bytes_max,
            0..=1_024 * GIB,
        ),
        ("look_ups_max", keys.look_ups_max as u64, 1..=1_000),
        (
            "customer_look_ups_max",
            keys.customer_look_ups_max as u64,
            1..=1_000,
        ),
        ("beat_ms", keys.beat_ms, 10..=HOUR_MS),
        ("silence_ms_max", keys.silence_ms_max, silence),
        ("sweep_ms", keys.sweep_ms, 10..=HOUR_MS),
    ]
}

fn engine(engine: &Engine) -> [Bound; 14] {
    [
        ("epoch_ms", engine.epoch_ms, 1..=5),
        ("instances_max", engine.instances_max as u64, 1..=10_000),
        (
            "idle_instances_max",
            engine.idle_instances_max as u64,
            0..=10_000,
        ),
        (
            "customer_idle_instances_percent_max",
            engine.customer_idle_instances_percent_max,
            1..=100,
        ),
        (
            "memory_bytes_max",
            engine.memory_bytes_max as u64,
            64 * KIB..=4 * GIB,
        ),
        (
            "table_elements_max",
            engine.table_elements_max as u64,
            1..=1_000_000,
        ),
        (
            "stack_bytes_max",
            engine.stack_bytes_max as u64,
            64 * KIB..=8 * MIB,
        ),
        (
            "instances_per_store_max",
            engine.instances_per_store_max as u64,
            1..=1_000,
        ),
        (
            "memories_per_store_max",
            engine.memories_per_store_max as u64,
            1..=1_000,
        ),
        (
            "tables_per_store_max",
            engine.tables_per_store_max as u64,
            1..=1_000,
        ),
        (
            "host_call_bytes_max",
            engine.host_call_bytes_max as u64,
            64 * KIB..=GIB,
        ),
        ("handles_max", engine.handles_max as u64, 1..=1_000_000),
        (
            "keep_resident_bytes",
            engine.keep_resident_bytes as u64,
            0..=64 * MIB,
        ),
        ("long_cpu_ms", engine.long_cpu_ms, 1..=60_000),
    ]
}

fn compiler(engine: &Engine) -> [Bound; 6] {
    [
        (
            "compile_memory_bytes_max",
            engine.compile_memory_bytes_max as u64,
            32 * MIB..=64 * GIB,
        ),
        (
            "compile_cpu_ms_max",
            engine.compile_cpu_ms_max,
            1_000..=HOUR_MS,
        ),
        (
            "compile_wall_ms_max",
            engine.compile_wall_ms_max,
            1..=HOUR_MS,
        ),
        (
            "compile_concurrency_max",
            engine.compile_concurrency_max as u64,
            1..=64,
        ),
        (
            "compiled_files_max",
            engine.compiled_files_max as u64,
            1..=1_000_000,
        ),
        (
            "component_bytes_max",
            engine.component_bytes_max as u64,
            KIB..=GIB,
        ),
    ]
}

fn telemetry(telemetry: &telemetry::Config) -> [Bound; 7] {
    [
        (
            "log_bytes_waiting_max",
            telemetry.log_bytes_waiting_max as u64,
            64 * KIB..=GIB,
        ),
        (
            "metrics_upkeep_ms",
            telemetry.metrics_upkeep_ms,
            100..=60_000,
        ),
        (
            "metrics_pending_max",
            telemetry.metrics_pending_max as u64,
            1..=16_777_216,
        ),
        ("log_slow_ms", telemetry.log_slow_ms, 1..=HOUR_MS),
        ("log_repeat_ms", telemetry.log_repeat_ms, 0..=24 * HOUR_MS),
        ("log_recovered_ms", telemetry.log_recovered_ms, 0..=HOUR_MS),
        (
            "failing_calls_min",
            telemetry.failing_calls_min,
            1..=1_000_000,
        ),
    ]
}

fn traces(traces: &telemetry::trace::Config) -> [Bound; 8] {
    [
        ("slow_ms", traces.slow_ms, 1..=HOUR_MS),
        ("spans_max", traces.spans_max as u64, 1..=100_000),
        (
            "span_bytes_max",
            traces.span_bytes_max as u64,
            4 * KIB..=64 * MIB,
        ),
        ("bytes_max", traces.bytes_max as u64, 64 * KIB..=4 * GIB),
        ("customer_percent_max", traces.customer_percent_max, 1..=100),
        (
            "export_spans_max",
            traces.export_spans_max as u64,
            1..=100_000,
        ),
        ("export_pause_ms", traces.export_pause_ms, 0..=60_000),
        ("export_ms_max", traces.export_ms_max, 1..=600_000),
    ]
}

fn log(log: &capability::log::Config) -> [Bound; 3] {
    [
        ("lines_max", log.lines_max.into(), 0..=1_000_000),
        ("line_bytes_max", log.line_bytes_max as u64, 64..=MIB),
        ("fields_bytes_max", log.fields_bytes_max as u64, 0..=MIB),
    ]
}

fn metrics(metrics: &capability::metrics::Config) -> [Bound; 4] {
    [
        ("series_max", metrics.series_max as u64, 0..=100_000),
        ("labels_max", metrics.labels_max as u64, 0..=64),
        ("name_bytes_max", metrics.name_bytes_max as u64, 16..=KIB),
        (
            "label_bytes_max",
            metrics.label_bytes_max as u64,
            1..=4 * KIB,
        ),
    ]
}

fn rate(rate: &rate::Config) -> [Bound; 4] {
    [
        ("customers_max", rate.customers_max as u64, 1..=1_000_000),
        ("exchange_ms", rate.exchange_ms, 50..=1_000),
        ("exchange_ms_max", rate.exchange_ms_max, 50..=10_000),
        ("retry_ms_max", rate.retry_ms_max, 1_000..=HOUR_MS),
    ]
}

fn tiers(rate: &rate::Config) -> [(&'static str, &Allowance); 3] {
    [
        ("free", &rate.free),
        ("standard", &rate.standard),
        ("premium", &rate.premium),
    ]
}

fn allowed(allowance: &Allowance) -> [Bound; 2] {
    [
        ("per_second", allowance.per_second, 1..=1_000_000),
        ("burst", allowance.burst, 1..=1_000_000),
    ]
}

fn admission(admission: &admission::Config) -> [Bound; 2] {
    let percent = 1..=100;
    [
        (
            "customer_in_flight_percent_max",
            admission.customer_in_flight_percent_max,
            percent.clone(),
        ),
        (
            "customer_waiting_percent_max",
            admission.customer_waiting_percent_max,
            percent,
        ),
    ]
}

/// Memory and calls in flight also end at what the engine has for all plugins.
fn limits(limits: &PluginLimits, engine: &Engine) -> [Bound; 9] {
    let memory_max = (engine.memory_bytes_max as u64).max(64 * KIB);
    let in_flight_max = (engine.instances_max as u64).max(1);
    [
        (
            "memory_bytes_max",
            limits.memory_bytes_max as u64,
            64 * KIB..=memory_max,
        ),
        ("cpu_ms_max", limits.cpu_ms_max, 1..=600_000),
        ("wall_ms_max", limits.wall_ms_max, 1..=HOUR_MS),
        ("body_bytes_max", limits.body_bytes_max as u64, 0..=GIB),
        (
            "response_bytes_max",
            limits.response_bytes_max as u64,
            0..=GIB,
        ),
        (
            "in_flight_max",
            limits.in_flight_max as u64,
            1..=in_flight_max,
        ),
        ("waiting_max", limits.waiting_max as u64, 0..=1_000_000),
        ("wait_ms_max", limits.wait_ms_max, 0..=600_000),
        ("host_calls_max", limits.host_calls_max, 1..=1_000_000_000),
    ]
}

/// Those of a plugin's limits that its own section sets: what it takes from the
/// defaults is judged there.
fn set_limits(set: &LimitOverrides, bounds: &[Bound; 9]) -> Vec<Bound> {
    let is_set = [
        set.memory_bytes_max.is_some(),
        set.cpu_ms_max.is_some(),
        set.wall_ms_max.is_some(),
        set.body_bytes_max.is_some(),
        set.response_bytes_max.is_some(),
        set.in_flight_max.is_some(),
        set.waiting_max.is_some(),
        set.wait_ms_max.is_some(),
        set.host_calls_max.is_some(),
    ];
    let bounds = bounds.iter().zip(is_set);
    bounds
        .filter(|(_, is_set)| *is_set)
        .map(|(bound, _)| bound.clone())
        .collect()
}

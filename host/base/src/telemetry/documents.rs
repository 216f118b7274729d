//! The metrics of the batch writer of documents.

use metrics::{Counter, Gauge, Histogram};

use super::Metrics;

const ITEMS: &str = "hearth_documents_items_total";
const CALLS: &str = "hearth_documents_calls_total";
const CALL_ITEMS: &str = "hearth_documents_call_items";
const UNPROCESSED: &str = "hearth_documents_unprocessed_total";
const RETRIES: &str = "hearth_documents_retries_total";
const FLUSH: &str = "hearth_documents_flush_seconds";
const ITEM: &str = "hearth_documents_item_seconds";
const WAITING: &str = "hearth_documents_waiting";
const WAITING_BYTES: &str = "hearth_documents_waiting_bytes";

/// Of the one batch writer of a host. Cloning shares them.
#[derive(Clone)]
pub struct WriterMetrics {
    pub written: Counter,
    pub failed: Counter,
    pub shed: Counter,
    pub calls: Counter,
    pub call_items: Histogram,
    pub unprocessed: Counter,
    pub retries: Counter,
    pub flush_seconds: Histogram,
    pub item_seconds: Histogram,
    pub waiting: Gauge,
    pub waiting_bytes: Gauge,
}

impl WriterMetrics {
    pub(super) fn new(metrics: &Metrics) -> WriterMetrics {
        let outcome = |outcome| metrics.counter(ITEMS, &[("outcome", outcome)]);
        WriterMetrics {
            written: outcome("written"),
            failed: outcome("failed"),
            shed: outcome("shed"),
            calls: metrics.counter(CALLS, &[]),
            call_items: metrics.histogram(CALL_ITEMS, &[]),
            unprocessed: metrics.counter(UNPROCESSED, &[]),
            retries: metrics.counter(RETRIES, &[]),
            flush_seconds: metrics.histogram(FLUSH, &[]),
            item_seconds: metrics.histogram(ITEM, &[]),
            waiting: metrics.gauge(WAITING, &[]),
            waiting_bytes: metrics.gauge(WAITING_BYTES, &[]),
        }
    }
}

pub(super) fn describe(metrics: &Metrics) {
    let counters = [
        (
            ITEMS,
            "Documents put and deleted by the batch writer, by outcome.",
        ),
        (CALLS, "Calls of BatchWriteItem."),
        (
            UNPROCESSED,
            "Documents that DynamoDB left unprocessed, each time anew.",
        ),
        (RETRIES, "Documents that were put in line to be sent again."),
    ];
    for (name, text) in counters {
        metrics.describe_counter(name, text);
    }
    let histograms = [
        (CALL_ITEMS, "Documents in one call of BatchWriteItem."),
        (FLUSH, "Time of one call of BatchWriteItem."),
        (
            ITEM,
            "Time from a document's arrival in the batch writer to its outcome.",
        ),
    ];
    for (name, text) in histograms {
        metrics.describe_histogram(name, text);
    }
    metrics.describe_gauge(WAITING, "Documents in the batch writer without an outcome.");
    metrics.describe_gauge(WAITING_BYTES, "Bytes of the documents that wait.");
}

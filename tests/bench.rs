//! Benchmarks: they report, and assert nothing about time.
//!
//! `make bench` runs them one after the other. Those of the table have sides that take
//! turns; what came of them is kept in `target/bench/bench.json`, in place of what the
//! same benchmark left before, so that `make bench ONLY=reads` measures one subject anew.
//! `make bench-growth` runs `growth` alone.

mod dynamodb;
mod fill;
mod forecast;
mod frame;
mod growth;
mod guests;
pub mod hosts;
mod messages;
mod peers;
mod plugins;
mod reads;
mod reuse;
mod sizes;
mod starts;
mod swaps;
mod tickets;
mod webhooks;

use frame::report::{self, BENCH, GROWTH};
use frame::{page, settings};

/// What `make bench` and `make bench-growth` end with.
#[test]
#[ignore = "shows what benchmarks have measured"]
fn shown_as_a_table() {
    for name in [BENCH, GROWTH] {
        let Some(report) = report::read(name) else {
            continue;
        };
        println!("\n{}; {}", report.machine, report.measured_at);
        println!("{}", report::table(&report.rows));
        if settings::publishes() {
            page::publish(name, &report);
        }
    }
}

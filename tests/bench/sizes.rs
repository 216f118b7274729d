//! Making tickets where there are many, against where there are few, and where tables
//! were never analysed.

use super::fill::{self, Owner};
use super::frame::report::{self, BENCH};
use super::frame::rounds::Rounds;
use super::frame::row::{Bar, Question, grouped};
use super::frame::settings;
use super::frame::wrk::{Target, WrkResult};
use super::hosts::{TICKET, reviewed, until_consumed};
use crate::harness::fleet::Fleet;
use crate::harness::host::Host;

/// What a customer has who has little.
const FEW: u64 = 1_000;
/// The second question is asked of so much less.
const PART: u64 = 10;

const OURS: usize = 0;
const THEIRS: usize = 1;

const STATISTICS: Question = Question {
    name: "create-statistics",
    what: "ticket create in a database that was never analysed against an analysed one",
    unit: "req/s",
    beside: "analysed",
    bar: Bar::AtLeast(0.9),
};

/// How the tables of a side are.
enum Tables {
    AsTheyCome,
    NeverAnalysed,
    Analysed,
}

/// A host, a customer who has so many tickets, and the request that makes another.
struct Side {
    host: Host,
    target: Target,
    _fleet: Fleet,
}

impl Side {
    async fn of(tickets: u64, tables: Tables) -> Side {
        let fleet = Fleet::start().await;
        let database = fleet.cluster.connect(None).await;
        if let Tables::NeverAnalysed = tables {
            for statement in [
                "ALTER SYSTEM SET autovacuum = off",
                "SELECT pg_reload_conf()",
            ] {
                database.batch_execute(statement).await.unwrap();
            }
        }
        let host = reviewed(&fleet);
        let key = host.key("acme", &[]);
        let customer = fill::customer(&database, "acme").await;
        fill::tickets(&database, Owner::One(&customer), 0, tickets).await;
        if let Tables::Analysed = tables {
            database.batch_execute("ANALYZE").await.unwrap();
        }
        database.batch_execute("CHECKPOINT").await.unwrap();
        let target = Target::post(&host.url, "/support/tickets/create", &key, TICKET);
        target.load(1).await;
        until_consumed(&host).await;
        Side {
            host,
            target,
            _fleet: fleet,
        }
    }

    async fn turn(&self) -> WrkResult {
        let load = self.target.turn().await;
        until_consumed(&self.host).await;
        load
    }
}

async fn compare(question: Question<'_>, sides: [Side; 2]) {
    let rounds = Rounds::take(2, async |side| sides[side].turn().await).await;
    let row = question.of_sides(&rounds, [OURS, THEIRS], |load: &WrkResult| load.rate);
    report::keep(BENCH, vec![row]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a benchmark"]
async fn tickets_made_where_there_are_many() {
    let rows = settings::rows();
    let what = format!(
        "ticket create at {} tickets of the customer against at 1,000",
        grouped(rows)
    );
    let question = Question {
        name: "create-many",
        what: &what,
        unit: "req/s",
        beside: "1,000",
        bar: Bar::AtLeast(0.8),
    };
    let many = Side::of(rows, Tables::AsTheyCome).await;
    compare(question, [many, Side::of(FEW, Tables::AsTheyCome).await]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a benchmark"]
async fn tickets_made_where_nothing_was_analysed() {
    let tickets = settings::rows().div_ceil(PART);
    let never = Side::of(tickets, Tables::NeverAnalysed).await;
    compare(
        STATISTICS,
        [never, Side::of(tickets, Tables::Analysed).await],
    )
    .await;
}

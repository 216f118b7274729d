//! What requests cost, counted by Postgres and not by a clock: statements, rows read,
//! buffers touched and bytes of its log written, each with who spends it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use reqwest::RequestBuilder;
use tokio_postgres::Client;

use super::postgres::{Cluster, until};

/// How often a request is made for one measurement: what comes now and then (a page
/// split, a value that a host reads again every minute) counts with its share.
const REQUESTS: i64 = 10;

/// Nothing but the requests works while they are counted.
const QUIET: &str = "
    ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements';
    ALTER SYSTEM SET autovacuum = off;
    ALTER SYSTEM SET checkpoint_timeout = '1h';
    ALTER SYSTEM SET max_wal_size = '8GB'";

/// Statements are counted, and not what begins and ends transactions.
const COUNTING: &str = "
    ALTER SYSTEM SET pg_stat_statements.track_utility = off;
    SELECT pg_reload_conf();
    CREATE EXTENSION pg_stat_statements";

/// Counts what one plugin's sessions do.
pub struct Meter {
    database: Client,
    schema: String,
    role: String,
}

/// A request, and what it may cost.
pub struct Measured<'r> {
    pub name: &'static str,
    pub budget: Budget,
    pub request: Box<dyn Fn() -> RequestBuilder + 'r>,
}

/// What one request may cost at most.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    pub statements: i64,
    pub rows_read: i64,
    pub buffers: i64,
    pub wal_bytes: i64,
}

pub fn budget(statements: i64, rows_read: i64, buffers: i64, wal_bytes: i64) -> Budget {
    Budget {
        statements,
        rows_read,
        buffers,
        wal_bytes,
    }
}

/// What a request cost: a line for each statement, and the rows of each table.
struct Spent {
    statements: Vec<Statement>,
    rows_read: BTreeMap<String, i64>,
}

struct Statement {
    text: String,
    calls: i64,
    buffers: i64,
    wal_bytes: i64,
}

/// Each statement by itself: a setting of the system wants no transaction.
async fn run(cluster: &Cluster, statements: &str) {
    let client = cluster.connect(None).await;
    for statement in statements.split(';') {
        client.batch_execute(statement).await.unwrap();
    }
}

impl Meter {
    /// Makes a cluster countable; to be called before hosts use it.
    pub async fn prepare(cluster: &mut Cluster) {
        run(cluster, QUIET).await;
        cluster.pause().await;
        cluster.resume().await;
        run(cluster, COUNTING).await;
    }

    /// Counts the sessions of a plugin that is deployed.
    pub async fn of(cluster: &Cluster, plugin: &str) -> Meter {
        let database = cluster.connect(None).await;
        let roles =
            "SELECT rolname::text FROM pg_roles WHERE rolname::text LIKE $1 AND rolcanlogin";
        let name = format!("hearth%{plugin}");
        let role = database.query_one(roles, &[&name]).await.unwrap();
        Meter {
            role: role.get(0),
            schema: format!("plugin_{plugin}"),
            database,
        }
    }

    /// What of the requests costs more than it may, with what spends it. What each
    /// costs is printed: the budgets are made of that.
    pub async fn excess(&self, requests: &[Measured<'_>], state: &str) -> Vec<String> {
        let mut excess = Vec::new();
        for one in requests {
            let spent = self.measure(&one.request).await;
            println!("{} with {state}: {:?}", one.name, spent.total());
            let over = spent.excess(one.budget);
            excess.extend(over.map(|over| format!("{} with {state}: {over}", one.name)));
        }
        excess
    }

    async fn measure(&self, request: &dyn Fn() -> RequestBuilder) -> Spent {
        self.end_sessions().await;
        let before = self.rows_read().await;
        let reset = "SELECT pg_stat_statements_reset()";
        self.database.execute(reset, &[]).await.unwrap();
        for _ in 0..REQUESTS {
            // The first may find a session that has ended.
            until(async || request().send().await.unwrap().status().is_success()).await;
        }
        let statements = self.statements().await;
        self.end_sessions().await;
        let mut rows_read = self.rows_read().await;
        for (table, rows) in &mut rows_read {
            *rows = (*rows - before.get(table).unwrap_or(&0)) / REQUESTS;
        }
        Spent {
            statements,
            rows_read,
        }
    }

    /// Sessions tell what they read when they end, if not before.
    async fn end_sessions(&self) {
        let end =
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = $1";
        let ended = async || -> i64 {
            let row = self.database.query_one(end, &[&self.role]).await;
            row.unwrap().get(0)
        };
        until(async || ended().await == 0).await;
    }

    async fn rows_read(&self) -> BTreeMap<String, i64> {
        let text = "SELECT relname::text, seq_tup_read + coalesce(idx_tup_fetch, 0)
            FROM pg_stat_user_tables WHERE schemaname = $1";
        let rows = self.database.query(text, &[&self.schema]).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    /// But for the empty one that the host sends along with COMMIT.
    async fn statements(&self) -> Vec<Statement> {
        let text = "SELECT query, calls, (shared_blks_hit + shared_blks_read) / $2, \
            wal_bytes::bigint / $2 FROM pg_stat_statements JOIN pg_roles ON oid = userid \
            WHERE rolname = $1 AND query <> 'SELECT' ORDER BY 3 DESC";
        let rows = self.database.query(text, &[&self.role, &REQUESTS]).await;
        let statement = |row: &tokio_postgres::Row| Statement {
            text: row.get(0),
            calls: row.get(1),
            buffers: row.get(2),
            wal_bytes: row.get(3),
        };
        rows.unwrap().iter().map(statement).collect()
    }
}

/// Puts a host's clock to that minute of the hour, at which no schedule is due, and
/// answers the value of HEARTH_CLOCK_FILE.
pub fn clock_at(minute: u64, folder: &Path) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let forward = (60 + minute - now.as_secs() / 60 % 60) % 60 * 60_000;
    let clock = folder.join("clock");
    std::fs::write(&clock, forward.to_string()).unwrap();
    clock.display().to_string()
}

impl Spent {
    fn total(&self) -> Budget {
        let sum = |of: fn(&Statement) -> i64| self.statements.iter().map(of).sum::<i64>();
        Budget {
            statements: sum(|one| one.calls) / REQUESTS,
            rows_read: self.rows_read.values().sum(),
            buffers: sum(|one| one.buffers),
            wal_bytes: sum(|one| one.wal_bytes),
        }
    }

    /// What of it is more than it may be, with who spends it.
    fn excess(&self, budget: Budget) -> Option<String> {
        let total = self.total();
        let over = total.statements > budget.statements
            || total.rows_read > budget.rows_read
            || total.buffers > budget.buffers
            || total.wal_bytes > budget.wal_bytes;
        over.then(|| format!("{total:?} is more than {budget:?}\n{}", self.breakdown()))
    }

    /// The statements, the dearest first, and the tables.
    fn breakdown(&self) -> String {
        let mut text = String::new();
        for one in &self.statements {
            let shown: String = one.text.chars().take(160).collect();
            let (buffers, wal_bytes) = (one.buffers, one.wal_bytes);
            let calls = one.calls;
            let line = format!("{calls:>4} calls {buffers:>6} buffers {wal_bytes:>6} bytes of log");
            writeln!(text, "  {line}  {shown}").unwrap();
        }
        for (table, rows) in self.rows_read.iter().filter(|(_, rows)| **rows > 0) {
            writeln!(text, "  {rows:>6} rows of {table}").unwrap();
        }
        text
    }
}

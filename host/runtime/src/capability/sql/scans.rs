//! Which declared statements read more than their keys or a LIMIT bind: all rows that a
//! customer has, however many these become.
//!
//! Postgres plans each statement as it does for a request: as the runtime role, under
//! row-level security, for some customer, with the settings of a plugin's session, and
//! once for all parameters (a generic plan). Nothing is run. What is judged is the
//! shape of the plan (see [`judge`]), as if the tables were large, and no cost and no
//! number of rows: those follow from the size of the tables, which at a deploy are
//! mostly empty.
//!
//! Large tables cannot be pretended. The statistics of a table are a superuser's to
//! write, and who gives a Postgres by URL gives none. Postgres 18 lets an owner write
//! some (`pg_restore_relation_stats`), but takes from them the rows of a page alone and
//! the pages from the file, of which an empty table has none. So the customer of the
//! session is one row, as good as any key, and Postgres chooses among indexes by chance.
//! Three things take the chance out of the verdict:
//!
//! - Plans along indexes are all that a plugin's session gets (`PLANNING`).
//! - A statement that a LIMIT would bind, were the rows not sorted before it, is planned
//!   once more without sorts: it is found where no index has the order.
//! - Rows that were found by the customer alone count as found by a key where a condition
//!   of the plan names the key of another index. So does either side of a join.
//!
//! A statement passes where one of its two plans is bound in each of its parts. Whether
//! Postgres takes that plan for tables that have grown follows from its statistics, for
//! which the host and autovacuum care. What is not judged: how much a condition leaves
//! of the rows that are read in the order of a LIMIT, how many rows share a key, and what
//! functions, triggers and foreign keys do.

mod condition;
mod indexes;
mod judge;
mod outlook;
mod plan;

#[cfg(test)]
mod tests;

pub use outlook::Outlook;

use serde::{Deserialize, Serialize};
use tokio_postgres::{Client, SimpleQueryMessage};

use self::judge::Judge;
use self::plan::PlanNode;
use super::describe;
use super::gate::{Refusal, limits_rows};
use super::lend::LendError;
use super::roles::RoleNames;
use super::statement::{Declared, beginning};
use hearth_backend::postgres::connection::PLANNING;

/// A statement that reads all rows of a customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scan {
    /// What approves it, see [`Declared::approval`].
    pub approval: String,
    /// The tables that are read so.
    pub tables: Vec<String>,
    /// The statement.
    pub text: String,
    /// Its plan, in short.
    pub plan: String,
}

/// Plans the statements in the transaction of a migration, in the owner's session, which
/// is left as it was.
pub(super) async fn find(
    client: &Client,
    names: &RoleNames,
    declared: &[Declared],
) -> Result<Vec<Scan>, LendError> {
    let indexes = indexes::read(client, names).await?;
    let judge = Judge {
        schema: &names.schema,
        indexes: &indexes,
    };
    client.batch_execute(&session(names)).await?;
    let found = ask(client, &judge, declared).await;
    let end = "ROLLBACK TO SAVEPOINT hearth_plans; RELEASE SAVEPOINT hearth_plans";
    let ended = client.batch_execute(end).await;
    let found = found?;
    ended?;
    Ok(found)
}

/// What makes the session a plugin's, for a customer that nobody is, until the savepoint.
fn session(names: &RoleNames) -> String {
    let RoleNames {
        schema, runtime, ..
    } = names;
    let settings = PLANNING.split("-c ").map(str::trim);
    let settings = settings.filter(|setting| !setting.is_empty());
    let settings: String = settings
        .map(|setting| format!("SET LOCAL {setting}; "))
        .collect();
    format!(
        "SAVEPOINT hearth_plans; SET LOCAL ROLE {runtime}; {settings}\
         SET LOCAL search_path = {schema}, pg_temp; SET LOCAL hearth.customer_id = 'anybody'; \
         SET LOCAL plan_cache_mode = force_generic_plan"
    )
}

const WITHOUT_SORTS: &str = "SET LOCAL enable_sort = off; SET LOCAL enable_incremental_sort = off";
const WITH_SORTS: &str =
    "SET LOCAL enable_sort = DEFAULT; SET LOCAL enable_incremental_sort = DEFAULT";

async fn ask(
    client: &Client,
    judge: &Judge<'_>,
    declared: &[Declared],
) -> Result<Vec<Scan>, LendError> {
    let mut found = Vec::new();
    for statement in declared {
        let limits = limits_rows(&statement.text);
        let plan = explain(client, statement).await?;
        let unbound = judge.unbound(&plan, limits);
        if unbound.is_empty() {
            continue;
        }
        client.batch_execute(WITHOUT_SORTS).await?;
        let other = explain(client, statement).await?;
        client.batch_execute(WITH_SORTS).await?;
        if !judge.unbound(&other, limits).is_empty() {
            found.push(scan(statement, &plan, &unbound));
        }
    }
    Ok(found)
}

/// What Postgres would do, for any parameters.
async fn explain(client: &Client, declared: &Declared) -> Result<PlanNode, LendError> {
    match try_explain(client, declared).await {
        Ok(text) => plan::read(&text).map_err(|reason| refused(declared, reason)),
        Err(error) => Err(LendError::Refused(vec![describe::refusal(
            &declared.text,
            error,
        )?])),
    }
}

/// By PREPARE, for EXPLAIN takes parameters by itself from Postgres 16 on only.
async fn try_explain(
    client: &Client,
    declared: &Declared,
) -> Result<String, tokio_postgres::Error> {
    // One that failed here stays prepared, under a name that no other text has.
    let approval = declared.approval();
    let name = format!("plan_{}", approval.rsplit(':').next().unwrap_or_default());
    let prepare = format!("PREPARE {name} AS {}", declared.text);
    client.batch_execute(&prepare).await?;
    let nulls = vec!["NULL"; declared.params.len()].join(", ");
    let arguments = match nulls.is_empty() {
        true => nulls,
        false => format!("({nulls})"),
    };
    let text = format!("EXPLAIN (VERBOSE, COSTS OFF, FORMAT JSON) EXECUTE {name}{arguments}");
    let messages = client.simple_query(&text).await?;
    client.batch_execute(&format!("DEALLOCATE {name}")).await?;
    let lines = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

fn refused(declared: &Declared, reason: String) -> LendError {
    LendError::Refused(vec![Refusal {
        statement: beginning(&declared.text),
        reason,
        position: None,
    }])
}

fn scan(declared: &Declared, plan: &PlanNode, unbound: &[&PlanNode]) -> Scan {
    let mut tables: Vec<String> = unbound
        .iter()
        .filter_map(|node| node.table.clone())
        .collect();
    tables.sort_unstable();
    tables.dedup();
    Scan {
        approval: declared.approval(),
        tables,
        text: declared.text.clone(),
        plan: plan::shown(plan, unbound),
    }
}

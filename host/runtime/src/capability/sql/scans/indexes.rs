//! The indexes of a plugin's tables, as the judge of plans knows them.

use tokio_postgres::Client;

use super::condition;
use crate::capability::sql::lend::LendError;
use crate::capability::sql::roles::RoleNames;

/// The column that row-level security looks at.
const TENANT: &str = "customer_id";

/// Columns and predicates as Postgres writes them in plans, too, where a `varchar` is
/// compared as text. Under row-level security an index is asked only what cannot tell of
/// other customers' rows (leakproof), which hardly any function on a column is.
const INDEXES: &str = "
    SELECT c.relname::text, n.relname::text, c.relrowsecurity, i.indisunique,
           ARRAY(SELECT pg_get_indexdef(i.indexrelid, k, false)
                     || CASE a.atttypid WHEN 'varchar'::regtype THEN '::text' ELSE '' END
                 FROM generate_series(1, i.indnkeyatts) AS k
                 JOIN pg_attribute a ON a.attrelid = i.indexrelid AND a.attnum = k
                 ORDER BY k),
           ARRAY(SELECT m.amname = 'btree' AND i.indkey[k - 1] <> 0 AND (NOT c.relrowsecurity OR coalesce((
                     SELECT bool_and(p.proleakproof) FROM pg_opclass o
                     JOIN pg_amop a ON a.amopfamily = o.opcfamily
                         AND a.amoplefttype = o.opcintype AND a.amoprighttype = o.opcintype
                     JOIN pg_operator x ON x.oid = a.amopopr
                     JOIN pg_proc p ON p.oid = x.oprcode
                     WHERE o.oid = i.indclass[k - 1]), false))
                 FROM generate_series(1, i.indnkeyatts) AS k ORDER BY k),
           pg_get_expr(i.indpred, i.indrelid)
    FROM pg_index i
    JOIN pg_class c ON c.oid = i.indrelid
    JOIN pg_class n ON n.oid = i.indexrelid
    JOIN pg_am m ON m.oid = n.relam
    WHERE c.relnamespace = to_regnamespace($1) AND i.indisvalid";

pub(super) struct TableIndex {
    pub table: String,
    pub name: String,
    /// Whether its table has row-level security: rows of several customers.
    pub is_secured: bool,
    pub is_unique: bool,
    pub columns: Vec<String>,
    /// Whether the column can be compared in the index: a flag for each.
    pub is_comparable: Vec<bool>,
    /// Which rows it has, where not all.
    pub predicate: Option<String>,
}

impl TableIndex {
    /// The first column beside the customer's: where it is bound, few rows are read.
    pub fn key(&self) -> Option<&str> {
        let mut columns = self.columns.iter().map(String::as_str);
        columns.find(|column| *column != TENANT)
    }

    /// Whether rows can be looked up by the key, whatever else a plan did.
    pub fn looks_up(&self) -> bool {
        let mut columns = self.columns.iter().zip(&self.is_comparable);
        columns
            .find(|(column, _)| *column != TENANT)
            .is_some_and(|(_, flag)| *flag)
    }

    /// Whether a customer has one row in it at most.
    pub fn is_of_one_row(&self) -> bool {
        self.is_unique && self.key().is_none()
    }

    /// Whether a condition of a scan is the one of row-level security.
    pub fn is_tenant(condition: &str, alias: &str) -> bool {
        condition::is_on(condition, alias, TENANT)
    }
}

pub(super) async fn read(client: &Client, names: &RoleNames) -> Result<Vec<TableIndex>, LendError> {
    let rows = client.query(INDEXES, &[&names.schema]).await?;
    let index = |row: &tokio_postgres::Row| {
        Ok(TableIndex {
            table: row.try_get(0)?,
            name: row.try_get(1)?,
            is_secured: row.try_get(2)?,
            is_unique: row.try_get(3)?,
            columns: row.try_get(4)?,
            is_comparable: row.try_get(5)?,
            predicate: row.try_get(6)?,
        })
    };
    rows.iter().map(index).collect()
}

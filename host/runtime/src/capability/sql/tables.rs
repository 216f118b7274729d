//! What the host writes on a plugin's tables, and what it refuses to find there.
//!
//! It runs in the transaction of a migration and in the owner's own session (see
//! [`super::owner`]), and compares the catalogue with what must hold; only what
//! differs is changed, so a deployment without migrations takes no lock on a table.
//!
//! Each table that is not listed as shared gets two policies. `hearth_customer`
//! is for everybody: the rows of the session's customer. `hearth_migration` is
//! for the owner role alone, and only while `hearth.migration` is `on`: with it a
//! migration moves the data of all customers although FORCE ROW LEVEL SECURITY
//! holds for the owner too. Nobody but the host can log in as the owner, and only a
//! migration's transaction sets `hearth.migration` (SET LOCAL). A view or function
//! that somehow ran as the owner during a request would find it unset.

use std::collections::HashMap;

use tokio_postgres::Client;

use super::describe;
use super::gate::Refusal;
use super::lend::LendError;
use super::roles::RoleNames;

/// The column that says whose a row is.
const COLUMN: &str = "customer_id";
/// The session's customer, as Postgres writes the expression itself.
pub(super) const CUSTOMER: &str =
    "NULLIF(current_setting('hearth.customer_id'::text, true), ''::text)";
const MIGRATING: &str = "(current_setting('hearth.migration'::text, true) = 'on'::text)";

const RELATIONS: &str = "
    SELECT c.oid, c.relname::text, c.relkind::text, c.relrowsecurity AND c.relforcerowsecurity,
           coalesce('security_invoker=true' = ANY (c.reloptions), false),
           a.attnum IS NOT NULL, coalesce(a.atttypid = 'text'::regtype, false),
           coalesce(a.attnotnull, false), pg_get_expr(d.adbin, d.adrelid)
    FROM pg_class c
    LEFT JOIN pg_attribute a
        ON a.attrelid = c.oid AND a.attname = 'customer_id' AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
    WHERE c.relnamespace = to_regnamespace($1) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    ORDER BY c.relname";

const POLICIES: &str = "
    SELECT p.polrelid, p.polname::text,
           p.polcmd = '*' AND p.polpermissive AND CASE p.polname
               WHEN 'hearth_customer' THEN p.polroles = '{0}'
                   AND pg_get_expr(p.polqual, p.polrelid) = $2
                   AND pg_get_expr(p.polwithcheck, p.polrelid) = $2
               WHEN 'hearth_migration' THEN p.polroles = ARRAY[r.oid]
                   AND pg_get_expr(p.polqual, p.polrelid) = $3
                   AND pg_get_expr(p.polwithcheck, p.polrelid) = $3
               ELSE false END
    FROM pg_policy p
    JOIN pg_class c ON c.oid = p.polrelid
    JOIN pg_roles r ON r.rolname = $4
    WHERE c.relnamespace = to_regnamespace($1)";

/// Unique keys and exclusions, and whether they start with the customer.
const KEYS: &str = "
    SELECT i.indrelid, n.relname::text, coalesce(a.attname = 'customer_id', false)
    FROM pg_index i
    JOIN pg_class c ON c.oid = i.indrelid
    JOIN pg_class n ON n.oid = i.indexrelid
    LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
    WHERE c.relnamespace = to_regnamespace($1) AND (i.indisunique OR i.indisexclusion)";

/// Foreign keys, and whether they tie customer to customer.
const REFERENCES: &str = "
    SELECT f.conname::text, f.conrelid, f.confrelid, EXISTS (
        SELECT FROM unnest(f.conkey, f.confkey) AS pair (child, parent)
        JOIN pg_attribute c ON c.attrelid = f.conrelid AND c.attnum = pair.child
        JOIN pg_attribute p ON p.attrelid = f.confrelid AND p.attnum = pair.parent
        WHERE c.attname = 'customer_id' AND p.attname = 'customer_id')
    FROM pg_constraint f
    WHERE f.contype = 'f' AND f.connamespace = to_regnamespace($1)";

/// What would see or write past the policies, whatever the gate thought of it.
const FORBIDDEN: &str = "
    SELECT 'function ' || proname, 'SECURITY DEFINER runs it as the owner'
    FROM pg_proc WHERE pronamespace = to_regnamespace($1) AND prosecdef
    UNION ALL
    SELECT 'rule ' || r.rulename, 'a rule rewrites statements behind the gate'
    FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
    WHERE c.relnamespace = to_regnamespace($1) AND r.rulename <> '_RETURN'";

struct Relation {
    oid: u32,
    name: String,
    kind: String,
    row_security: bool,
    security_invoker: bool,
    has_customer: bool,
    customer_is_text: bool,
    customer_not_null: bool,
    customer_default: Option<String>,
}

impl Relation {
    fn is_table(&self) -> bool {
        self.kind == "r" || self.kind == "p"
    }

    fn refuse(&self, reason: &str) -> Refusal {
        refusal(format!("table {}", self.name), reason)
    }
}

fn refusal(what: String, reason: &str) -> Refusal {
    Refusal {
        statement: what,
        reason: reason.to_owned(),
        position: None,
    }
}

/// Writes defaults, policies and rights. Answers what must not be as it is.
pub(super) async fn reconcile(
    client: &Client,
    names: &RoleNames,
    shared: &[String],
) -> Result<Vec<Refusal>, LendError> {
    let relations = relations(client, names).await?;
    let mut refusals = judge_relations(&relations, shared);
    refusals.extend(judge_keys(client, names, &relations, shared).await?);
    refusals.extend(judge_references(client, names, &relations, shared).await?);
    refusals.extend(judge_rest(client, names).await?);
    let policies = policies(client, names).await?;
    refusals.extend(judge_policies(&relations, &policies, shared));
    if !refusals.is_empty() {
        return Ok(refusals);
    }
    let mut changes = Vec::new();
    for relation in &relations {
        changes.extend(match relation.is_table() {
            true if shared.contains(&relation.name) => Vec::new(),
            true => table_changes(relation, &policies, names),
            false => view_changes(relation, names),
        });
    }
    changes.push(grants(names));
    for change in changes {
        if let Err(error) = client.batch_execute(&change).await {
            return Ok(vec![describe::refusal(&change, error)?]);
        }
    }
    Ok(Vec::new())
}

async fn relations(client: &Client, names: &RoleNames) -> Result<Vec<Relation>, LendError> {
    let rows = client.query(RELATIONS, &[&names.schema]).await?;
    let relation = |row: &tokio_postgres::Row| {
        Ok(Relation {
            oid: row.try_get(0)?,
            name: row.try_get(1)?,
            kind: row.try_get(2)?,
            row_security: row.try_get(3)?,
            security_invoker: row.try_get(4)?,
            has_customer: row.try_get(5)?,
            customer_is_text: row.try_get(6)?,
            customer_not_null: row.try_get(7)?,
            customer_default: row.try_get(8)?,
        })
    };
    rows.iter().map(relation).collect()
}

fn judge_relations(relations: &[Relation], shared: &[String]) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    for relation in relations {
        let shared = shared.contains(&relation.name);
        let reason = match relation.kind.as_str() {
            "m" => "a materialized view has no row-level security; use a table or a view",
            "f" => "a foreign table has no row-level security here",
            "v" => continue,
            _ if shared && relation.has_customer => {
                "it is listed as shared, but has a column customer_id: remove one of them"
            }
            _ if shared => continue,
            _ if !relation.has_customer => {
                "it has no column customer_id (text): add one, or list the table as shared in the \
                 manifest"
            }
            _ if !relation.customer_is_text => "its column customer_id must be of type text",
            _ => continue,
        };
        refusals.push(relation.refuse(reason));
    }
    let tables = |name: &&String| {
        relations
            .iter()
            .any(|table| table.is_table() && table.name == **name)
    };
    let missing = shared.iter().filter(|name| !tables(name));
    refusals.extend(missing.map(|name| {
        refusal(
            format!("table {name}"),
            "the manifest lists it as shared, but it does not exist",
        )
    }));
    refusals
}

/// The table of that oid, unless it is shared.
fn tenant_table<'a>(
    relations: &'a [Relation],
    shared: &[String],
    oid: u32,
) -> Option<&'a Relation> {
    let table = relations.iter().find(|relation| relation.oid == oid)?;
    (!shared.contains(&table.name)).then_some(table)
}

async fn judge_keys(
    client: &Client,
    names: &RoleNames,
    relations: &[Relation],
    shared: &[String],
) -> Result<Vec<Refusal>, LendError> {
    let mut refusals = Vec::new();
    for row in client.query(KEYS, &[&names.schema]).await? {
        let (table, index, leads): (u32, String, bool) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        if let Some(table) = tenant_table(relations, shared, table)
            && !leads
        {
            refusals.push(table.refuse(&format!(
                "the unique key {index} must start with customer_id, or a conflict would show one \
                 customer another's row"
            )));
        }
    }
    Ok(refusals)
}

async fn judge_references(
    client: &Client,
    names: &RoleNames,
    relations: &[Relation],
    shared: &[String],
) -> Result<Vec<Refusal>, LendError> {
    let mut refusals = Vec::new();
    for row in client.query(REFERENCES, &[&names.schema]).await? {
        let (name, child, parent, paired): (String, u32, u32, bool) = (
            row.try_get(0)?,
            row.try_get(1)?,
            row.try_get(2)?,
            row.try_get(3)?,
        );
        if let Some(parent) = tenant_table(relations, shared, parent)
            && !paired
        {
            let child = relations
                .iter()
                .find(|relation| relation.oid == child)
                .unwrap_or(parent);
            refusals.push(child.refuse(&format!(
                "the foreign key {name} must tie customer_id to customer_id of {}: Postgres checks it past row-level security",
                parent.name
            )));
        }
    }
    Ok(refusals)
}

async fn judge_rest(client: &Client, names: &RoleNames) -> Result<Vec<Refusal>, LendError> {
    let rows = client.query(FORBIDDEN, &[&names.schema]).await?;
    rows.iter()
        .map(|row| Ok(refusal(row.try_get(0)?, row.try_get(1)?)))
        .collect()
}

/// By table and name: whether the policy is as the host writes it.
type Policies = HashMap<(u32, String), bool>;

async fn policies(client: &Client, names: &RoleNames) -> Result<Policies, LendError> {
    let customer = format!("({COLUMN} = {CUSTOMER})");
    let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
        [&names.schema, &customer, &MIGRATING, &names.owner];
    let rows = client.query(POLICIES, &parameters).await?;
    let policy =
        |row: &tokio_postgres::Row| Ok(((row.try_get(0)?, row.try_get(1)?), row.try_get(2)?));
    rows.iter().map(policy).collect()
}

fn judge_policies(relations: &[Relation], policies: &Policies, shared: &[String]) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    for relation in relations {
        for (_, name) in policies.keys().filter(|(table, _)| *table == relation.oid) {
            let ours = name == "hearth_customer" || name == "hearth_migration";
            if !ours || shared.contains(&relation.name) {
                let reason = format!("it has the policy {name}; only the host may create policies");
                refusals.push(relation.refuse(&reason));
            }
        }
    }
    refusals
}

fn table_changes(relation: &Relation, policies: &Policies, names: &RoleNames) -> Vec<String> {
    let table = format!("{}.{}", names.schema, quoted(&relation.name));
    let mut changes = Vec::new();
    if relation.customer_default.as_deref() != Some(CUSTOMER) {
        changes.push(format!(
            "ALTER TABLE {table} ALTER COLUMN {COLUMN} SET DEFAULT {CUSTOMER}"
        ));
    }
    if !relation.customer_not_null {
        changes.push(format!(
            "ALTER TABLE {table} ALTER COLUMN {COLUMN} SET NOT NULL"
        ));
    }
    let customer = format!("({COLUMN} = {CUSTOMER})");
    let wanted = [
        ("hearth_customer", "PUBLIC", customer.as_str()),
        ("hearth_migration", names.owner.as_str(), MIGRATING),
    ];
    for (name, role, condition) in wanted {
        if policies.get(&(relation.oid, name.to_owned())) != Some(&true) {
            changes.push(format!(
                "DROP POLICY IF EXISTS {name} ON {table};
                 CREATE POLICY {name} ON {table} TO {role} USING {condition} WITH CHECK {condition}"
            ));
        }
    }
    if !relation.row_security {
        changes.push(format!(
            "ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"
        ));
    }
    changes
}

/// A view reads with its owner's rights unless it is told otherwise.
fn view_changes(relation: &Relation, names: &RoleNames) -> Vec<String> {
    let view = format!("{}.{}", names.schema, quoted(&relation.name));
    match relation.security_invoker {
        true => Vec::new(),
        false => vec![format!("ALTER VIEW {view} SET (security_invoker = true)")],
    }
}

/// Rows and sequences, no more: TRUNCATE knows no row-level security, REFERENCES
/// and TRIGGER reach past it.
fn grants(names: &RoleNames) -> String {
    let RoleNames {
        schema, runtime, ..
    } = names;
    format!(
        "REVOKE ALL ON SCHEMA {schema} FROM PUBLIC;
         GRANT USAGE ON SCHEMA {schema} TO {runtime};
         REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM PUBLIC, {runtime};
         REVOKE ALL ON ALL SEQUENCES IN SCHEMA {schema} FROM PUBLIC, {runtime};
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {runtime};
         GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {runtime}"
    )
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

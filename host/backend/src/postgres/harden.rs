//! Takes from PUBLIC what a declared statement could use to leave its tenant or
//! to harm other sessions. Each entry was reproduced as an attack, or is a way
//! to run SQL text that the statement gate has not seen.
//!
//! A managed server may not let us: Postgres then answers with an error, or with
//! a mere warning and no effect. So the rights are read again afterwards, and
//! what is left is logged.

use deadpool_postgres::{Client, Transaction};
use tokio_postgres::Row;

use super::error::{chain, unavailable};
use super::schema::take_turn;
use super::{Config, OpenError};

/// Functions, as patterns of LIKE on their names within `pg_catalog`.
const FUNCTIONS: &[&str] = &[
    // Changes the tenant of the session, or its search path.
    "set\\_config",
    // Run a text as SQL, past the gate.
    "query\\_to\\_xml%",
    "cursor\\_to\\_xml%",
    "table\\_to\\_xml%",
    "schema\\_to\\_xml%",
    "database\\_to\\_xml%",
    "ts\\_stat",
    "ts\\_rewrite",
    // End or disturb other sessions of the same role.
    "pg\\_cancel\\_backend",
    "pg\\_terminate\\_backend",
    // Locks that outlive the transaction and are shared by all tenants.
    "pg\\_advisory%",
    "pg\\_try\\_advisory%",
    // Large objects have no row-level security and no tenant.
    "lo\\_%",
    "loread",
    "lowrite",
    // Measured: NOTIFY inside a transaction cuts commits to a third.
    "pg\\_notify",
    // Write to the log of the database without any table's rights.
    "pg\\_logical\\_emit\\_message",
];

/// What PUBLIC still holds: how to take it, and how to give it to the host.
const HELD: &str = "
    SELECT format('REVOKE EXECUTE ON FUNCTION pg_catalog.%I(%s) FROM PUBLIC',
                  proname, pg_get_function_identity_arguments(oid)),
           format('GRANT EXECUTE ON FUNCTION pg_catalog.%I(%s) TO CURRENT_USER',
                  proname, pg_get_function_identity_arguments(oid)),
           proname::text
    FROM pg_proc
    WHERE pronamespace = 'pg_catalog'::regnamespace
      AND proname LIKE ANY ($1::text[])
      AND prokind = 'f'
      AND has_function_privilege('public', oid, 'EXECUTE')
    UNION ALL
    SELECT 'REVOKE UPDATE ON pg_catalog.pg_settings FROM PUBLIC',
           'GRANT UPDATE ON pg_catalog.pg_settings TO CURRENT_USER',
           'pg_settings'
    WHERE has_table_privilege('public', 'pg_catalog.pg_settings', 'UPDATE')
    UNION ALL
    SELECT format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database()),
           format('GRANT TEMPORARY ON DATABASE %I TO CURRENT_USER', current_database()),
           'temporary tables'
    WHERE has_database_privilege('public', current_database(), 'TEMPORARY')
    UNION ALL
    SELECT 'REVOKE CREATE ON SCHEMA public FROM PUBLIC',
           'GRANT CREATE ON SCHEMA public TO CURRENT_USER',
           'schema public'
    FROM pg_namespace
    WHERE nspname = 'public' AND has_schema_privilege('public', oid, 'CREATE')";

/// Hosts take turns, for two that change one right at once fail both.
pub(super) async fn harden(client: &mut Client, config: &Config) -> Result<(), OpenError> {
    if granted_rights(client).await?.is_empty() {
        return Ok(());
    }
    let mut transaction = client.transaction().await?;
    take_turn(&transaction, config).await?;
    let rights = granted_rights(transaction.client()).await?;
    if let Err(error) = take(&mut transaction, &rights).await {
        tracing::debug!(
            error = chain(&error),
            "some privileges could not be revoked together"
        );
        take_one_by_one(&mut transaction, &rights).await?;
    }
    warn_of_rest(&granted_rights(transaction.client()).await?);
    Ok(transaction.commit().await?)
}

struct Right {
    revoke: String,
    grant: String,
    name: String,
}

async fn granted_rights(
    client: &tokio_postgres::Client,
) -> Result<Vec<Right>, tokio_postgres::Error> {
    let rows = client.query(HELD, &[&FUNCTIONS]).await?;
    rows.iter().map(right_of_row).collect()
}

fn right_of_row(row: &Row) -> Result<Right, tokio_postgres::Error> {
    let (revoke, grant, name) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    Ok(Right {
        revoke,
        grant,
        name,
    })
}

/// All or none of them, in one round trip.
async fn take(
    transaction: &mut Transaction<'_>,
    rights: &[Right],
) -> Result<(), tokio_postgres::Error> {
    let texts: Vec<_> = rights
        .iter()
        .map(|right| format!("{}; {}", right.grant, right.revoke))
        .collect();
    let savepoint = transaction.savepoint("rights").await?;
    savepoint.batch_execute(&texts.join(";\n")).await?;
    savepoint.commit().await
}

async fn take_one_by_one(
    transaction: &mut Transaction<'_>,
    rights: &[Right],
) -> Result<(), OpenError> {
    for right in rights {
        if let Err(error) = take(transaction, std::slice::from_ref(right)).await {
            if unavailable(&error) {
                return Err(error.into());
            }
            tracing::debug!(
                right = right.name,
                error = chain(&error),
                "PUBLIC keeps a privilege"
            );
        }
    }
    Ok(())
}

fn warn_of_rest(rest: &[Right]) {
    let mut names: Vec<_> = rest.iter().map(|right| right.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    if !names.is_empty() {
        tracing::warn!(
            rights = names.join(", "),
            "Postgres did not let Hearth revoke some privileges of PUBLIC: the statement gate \
             alone keeps plugins from using them"
        );
    }
}

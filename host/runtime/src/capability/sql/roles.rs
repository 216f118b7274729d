//! A plugin's schema and its two roles.
//!
//! The owner owns the schema and everything in it. It can log in for a moment at
//! the beginning of a migration (see [`super::owner`]), and the rest of the time
//! nobody can be it. The runtime role logs in, reads and writes rows, and owns
//! nothing. Neither is a member of a role of the host's; the owner is one of the
//! runtime role, as which it prepares statements. Roles belong to the whole cluster,
//! so their names carry a hash of the database's.
//!
//! The host needs CREATEROLE and no more. From Postgres 16 on that lets nobody say
//! what a role shall not be, so nothing is said that a new role is not anyway; what
//! somebody else made of a role is looked at instead.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use tokio_postgres::{Client, Transaction};

use super::lend::LendError;
use hearth_base::secret::RootSecret;

/// How many bytes of a plugin's name go into the names of its roles. A longer
/// name is cut and gets a hash.
const NAME_BYTES_MAX: usize = 36;

/// The names in Postgres of what belongs to a plugin. They consist of `a-z`,
/// `0-9` and `_`, so they need no quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RoleNames {
    pub schema: String,
    pub owner: String,
    pub runtime: String,
}

impl RoleNames {
    /// `None` where the plugin's name is not of `a-z`, `0-9` and `-`, or does not
    /// begin with a letter: then two names could mean one role.
    pub(super) fn of(plugin: &str, database: &str) -> Option<RoleNames> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let letter = plugin
            .bytes()
            .next()
            .is_some_and(|byte| byte.is_ascii_lowercase());
        if !letter || !plugin.bytes().all(allowed) {
            return None;
        }
        let database = short_hash(database);
        let name = short(plugin).replace('-', "_");
        Some(RoleNames {
            schema: format!("plugin_{name}"),
            owner: format!("hearth_owner_{database}_{name}"),
            runtime: format!("hearth_{database}_{name}"),
        })
    }
}

fn short(plugin: &str) -> String {
    match plugin.get(..NAME_BYTES_MAX) {
        Some(beginning) if plugin.len() > NAME_BYTES_MAX => {
            let beginning = beginning.get(..NAME_BYTES_MAX - 10).unwrap_or(beginning);
            format!("{beginning}--{}", short_hash(plugin))
        }
        _ => plugin.to_owned(),
    }
}

fn short_hash(text: &str) -> String {
    let mut hash = hex::encode(Sha256::digest(text.as_bytes()));
    hash.truncate(8);
    hash
}

/// The runtime role's password, the same on every host of the fleet.
pub(super) fn password(secret: &RootSecret, plugin: &str) -> String {
    hex::encode(secret.derive(&format!("postgres-role/{plugin}")))
}

/// The advisory lock under which roles are made and changed, "hrthplug" in ASCII.
/// One for all plugins: two hosts that changed one role at once would fail.
const LOCK: i64 = 0x6872_7468_706c_7567;

/// Makes roles and schema where they are missing, and sets what they may.
pub(super) async fn ensure(
    client: &mut Client,
    names: &RoleNames,
    password: &str,
) -> Result<(), LendError> {
    let verifier = verifier(password)?;
    let transaction = client.transaction().await?;
    transaction
        .execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK])
        .await?;
    for role in [&names.owner, &names.runtime] {
        let found = "SELECT FROM pg_roles WHERE rolname = $1";
        if transaction.query_opt(found, &[role]).await?.is_none() {
            let text = format!("CREATE ROLE {role} NOINHERIT");
            transaction.batch_execute(&text).await?;
        }
        is_harmless(&transaction, names, role).await?;
    }
    let RoleNames { owner, runtime, .. } = names;
    let rights = format!(
        "ALTER ROLE {owner} NOLOGIN NOINHERIT PASSWORD NULL;
         ALTER ROLE {runtime} LOGIN NOINHERIT PASSWORD '{verifier}';
         GRANT {runtime} TO {owner}"
    );
    transaction.batch_execute(&rights).await?;
    make_schema(&transaction, names).await?;
    leave_roles(&transaction, names).await?;
    Ok(transaction.commit().await?)
}

/// What a role of a plugin must never have become, whoever made it that.
const HARMFUL: &str = "
    SELECT 'may more than its database' FROM pg_roles
    WHERE rolname = $1
      AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls)
    UNION ALL
    SELECT 'is a member of ' || g.rolname
    FROM pg_auth_members m
    JOIN pg_roles r ON r.oid = m.member
    JOIN pg_roles g ON g.oid = m.roleid
    WHERE r.rolname = $1 AND g.rolname <> $2
    LIMIT 1";

async fn is_harmless(
    transaction: &Transaction<'_>,
    names: &RoleNames,
    role: &str,
) -> Result<(), LendError> {
    let row = transaction
        .query_opt(HARMFUL, &[&role, &names.runtime])
        .await?;
    let Some(row) = row else { return Ok(()) };
    let what: String = row.try_get(0)?;
    Err(LendError::Backend(format!(
        "the role {role} {what}, which is not allowed for the role of a plugin: revoke it (ALTER \
         ROLE, REVOKE) and deploy again"
    )))
}

/// Only who can become a role can give it a schema, so the host joins it for that.
async fn make_schema(transaction: &Transaction<'_>, names: &RoleNames) -> Result<(), LendError> {
    let RoleNames { schema, owner, .. } = names;
    let found = "SELECT FROM pg_namespace WHERE nspname = $1";
    if transaction.query_opt(found, &[schema]).await?.is_some() {
        return Ok(());
    }
    let text =
        format!("GRANT {owner} TO CURRENT_USER; CREATE SCHEMA {schema} AUTHORIZATION {owner}");
    Ok(transaction.batch_execute(&text).await?)
}

/// Drops the schema, which only its owner may: the host joins it for that.
pub(super) async fn drop_schema(
    transaction: &Transaction<'_>,
    names: &RoleNames,
) -> Result<(), LendError> {
    transaction
        .execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK])
        .await?;
    let RoleNames { schema, owner, .. } = names;
    let text = format!("GRANT {owner} TO CURRENT_USER; DROP SCHEMA IF EXISTS {schema} CASCADE");
    transaction.batch_execute(&text).await?;
    leave_roles(transaction, names).await
}

/// The host is no member of a plugin's roles: it never acts as one of them. What it
/// has as their maker (ADMIN, from Postgres 16 on) stays.
async fn leave_roles(transaction: &Transaction<'_>, names: &RoleNames) -> Result<(), LendError> {
    let text = "
        SELECT g.rolname::text
        FROM pg_auth_members m
        JOIN pg_roles r ON r.oid = m.member
        JOIN pg_roles g ON g.oid = m.roleid
        WHERE r.rolname = current_user AND g.rolname = ANY ($1) AND NOT m.admin_option";
    let roles = [names.owner.as_str(), names.runtime.as_str()];
    for row in transaction.query(text, &[&roles.as_slice()]).await? {
        let role: String = row.try_get(0)?;
        let text = format!("REVOKE {role} FROM CURRENT_USER");
        transaction.batch_execute(&text).await?;
    }
    Ok(())
}

/// How long the owner could log in if the host ended before it took that back.
const LOGIN: &str = "1 minute";

/// Lets the owner log in with this password.
pub(super) async fn open_login(
    client: &Client,
    names: &RoleNames,
    password: &str,
) -> Result<(), LendError> {
    let (owner, verifier) = (&names.owner, verifier(password)?);
    let text = format!("SELECT (clock_timestamp() + interval '{LOGIN}')::text");
    let until: String = client.query_one(&text, &[]).await?.try_get(0)?;
    let text = format!("ALTER ROLE {owner} LOGIN PASSWORD '{verifier}' VALID UNTIL '{until}'");
    Ok(client.batch_execute(&text).await?)
}

/// Lets nobody log in as the owner.
pub(super) async fn close_login(client: &Client, names: &RoleNames) -> Result<(), LendError> {
    let text = format!("ALTER ROLE {} NOLOGIN PASSWORD NULL", names.owner);
    Ok(client.batch_execute(&text).await?)
}

/// What Postgres keeps of a password (RFC 5803): sent instead of the password,
/// it may stand in the server's log.
fn verifier(password: &str) -> Result<String, LendError> {
    const ITERATIONS: u32 = 4096;
    let salt: [u8; 16] = rand::random();
    let salted = pbkdf2(password.as_bytes(), &salt, ITERATIONS)?;
    let stored = Sha256::digest(sign(&salted, &[b"Client Key"])?);
    let server = sign(&salted, &[b"Server Key"])?;
    let [salt, stored, server] = [&salt[..], &stored[..], &server[..]].map(base64);
    Ok(format!(
        "SCRAM-SHA-256${ITERATIONS}:{salt}${stored}:{server}"
    ))
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn pbkdf2(password: &[u8], salt: &[u8], iterations: u32) -> Result<[u8; 32], LendError> {
    let mut last = sign(password, &[salt, &1u32.to_be_bytes()])?;
    let mut all = last;
    for _ in 1..iterations {
        last = sign(password, &[&last])?;
        all.iter_mut()
            .zip(last)
            .for_each(|(sum, byte)| *sum ^= byte);
    }
    Ok(all)
}

fn sign(key: &[u8], parts: &[&[u8]]) -> Result<[u8; 32], LendError> {
    // HMAC takes a key of any length, so there is nothing to refuse.
    let mut mac = Hmac::<Sha256>::new_from_slice(key)
        .map_err(|error| LendError::Backend(error.to_string()))?;
    parts.iter().for_each(|part| mac.update(part));
    Ok(mac.finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_different_plugins_and_databases_differ() {
        let long = "a".repeat(60);
        let longer = "a".repeat(61);
        let mut seen = std::collections::HashSet::new();
        for plugin in ["tickets", "tick-ets", "a", &long, &longer] {
            for database in ["hearth", "other"] {
                let names = RoleNames::of(plugin, database).unwrap();
                assert!(names.owner.len() <= 63 && names.runtime.len() <= 63);
                assert!(seen.insert(names.owner) && seen.insert(names.runtime));
            }
        }
    }

    #[test]
    fn names_that_could_collide_or_need_quotes_are_refused() {
        for plugin in ["", "a_b", "A", "1a", "a b", "a\"b", "é"] {
            assert_eq!(RoleNames::of(plugin, "hearth"), None, "{plugin}");
        }
    }
}

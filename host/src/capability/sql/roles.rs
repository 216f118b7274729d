//! A plugin's schema and its two roles.
//!
//! The owner owns the schema and everything in it, cannot log in, and is taken on
//! by the host during migrations alone. The runtime role logs in, reads and
//! writes rows, and owns nothing. Roles belong to the whole cluster, so their
//! names carry a hash of the database's.

use deadpool_postgres::Transaction;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::lend::LendError;
use crate::secret::RootSecret;

/// How many bytes of a plugin's name go into the names of its roles. A longer
/// name is cut and gets a hash.
const NAME_BYTES_MAX: usize = 36;

/// The names in Postgres of what belongs to a plugin. They consist of `a-z`,
/// `0-9` and `_`, so they need no quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Names {
    pub schema: String,
    pub owner: String,
    pub runtime: String,
}

impl Names {
    /// `None` where the plugin's name is not of `a-z`, `0-9` and `-`, or does not
    /// begin with a letter: then two names could mean one role.
    pub(super) fn of(plugin: &str, database: &str) -> Option<Names> {
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
        Some(Names {
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

/// Makes roles and schema where they are missing, and sets what they may. To be
/// called under the advisory lock, or two hosts would change one role at once.
pub(super) async fn ensure(
    transaction: &Transaction<'_>,
    names: &Names,
    password: &str,
) -> Result<(), LendError> {
    for role in [&names.owner, &names.runtime] {
        let found = "SELECT FROM pg_roles WHERE rolname = $1";
        if transaction.query_opt(found, &[role]).await?.is_none() {
            transaction
                .batch_execute(&format!("CREATE ROLE {role}"))
                .await?;
        }
    }
    transaction
        .batch_execute(&rights(names, &verifier(password)?))
        .await?;
    Ok(())
}

/// The host becomes a member of both, to migrate as the one and to prepare as
/// the other. Not the other way round.
fn rights(names: &Names, verifier: &str) -> String {
    let Names {
        schema,
        owner,
        runtime,
    } = names;
    format!(
        "ALTER ROLE {owner} NOLOGIN NOCREATEDB NOCREATEROLE PASSWORD NULL;
         ALTER ROLE {runtime} LOGIN NOCREATEDB NOCREATEROLE NOINHERIT PASSWORD '{verifier}';
         GRANT {owner} TO CURRENT_USER;
         GRANT {runtime} TO CURRENT_USER;
         CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION {owner};
         REVOKE ALL ON SCHEMA {schema} FROM PUBLIC;
         GRANT USAGE ON SCHEMA {schema} TO {runtime};"
    )
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
                let names = Names::of(plugin, database).unwrap();
                assert!(names.owner.len() <= 63 && names.runtime.len() <= 63);
                assert!(seen.insert(names.owner) && seen.insert(names.runtime));
            }
        }
    }

    #[test]
    fn names_that_could_collide_or_need_quotes_are_refused() {
        for plugin in ["", "a_b", "A", "1a", "a b", "a\"b", "é"] {
            assert_eq!(Names::of(plugin, "hearth"), None, "{plugin}");
        }
    }
}

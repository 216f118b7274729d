//! Making, listing and revoking keys: the operator's side.

use std::time::SystemTime;

use deadpool_postgres::{PoolError, Transaction};
use serde::Serialize;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::Tier;
use super::text::{Digests, Presented, prefix};
use hearth_backend::postgres::Server;
use hearth_base::secret::RootSecret;

/// One key's scopes, and one scope's length.
const SCOPES_MAX: usize = 16;
const SCOPE_BYTES_MAX: usize = 64;
const NAME_CHARS_MAX: usize = 255;
/// A list is for people to read.
pub const LIST_MAX: i64 = 10_000;

#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    #[error("a customer's name has 1 to 255 characters")]
    Name,
    #[error("a scope has 1 to 64 of a-z, 0-9, `:`, `-` and `_`, and a key has 1 to 16 of them")]
    Scope,
    #[error("there is no key {0}")]
    NoSuchKey(String),
    /// The backend's.
    #[error("Postgres: {0}")]
    Postgres(#[from] tokio_postgres::Error),
    /// The backend's.
    #[error("Postgres: {0}")]
    Pool(#[from] PoolError),
}

#[derive(Clone, Debug)]
pub struct Customer {
    /// `cus_` and a UUIDv7.
    pub id: String,
    pub name: String,
    pub tier: Tier,
}

/// What asking for a customer of a name and tier came to.
#[derive(Clone, Debug)]
pub enum Ensured {
    Created(Customer),
    Found(Customer),
    /// The tier was another one, and is now the one asked for.
    Changed {
        customer: Customer,
        from: Tier,
    },
}

impl Ensured {
    pub fn customer(&self) -> &Customer {
        match self {
            Ensured::Created(customer) | Ensured::Found(customer) => customer,
            Ensured::Changed { customer, .. } => customer,
        }
    }
}

/// A key that was just made. Its text exists here and nowhere else.
pub struct NewKey {
    /// `key_` and a UUIDv7.
    pub id: String,
    pub text: Zeroizing<String>,
}

/// What may be shown of a key.
#[derive(Clone, Debug, Serialize)]
pub struct Listed {
    pub id: String,
    pub customer_id: String,
    pub customer: String,
    pub tier: String,
    /// The beginning of the key's text.
    pub prefix: String,
    pub scopes: Vec<String>,
    /// RFC 3339, in UTC, as are the others.
    pub created_at: String,
    pub expires_at: Option<String>,
    pub revoked_at: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revoked {
    Now,
    Before,
}

/// Writes customers and keys.
pub struct Register<'a> {
    server: &'a Server,
    digests: Digests,
}

impl<'a> Register<'a> {
    pub fn new(server: &'a Server, secret: &RootSecret) -> Register<'a> {
        Register {
            server,
            digests: Digests::derive(secret),
        }
    }

    /// Finds the customer by name or makes it, and gives it the tier.
    pub async fn ensure_customer(&self, name: &str, tier: Tier) -> Result<Ensured, RegisterError> {
        if name.is_empty() || name.chars().count() > NAME_CHARS_MAX || name.contains('\0') {
            return Err(RegisterError::Name);
        }
        let mut client = self.server.host().get().await?;
        let transaction = client.transaction().await?;
        let made = insert_customer(&transaction, name, tier).await?;
        let row = transaction.query_one(FIND_CUSTOMER, &[&name]).await?;
        let customer = Customer {
            id: row.try_get(0)?,
            name: name.to_owned(),
            tier,
        };
        let before: String = row.try_get(1)?;
        if before != tier.as_str() {
            let change = "UPDATE hearth.customers SET tier = $2 WHERE id = $1";
            transaction
                .execute(change, &[&customer.id, &tier.as_str()])
                .await?;
        }
        transaction.commit().await?;
        Ok(match before.parse() {
            _ if made => Ensured::Created(customer),
            Ok(from) if from != tier => Ensured::Changed { customer, from },
            _ => Ensured::Found(customer),
        })
    }

    /// Makes a key. `expires_at` is when it stops to work, if ever.
    pub async fn create_key(
        &self,
        customer_id: &str,
        scopes: &[String],
        expires_at: Option<SystemTime>,
    ) -> Result<NewKey, RegisterError> {
        check_scopes(scopes)?;
        let text = self.digests.make();
        let presented = Presented::read(&text).ok_or(RegisterError::Scope)?;
        let digest = self.digests.newest(&presented);
        let id = format!("key_{}", Uuid::now_v7());
        let version = self.digests.newest_version();
        let (shown, digest) = (prefix(&text), digest.as_slice());
        let client = self.server.host().get().await?;
        let values: [&(dyn ToSql + Sync); 7] = [
            &id,
            &customer_id,
            &shown,
            &digest,
            &version,
            &scopes,
            &expires_at,
        ];
        client.execute(INSERT_KEY, &values).await?;
        Ok(NewKey { id, text })
    }

    /// The newest [`LIST_MAX`] keys, of one customer (by name) or of all.
    pub async fn list(&self, customer: Option<&str>) -> Result<Vec<Listed>, RegisterError> {
        let client = self.server.host().get().await?;
        let rows = client.query(LIST, &[&customer, &LIST_MAX]).await?;
        Ok(rows.iter().map(listed).collect::<Result<_, _>>()?)
    }

    /// Ends a key for good. Every host refuses it within a second.
    pub async fn revoke(&self, key_id: &str) -> Result<Revoked, RegisterError> {
        let client = self.server.host().get().await?;
        let revoke = "UPDATE hearth.keys SET revoked_at = now()
                      WHERE id = $1 AND revoked_at IS NULL";
        if client.execute(revoke, &[&key_id]).await? == 1 {
            return Ok(Revoked::Now);
        }
        let known = "SELECT 1 FROM hearth.keys WHERE id = $1";
        match client.query_opt(known, &[&key_id]).await? {
            Some(_) => Ok(Revoked::Before),
            None => Err(RegisterError::NoSuchKey(key_id.to_owned())),
        }
    }
}

const INSERT_KEY: &str = "
    INSERT INTO hearth.keys (id, customer_id, prefix, hmac, hmac_version, scopes, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7)";

const FIND_CUSTOMER: &str = "SELECT id, tier FROM hearth.customers WHERE name = $1 FOR UPDATE";

/// Whether the name was new.
async fn insert_customer(
    transaction: &Transaction<'_>,
    name: &str,
    tier: Tier,
) -> Result<bool, tokio_postgres::Error> {
    let id = format!("cus_{}", Uuid::now_v7());
    let insert = "INSERT INTO hearth.customers (id, name, tier) VALUES ($1, $2, $3)
                  ON CONFLICT (name) DO NOTHING";
    Ok(transaction
        .execute(insert, &[&id, &name, &tier.as_str()])
        .await?
        == 1)
}

const LIST: &str = r#"
    SELECT keys.id, customer_id, name, tier, prefix, scopes,
           to_char(keys.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
           to_char(expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
           to_char(revoked_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
    FROM hearth.keys JOIN hearth.customers ON customers.id = keys.customer_id
    WHERE $1::text IS NULL OR name = $1
    ORDER BY keys.created_at DESC, keys.id DESC
    LIMIT $2"#;

fn listed(row: &Row) -> Result<Listed, tokio_postgres::Error> {
    Ok(Listed {
        id: row.try_get(0)?,
        customer_id: row.try_get(1)?,
        customer: row.try_get(2)?,
        tier: row.try_get(3)?,
        prefix: row.try_get(4)?,
        scopes: row.try_get(5)?,
        created_at: row.try_get(6)?,
        expires_at: row.try_get(7)?,
        revoked_at: row.try_get(8)?,
    })
}

fn check_scopes(scopes: &[String]) -> Result<(), RegisterError> {
    let good = scopes.iter().all(|scope| is_scope(scope));
    match good && (1..=SCOPES_MAX).contains(&scopes.len()) {
        true => Ok(()),
        false => Err(RegisterError::Scope),
    }
}

fn is_scope(scope: &str) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b":-_".contains(&byte);
    (1..=SCOPE_BYTES_MAX).contains(&scope.len()) && scope.bytes().all(allowed)
}

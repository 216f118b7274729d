//! Whose rows a database session sees.
//!
//! Row-level security compares `customer_id` with the setting
//! `hearth.customer_id` of the session. The host alone writes that setting, as a
//! simple query: nothing that a plugin may declare can change it.

use std::sync::Arc;

/// How many bytes a customer's id may have.
pub const CUSTOMER_BYTES_MAX: usize = 64;

/// The customer that a session stands for. The empty one is nobody, who sees and
/// writes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tenant(Arc<str>);

/// A customer's id that may not be put into SQL. The host is to blame: the edge
/// gives out ids of this shape alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a customer's id has 1 to {CUSTOMER_BYTES_MAX} characters of A-Z, a-z, 0-9, _ and -")]
pub struct InvalidTenant;

impl Tenant {
    /// The tenant of a call: its customer, or nobody.
    pub fn of(customer: Option<&Arc<str>>) -> Result<Tenant, InvalidTenant> {
        let Some(customer) = customer else {
            return Ok(Tenant::nobody());
        };
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        let length = (1..=CUSTOMER_BYTES_MAX).contains(&customer.len());
        match length && customer.bytes().all(allowed) {
            true => Ok(Tenant(customer.clone())),
            false => Err(InvalidTenant),
        }
    }

    pub fn nobody() -> Tenant {
        Tenant(Arc::from(""))
    }

    /// Changes the session, until the next such statement.
    pub fn set(&self) -> String {
        format!("SET hearth.customer_id = '{}'", self.0)
    }

    /// Changes the transaction that the session is in, and nothing outside one.
    pub fn set_local(&self) -> String {
        format!("SET LOCAL hearth.customer_id = '{}'", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_ids_reach_sql() {
        for id in ["acme", "A-1_b", &"x".repeat(64)] {
            assert!(Tenant::of(Some(&Arc::from(id))).is_ok(), "{id}");
        }
        for id in ["", "a'b", "a b", "é", "a;b", "a\\", &"x".repeat(65)] {
            assert_eq!(Tenant::of(Some(&Arc::from(id))), Err(InvalidTenant), "{id}");
        }
    }

    #[test]
    fn no_customer_is_nobody() {
        assert_eq!(
            Tenant::of(None).map(|tenant| tenant.set()),
            Ok("SET hearth.customer_id = ''".into())
        );
    }
}

//! The statements of endpoints, their secrets and their health.

use hearth_plugin::prelude::*;

use crate::endpoint::Endpoint;

row! {
    /// A number of rows.
    pub struct Count { count: i64 }

    /// The sealed headers of an endpoint.
    pub struct SealedHeaders { headers: Vec<u8> }

    /// Something sealed, and whose it is.
    pub struct Sealed { endpoint_id: String, id: String, sealed: Vec<u8> }

    /// A secret as it is stored.
    pub struct StoredSecret {
        id: String,
        signature: String,
        sealed: Vec<u8>,
        created_at: Timestamp,
        expires_at: Option<Timestamp>,
    }
}

/// The columns of an [`Endpoint`].
macro_rules! columns {
    () => {
        "id, version, url, description, event_types, ordered, rate_per_second, metadata, \
         signature, header_names, enabled, disabled_reason, disabled_at, created_at, updated_at"
    };
}

sql! {
    pub read fn endpoint_by_id(id: &str) -> Option<Endpoint> = concat!(
        "SELECT ", columns!(), " FROM endpoints WHERE id = $1 AND deleted_at IS NULL");

    /// The endpoint, locked against other changes until the transaction ends. Rows
    /// that refer to it can still be written: deliveries go on meanwhile.
    pub write fn lock_endpoint(id: &str) -> Option<Endpoint> = concat!(
        "SELECT ", columns!(), " FROM endpoints WHERE id = $1 AND deleted_at IS NULL \
         FOR NO KEY UPDATE");

    pub read fn endpoints_after(id: &str, limit: i64) -> Vec<Endpoint> = concat!(
        "SELECT ", columns!(), " FROM endpoints WHERE id > $1 AND deleted_at IS NULL \
         ORDER BY id LIMIT $2");

    /// Makes an endpoint, unless the customer has two hundred.
    pub write fn insert_endpoint(endpoint: &Json, headers: &[u8]) -> u64 =
        "INSERT INTO endpoints (id, version, url, description, event_types, ordered, \
         rate_per_second, metadata, signature, header_names, headers, enabled, disabled_reason, \
         disabled_at, created_at, updated_at) \
         SELECT id, 1, url, description, event_types, ordered, rate_per_second, metadata, \
         signature, header_names, $2, enabled, disabled_reason, disabled_at, created_at, updated_at \
         FROM jsonb_to_record($1) AS given (id text, url text, description text, \
         event_types text[], ordered boolean, rate_per_second bigint, metadata jsonb, \
         signature text, header_names text[], enabled boolean, disabled_reason text, \
         disabled_at timestamptz, created_at timestamptz, updated_at timestamptz) \
         WHERE (SELECT count(*) FROM (SELECT 1 AS one FROM endpoints WHERE deleted_at IS NULL \
         LIMIT 200) AS others) < 200";

    /// Writes a locked endpoint as it shall be, but for its sealed headers.
    pub write fn update_endpoint(endpoint: &Json) -> u64 =
        "UPDATE endpoints SET version = given.version, url = given.url, \
         description = given.description, event_types = given.event_types, \
         ordered = given.ordered, rate_per_second = given.rate_per_second, \
         metadata = given.metadata, signature = given.signature, \
         header_names = given.header_names, enabled = given.enabled, \
         disabled_reason = given.disabled_reason, disabled_at = given.disabled_at, \
         updated_at = given.updated_at \
         FROM jsonb_to_record($1) AS given (id text, version bigint, url text, description text, \
         event_types text[], ordered boolean, rate_per_second bigint, metadata jsonb, \
         signature text, header_names text[], enabled boolean, disabled_reason text, \
         disabled_at timestamptz, updated_at timestamptz) \
         WHERE endpoints.id = given.id";

    pub write fn set_headers(id: &str, headers: &[u8]) -> u64 =
        "UPDATE endpoints SET headers = $2 WHERE id = $1";

    /// How many other endpoints want their events in order, counted to a hundred.
    pub read fn other_ordered(id: &str) -> Count =
        "SELECT count(*) AS count FROM (SELECT 1 AS one FROM endpoints \
         WHERE ordered AND deleted_at IS NULL AND id <> $1 LIMIT 100) AS others";

    pub read fn headers_of(id: &str) -> SealedHeaders =
        "SELECT headers FROM endpoints WHERE id = $1";

    /// Hides an endpoint and forgets what it kept secret.
    pub write fn delete_endpoint(id: &str, now: Timestamp) -> u64 =
        "UPDATE endpoints SET deleted_at = $2, enabled = false, headers = '', \
         header_names = '{}' WHERE id = $1 AND deleted_at IS NULL";

    pub write fn delete_secrets(endpoint_id: &str) -> u64 =
        "DELETE FROM endpoint_secrets WHERE endpoint_id = $1";

    pub write fn insert_health(endpoint_id: &str) -> u64 =
        "INSERT INTO endpoint_health (endpoint_id) SELECT id FROM endpoints WHERE id = $1";

    /// What went wrong before an endpoint was enabled anew, or at another URL, counts no
    /// more.
    pub write fn reset_health(endpoint_id: &str) -> u64 =
        "UPDATE endpoint_health SET failing_since = NULL, slow = 0, paused_until = NULL, \
         throttles = 0, rate_free_at = NULL WHERE endpoint_id = $1";

    /// Nobody waits any more for these endpoints to have rested.
    pub write fn lift_pauses(endpoint_ids: &[String]) -> u64 =
        "UPDATE endpoint_health SET paused_until = NULL, throttles = 0 \
         WHERE endpoint_id = ANY ($1) AND paused_until IS NOT NULL";

    pub write fn insert_secret(
        endpoint_id: &str,
        id: &str,
        signature: &str,
        sealed: &[u8],
        now: Timestamp,
    ) -> u64 =
        "INSERT INTO endpoint_secrets (endpoint_id, id, signature, sealed, created_at) \
         SELECT endpoints.id, $2, $3, $4, $5 FROM endpoints WHERE endpoints.id = $1";

    /// The secrets that sign, the current one first.
    pub read fn secrets_of(endpoint_id: &str, now: Timestamp) -> Vec<StoredSecret> =
        "SELECT id, signature, sealed, created_at, expires_at FROM endpoint_secrets \
         WHERE endpoint_id = $1 AND (expires_at IS NULL OR expires_at > $2) \
         ORDER BY expires_at DESC NULLS FIRST, created_at DESC, id";

    /// The current secret signs until then, and no longer.
    pub write fn retire_secret(endpoint_id: &str, expires_at: Timestamp) -> u64 =
        "UPDATE endpoint_secrets SET expires_at = $2 \
         WHERE endpoint_id = $1 AND expires_at IS NULL";

    /// What is sealed of the customer's endpoints, a page at a time.
    pub read fn sealed_secrets(after_endpoint: &str, after_id: &str) -> Vec<Sealed> =
        "SELECT endpoint_id, id, sealed FROM endpoint_secrets \
         WHERE (endpoint_id, id) > ($1, $2) ORDER BY endpoint_id, id LIMIT 100";

    pub read fn sealed_headers(after_endpoint: &str) -> Vec<Sealed> =
        "SELECT id AS endpoint_id, '' AS id, headers AS sealed FROM endpoints \
         WHERE id > $1 AND deleted_at IS NULL ORDER BY endpoints.id LIMIT 100";

    pub write fn reseal_secret(endpoint_id: &str, id: &str, old: &[u8], new: &[u8]) -> u64 =
        "UPDATE endpoint_secrets SET sealed = $4 \
         WHERE endpoint_id = $1 AND id = $2 AND sealed = $3";

    pub write fn reseal_headers(id: &str, old: &[u8], new: &[u8]) -> u64 =
        "UPDATE endpoints SET headers = $3 WHERE id = $1 AND headers = $2";

    /// Endpoints that were deleted long ago, a few at a time.
    pub write fn forget_endpoints(before: Timestamp) -> u64 =
        "DELETE FROM endpoints WHERE id IN (SELECT id FROM endpoints WHERE deleted_at < $1 \
         AND (SELECT true FROM deliveries WHERE deliveries.endpoint_id = endpoints.id LIMIT 1) \
         IS NULL \
         LIMIT 20)";

    pub write fn delete_expired_secrets(now: Timestamp) -> u64 =
        "DELETE FROM endpoint_secrets WHERE expires_at <= $1";
}

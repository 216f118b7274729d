//! Loading records. Columns come as arrays, which cost a fraction of a list of JSON
//! objects; the numbers in them as texts, for they are exact.

use hearth_plugin::prelude::*;

row! {
    /// The name of the last data point.
    pub struct Ledger { version: i64 }

    /// A month whose sum changed.
    pub struct Changed { month: i64 }
}

sql! {
    pub read fn ledger() -> Option<Ledger> = "SELECT version FROM cost_ledger";

    /// Locks out other loads of the customer, and counts this one.
    pub write fn begin_load() -> Ledger =
        "INSERT INTO cost_ledger (version) VALUES (1) ON CONFLICT (customer_id) DO UPDATE \
         SET version = cost_ledger.version + 1, updated_at = now() RETURNING version";

    /// Keeps loads out while a budget is looked at.
    pub write fn hold_loads() -> Option<Ledger> = "SELECT version FROM cost_ledger FOR UPDATE";

    /// Takes away what a load without ids replaces.
    pub write fn remove_periods(source: &str, billing_months: &[i64]) -> Vec<Changed> =
        "WITH gone AS (DELETE FROM cost_records WHERE source = $1 \
         AND billing_month = ANY ($2) AND NOT has_own_id RETURNING month) \
         SELECT DISTINCT month FROM gone";

    /// Inserts rows; one with an id of its own replaces that of the same id. Answers
    /// the months of the new rows and of those that they replace. The latter are looked
    /// up one by one: of `= ANY` Postgres, which has no statistics of what was loaded
    /// just now, reads every row of the customer for each thousand.
    pub write fn put_records(
        source: &str,
        has_own_id: bool,
        row_ids: &[String],
        billing_months: &[i64],
        months: &[i64],
        currencies: &[String],
        services: &[String],
        accounts: &[String],
        tags: &[String],
        billed: &[String],
        effective: &[String],
        list: &[String],
        contracted: &[String],
        charged_until_micros: &[i64],
    ) -> Vec<Changed> =
        "WITH before AS (SELECT old.month FROM unnest($3::text[]) AS own (id) \
         CROSS JOIN LATERAL (SELECT month FROM cost_records WHERE $2 AND source = $1 \
         AND row_id = own.id LIMIT 1) AS old), put AS (INSERT INTO cost_records (source, row_id, has_own_id, \
         billing_month, month, currency, service, account, tags, billed, effective, list, \
         contracted, charged_until) \
         SELECT $1, row_id, $2, billing_month, month, currency, service, account, tags::jsonb, \
         billed::numeric, effective::numeric, list::numeric, contracted::numeric, \
         CASE WHEN charged_until_micros > 0 \
         THEN to_timestamp(charged_until_micros::double precision / 1000000) END \
         FROM unnest($3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::text[], $8::text[], \
         $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::bigint[]) \
         AS given (row_id, billing_month, month, currency, service, account, tags, billed, \
         effective, list, contracted, charged_until_micros) \
         ON CONFLICT (customer_id, source, row_id) DO UPDATE SET has_own_id = excluded.has_own_id, \
         billing_month = excluded.billing_month, month = excluded.month, \
         currency = excluded.currency, service = excluded.service, account = excluded.account, \
         tags = excluded.tags, billed = excluded.billed, effective = excluded.effective, \
         list = excluded.list, contracted = excluded.contracted, \
         charged_until = excluded.charged_until RETURNING month) \
         SELECT month FROM before UNION SELECT month FROM put";

    pub write fn remove_months(months: &[i64]) -> u64 =
        "DELETE FROM cost_months WHERE month = ANY ($1)";

    /// Sums months again, after [`remove_months`].
    pub write fn sum_months(months: &[i64]) -> u64 =
        "INSERT INTO cost_months (month, currency, service, account, tags, billed, effective, \
         list, contracted, charged_until) \
         SELECT month, currency, service, account, tags, sum(billed), sum(effective), sum(list), \
         sum(contracted), max(charged_until) FROM cost_records WHERE month = ANY ($1) \
         GROUP BY month, currency, service, account, tags";
}

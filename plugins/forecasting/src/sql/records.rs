//! Statements that load records. Columns are passed as arrays, which cost a fraction of
//! a list of JSON objects; numbers in them as text, as they are exact.

use hearth_plugin::prelude::*;

row! {
    /// The name of the last data point.
    pub struct Ledger { version: i64 }

    /// A month whose sum changed, and how many records of it were deleted.
    pub struct Changed { month: i64, replaced: i64 }
}

sql! {
    pub read fn ledger() -> Option<Ledger> = "SELECT version FROM cost_ledger";

    /// Locks out other loads of the customer, and counts this one.
    pub write fn begin_load() -> Ledger =
        "INSERT INTO cost_ledger (version) VALUES (1) ON CONFLICT (customer_id) DO UPDATE \
         SET version = cost_ledger.version + 1, updated_at = now() RETURNING version";

    /// Keeps loads out while a budget is looked at.
    pub write fn hold_loads() -> Option<Ledger> = "SELECT version FROM cost_ledger FOR UPDATE";

    /// Deletes what records without ids replace: of each billing month those from one
    /// day to another. Records of `hidden` loads do not count yet.
    pub write fn remove_spans(
        source: &str,
        billing_months: &[i64],
        first_days: &[i64],
        last_days: &[i64],
        hidden: &[String],
    ) -> Vec<Changed> =
        "WITH gone AS (DELETE FROM cost_records USING unnest($2::bigint[], $3::bigint[], \
         $4::bigint[]) AS span (billing_month, first_day, last_day) \
         WHERE cost_records.source = $1 AND cost_records.billing_month = span.billing_month \
         AND NOT cost_records.has_own_id AND (cost_records.charge_day IS NULL \
         OR cost_records.charge_day BETWEEN span.first_day AND span.last_day) \
         AND (cost_records.load_id IS NULL OR cost_records.load_id <> ALL ($5)) \
         RETURNING cost_records.month) \
         SELECT month, count(*) AS replaced FROM gone GROUP BY month";

    /// Deletes a billing period of a source, except records of `hidden` loads.
    pub write fn remove_period(
        source: &str,
        billing_month: i64,
        hidden: &[String],
    ) -> Vec<Changed> =
        "WITH gone AS (DELETE FROM cost_records WHERE source = $1 AND billing_month = $2 \
         AND (load_id IS NULL OR load_id <> ALL ($3)) RETURNING month) \
         SELECT month, count(*) AS replaced FROM gone GROUP BY month";

    /// Inserts rows; one with an id of its own replaces that of the same id. Answers
    /// the months of the new rows and of those that they replace. Each keeps the month of
    /// the latter: looked up by a query, Postgres, which has no statistics of a customer
    /// that is new among many, may read every row of the customer for every row.
    pub write fn put_records(
        source: &str,
        has_own_id: bool,
        load_id: Option<&str>,
        part: Option<i64>,
        row_ids: &[String],
        billing_months: &[i64],
        months: &[i64],
        charge_days: &[i64],
        currencies: &[String],
        services: &[String],
        accounts: &[String],
        providers: &[String],
        regions: &[String],
        charge_categories: &[String],
        tags: &[String],
        billed: &[String],
        effective: &[String],
        list: &[String],
        contracted: &[String],
        charged_until_micros: &[i64],
    ) -> Vec<Changed> =
        "WITH put AS (INSERT INTO cost_records (source, row_id, \
         has_own_id, load_id, part, billing_month, month, charge_day, currency, service, account, \
         provider, region, charge_category, tags, billed, effective, list, contracted, \
         charged_until) \
         SELECT $1, row_id, $2, $3::text, $4::bigint, billing_month, month, charge_day, currency, service, \
         account, provider, region, charge_category, tags::jsonb, \
         billed::numeric, effective::numeric, list::numeric, contracted::numeric, \
         CASE WHEN charged_until_micros > 0 \
         THEN to_timestamp(charged_until_micros::double precision / 1000000) END \
         FROM unnest($5::text[], $6::bigint[], $7::bigint[], $8::bigint[], $9::text[], \
         $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], \
         $16::text[], $17::text[], $18::text[], $19::text[], $20::bigint[]) \
         AS given (row_id, billing_month, month, charge_day, currency, service, account, \
         provider, region, charge_category, tags, billed, effective, list, contracted, \
         charged_until_micros) \
         ON CONFLICT (customer_id, source, row_id) DO UPDATE SET \
         month_before = cost_records.month, has_own_id = excluded.has_own_id, \
         load_id = excluded.load_id, part = excluded.part, \
         billing_month = excluded.billing_month, month = excluded.month, \
         charge_day = excluded.charge_day, currency = excluded.currency, \
         service = excluded.service, account = excluded.account, provider = excluded.provider, \
         region = excluded.region, charge_category = excluded.charge_category, \
         tags = excluded.tags, billed = excluded.billed, effective = excluded.effective, \
         list = excluded.list, contracted = excluded.contracted, \
         charged_until = excluded.charged_until RETURNING month, month_before) \
         SELECT month, sum(replaced)::bigint AS replaced FROM (SELECT month_before AS month, \
         1 AS replaced FROM put WHERE month_before IS NOT NULL \
         UNION ALL SELECT month, 0 FROM put) AS changed GROUP BY month";

    pub write fn remove_months(months: &[i64]) -> u64 =
        "DELETE FROM cost_months WHERE month = ANY ($1)";

    /// Sums months again, after [`remove_months`], without what `hidden` loads have
    /// brought. They are grouped by an `xid` too, which can be hashed and not sorted: to
    /// sort a million rows by their tags takes four times as long as all the rest.
    pub write fn sum_months(months: &[i64], hidden: &[String]) -> u64 =
        "INSERT INTO cost_months (month, currency, service, account, provider, region, \
         charge_category, tags, billed, effective, list, contracted, charged_until) \
         SELECT month, currency, service, account, provider, region, charge_category, tags, \
         sum(billed), sum(effective), sum(list), sum(contracted), max(charged_until) \
         FROM cost_records WHERE month = ANY ($1) AND (load_id IS NULL OR load_id <> ALL ($2)) \
         GROUP BY month, currency, service, account, provider, region, charge_category, tags, \
         '0'::xid";
}

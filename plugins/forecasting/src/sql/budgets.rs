//! Budgets and the alerts that were sent.

use hearth_plugin::prelude::*;
use hearth_plugin::sql::Numeric;

row! {
    #[derive(Clone, Debug)]
    pub struct Budget {
        id: String,
        version: i64,
        name: String,
        amount: Numeric,
        currency: String,
        metric: String,
        period: String,
        service: Option<String>,
        account: Option<String>,
        tag_key: Option<String>,
        tag_value: Option<String>,
        alert_actual: Vec<i64>,
        alert_forecast: Vec<i64>,
        created_at: Timestamp,
        updated_at: Timestamp,
    }

    pub struct Alert {
        period_start: i64,
        kind: String,
        threshold: i64,
        amount: Numeric,
        sent_at: Timestamp,
    }

    pub struct Threshold { threshold: i64 }

    /// What was written; no row where there is no room.
    pub struct Stamp { version: i64, created_at: Timestamp, updated_at: Timestamp }

    pub struct Sum { amount: Numeric }
}

sql! {
    /// All of the customer's, of which there are fifty at most, and some more where several
    /// were made in one instant.
    pub read fn budgets() -> Vec<Budget> =
        "SELECT id, version, name, amount, currency, metric, period, service, account, tag_key, \
         tag_value, alert_actual, alert_forecast, created_at, updated_at FROM budgets ORDER BY id \
         LIMIT 200";

    pub read fn budget_by_id(id: &str) -> Option<Budget> =
        "SELECT id, version, name, amount, currency, metric, period, service, account, tag_key, \
         tag_value, alert_actual, alert_forecast, created_at, updated_at FROM budgets \
         WHERE id = $1";

    pub write fn lock_budget(id: &str) -> Option<Budget> =
        "SELECT id, version, name, amount, currency, metric, period, service, account, tag_key, \
         tag_value, alert_actual, alert_forecast, created_at, updated_at FROM budgets \
         WHERE id = $1 FOR UPDATE";

    /// Makes or replaces a budget; no row where the customer has as many others as
    /// there may be.
    pub write fn put_budget(
        id: &str,
        name: &str,
        amount: &str,
        currency: &str,
        metric: &str,
        period: &str,
        service: Option<&str>,
        account: Option<&str>,
        tag_key: Option<&str>,
        tag_value: Option<&str>,
        alert_actual: &[i64],
        alert_forecast: &[i64],
        others_max: i64,
    ) -> Option<Stamp> =
        "INSERT INTO budgets (id, name, amount, currency, metric, period, service, account, \
         tag_key, tag_value, alert_actual, alert_forecast) \
         SELECT $1, $2, $3::text::numeric, $4, $5, $6, $7, $8, $9, $10, $11, $12 \
         WHERE (SELECT count(*) FROM (SELECT 1 AS one FROM budgets AS own \
         WHERE own.id <> $1 LIMIT $13) AS others) < $13 \
         ON CONFLICT (customer_id, id) DO UPDATE SET version = budgets.version + 1, \
         name = excluded.name, amount = excluded.amount, currency = excluded.currency, \
         metric = excluded.metric, period = excluded.period, service = excluded.service, \
         account = excluded.account, tag_key = excluded.tag_key, tag_value = excluded.tag_value, \
         alert_actual = excluded.alert_actual, alert_forecast = excluded.alert_forecast, \
         updated_at = now() RETURNING version, created_at, updated_at";

    pub write fn delete_budget(id: &str) -> u64 = "DELETE FROM budgets WHERE id = $1";

    /// The alerts of a period.
    pub read fn alerts(budget_id: &str, period_start: i64) -> Vec<Alert> =
        "SELECT period_start, kind, threshold, amount, sent_at FROM budget_alerts \
         WHERE budget_id = $1 AND period_start = $2 ORDER BY kind, threshold";

    /// Forgets the alerts of a budget that has become another.
    pub write fn forget_alerts(budget_id: &str) -> u64 =
        "DELETE FROM budget_alerts WHERE budget_id = $1";

    /// The exact sum of decimals.
    pub read fn sum(amounts: &[String]) -> Sum =
        "SELECT trim_scale(coalesce(sum(amount::numeric), 0)) AS amount \
         FROM unnest($1::text[]) AS given (amount)";

    /// Returns the thresholds (percent of a budget) that an amount has reached and that
    /// were not reported in this period, and records them as reported.
    pub write fn reach(
        budget_id: &str,
        period_start: i64,
        kind: &str,
        amount: &Numeric,
        budget: &Numeric,
        thresholds: &[i64],
    ) -> Vec<Threshold> =
        "INSERT INTO budget_alerts (budget_id, period_start, kind, threshold, amount) \
         SELECT $1, $2, $3, threshold, $4::numeric FROM unnest($6::bigint[]) AS given (threshold) \
         WHERE $4::numeric * 100 >= $5::numeric * threshold \
         ON CONFLICT (customer_id, budget_id, period_start, kind, threshold) DO NOTHING \
         RETURNING threshold";
}

//! Reading sums of months.

use hearth_plugin::prelude::*;
use hearth_plugin::sql::Numeric;

row! {
    pub struct Currency { currency: String }

    /// Until when the charges of a month reach, if they say so.
    pub struct Coverage { month: i64, charged_until: Option<Timestamp> }

    pub struct MonthSum { month: i64, amount: Numeric }

    /// The sum of a group in a month; of all groups past the largest where it has no
    /// name.
    pub struct GroupSum { month: i64, name: Option<String>, amount: Numeric }
}

sql! {
    /// The first few currencies: who has more than one has to say which. Each is looked up
    /// after the one before it, for DISTINCT reads every month of the customer.
    pub read fn currencies() -> Vec<Currency> =
        "WITH RECURSIVE own AS ((SELECT currency FROM cost_months ORDER BY currency LIMIT 1) \
         UNION ALL SELECT (SELECT next.currency FROM cost_months AS next \
         WHERE next.currency > own.currency ORDER BY next.currency LIMIT 1) \
         FROM own WHERE own.currency IS NOT NULL) \
         SELECT currency FROM own WHERE currency IS NOT NULL LIMIT 10";

    /// The last few months up to one.
    pub read fn coverage(currency: &str, until: i64) -> Vec<Coverage> =
        "SELECT month, max(charged_until) AS charged_until FROM cost_months \
         WHERE currency = $1 AND month <= $2 GROUP BY month ORDER BY month DESC LIMIT 4";

    /// What each month of which costs are known cost; of a service, an account or a tag
    /// where they are given, and nothing where those had none.
    pub read fn totals(
        metric: &str,
        currency: &str,
        from: i64,
        until: i64,
        service: Option<&str>,
        account: Option<&str>,
        tag_key: Option<&str>,
        tag_value: Option<&str>,
    ) -> Vec<MonthSum> =
        "SELECT month, trim_scale(coalesce(sum(CASE $1::text WHEN 'EffectiveCost' THEN effective \
         WHEN 'ListCost' THEN list WHEN 'ContractedCost' THEN contracted ELSE billed END) \
         FILTER (WHERE ($5::text IS NULL OR service = $5) AND ($6::text IS NULL OR account = $6) \
         AND ($7::text IS NULL OR tags ->> $7 = $8)), 0)) AS amount \
         FROM cost_months WHERE currency = $2 AND month BETWEEN $3 AND $4 \
         GROUP BY month ORDER BY month";

    /// The same by a column or a tag: the largest since `recent` by name, the others
    /// together.
    pub read fn by_group(
        metric: &str,
        currency: &str,
        from: i64,
        until: i64,
        group_by: &str,
        tag: &str,
        recent: i64,
        groups: i64,
    ) -> Vec<GroupSum> =
        "WITH sums AS (SELECT month, CASE $5::text WHEN 'service' THEN service \
         WHEN 'account' THEN account WHEN 'provider' THEN provider WHEN 'region' THEN region \
         WHEN 'charge_category' THEN charge_category ELSE coalesce(tags ->> $6::text, '') END AS name, \
         sum(CASE $1::text WHEN 'EffectiveCost' THEN effective WHEN 'ListCost' THEN list \
         WHEN 'ContractedCost' THEN contracted ELSE billed END) AS amount \
         FROM cost_months WHERE currency = $2 AND month BETWEEN $3 AND $4 GROUP BY 1, 2), \
         places AS (SELECT name, row_number() OVER (ORDER BY \
         sum(abs(amount)) FILTER (WHERE month >= $7) DESC NULLS LAST, sum(abs(amount)) DESC, name) \
         AS place FROM sums GROUP BY name) \
         SELECT sums.month, CASE WHEN places.place <= $8 THEN sums.name END AS name, \
         trim_scale(sum(sums.amount)) AS amount FROM sums \
         JOIN places ON places.name = sums.name GROUP BY 1, 2 ORDER BY 1, 2";
}

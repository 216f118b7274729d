//! Loads that come in parts.

use hearth_plugin::prelude::*;

row! {
    /// A load in parts; what its last part was answered, once it is finished.
    pub struct Load { id: String, answer: Option<Json> }

    pub struct LoadId { id: String }

    pub struct PartNumber { part: i64 }

    /// The received parts of a load: the last of them, and their records.
    pub struct Received { last: i64, records: i64 }

    /// From when to when the records of a billing period charge, in days since 1970.
    pub struct Span { billing_month: i64, first_day: i64, last_day: i64 }

    pub struct LoadMonth { month: i64 }
}

sql! {
    pub read fn load_by_name(source: &str, name: &str) -> Option<Load> =
        "SELECT id, answer FROM cost_loads WHERE source = $1 AND name = $2";

    /// The unfinished loads, the most recently used first. A customer has no more of
    /// them than the limit (`records::part`).
    pub read fn unfinished_loads() -> Vec<LoadId> =
        "SELECT id FROM cost_loads WHERE answer IS NULL \
         ORDER BY touched_at DESC, id DESC LIMIT 100";

    pub write fn put_load(id: &str, source: &str, name: &str) -> u64 =
        "INSERT INTO cost_loads (id, source, name) VALUES ($1, $2, $3)";

    pub write fn touch_load(id: &str) -> u64 =
        "UPDATE cost_loads SET touched_at = now() WHERE id = $1";

    pub write fn finish_load(id: &str, answer: &Json) -> u64 =
        "UPDATE cost_loads SET answer = $2 WHERE id = $1";

    pub write fn delete_load(id: &str) -> u64 = "DELETE FROM cost_loads WHERE id = $1";

    /// Forgets the names of loads that were finished more than a day ago, a few at a time;
    /// their records stay.
    pub write fn forget_finished_loads() -> u64 =
        "DELETE FROM cost_loads WHERE id IN (SELECT id FROM cost_loads \
         WHERE answer IS NOT NULL AND touched_at < now() - interval '1 day' \
         ORDER BY touched_at LIMIT 500)";

    pub write fn delete_load_records(id: &str) -> u64 =
        "DELETE FROM cost_records WHERE load_id = $1";

    pub write fn put_part(load_id: &str, part: i64, records: i64) -> u64 =
        "INSERT INTO cost_load_parts (load_id, part, records) VALUES ($1, $2, $3) \
         ON CONFLICT (customer_id, load_id, part) DO UPDATE SET records = excluded.records";

    pub write fn delete_part_records(load_id: &str, part: i64) -> u64 =
        "DELETE FROM cost_records WHERE load_id = $1 AND part = $2";

    pub read fn received(load_id: &str) -> Received =
        "SELECT coalesce(max(part), 0) AS last, coalesce(sum(records), 0)::bigint AS records \
         FROM cost_load_parts WHERE load_id = $1";

    /// The first parts up to a last one that did not come.
    pub read fn missing_parts(load_id: &str, last: i64) -> Vec<PartNumber> =
        "SELECT wanted.part FROM generate_series(1::bigint, $2) AS wanted (part) \
         WHERE NOT EXISTS (SELECT 1 FROM cost_load_parts AS own \
         WHERE own.load_id = $1 AND own.part = wanted.part) ORDER BY wanted.part LIMIT 20";

    pub read fn load_spans(load_id: &str) -> Vec<Span> =
        "SELECT billing_month, min(charge_day) AS first_day, max(charge_day) AS last_day \
         FROM cost_records WHERE load_id = $1 GROUP BY billing_month ORDER BY billing_month";

    pub read fn load_months(load_id: &str) -> Vec<LoadMonth> =
        "SELECT DISTINCT month FROM cost_records WHERE load_id = $1";
}

//! Rows by the million, written as the tables' owner: nobody waits for a million requests.
//! Keys that refer to other tables are not checked; they hold by how the rows are made.

use futures_util::stream::{StreamExt, iter};
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::harness::host::Host;

/// Rows of one transaction.
const EACH: u64 = 100_000;
/// Notifications of one request, and such requests at once.
const TOLD: u64 = 1_000;
const AT_ONCE: usize = 4;

/// Whose rows they are.
#[derive(Clone, Copy)]
pub enum Owner<'c> {
    One(&'c str),
    /// Customers who come in turn.
    Many(u64),
}

impl Owner<'_> {
    /// As an expression about the number of a row.
    fn sql(self) -> String {
        match self {
            Owner::One(customer) => format!("'{customer}'"),
            Owner::Many(customers) => format!("'other-' || n % {customers}"),
        }
    }
}

/// The id of a row that was filled in, by its number.
pub fn id(kind: &str, number: u64) -> String {
    format!("{kind}_{}-8000-{number:012x}", IDS)
}

/// They sort by their numbers.
const IDS: &str = "018bcfe5-6800-7000";

fn id_sql(kind: &str) -> String {
    format!("'{kind}_{IDS}-8000-' || lpad(to_hex(n), 12, '0')")
}

/// Rows of these numbers, from `from` to before `to`, statement for statement.
async fn fill(
    client: &Client,
    from: u64,
    to: u64,
    whose: Owner<'_>,
    rows: impl Fn(u64, u64) -> String,
) {
    let whose = whose.sql();
    let session = "SET session_replication_role = replica; SET synchronous_commit = off";
    client.batch_execute(session).await.unwrap();
    let mut first = from;
    while first < to {
        let last = (first + EACH).min(to) - 1;
        let made = format!(
            "BEGIN; CREATE TEMPORARY TABLE made ON COMMIT DROP AS SELECT n, {whose} AS customer_id \
             FROM generate_series({first}::bigint, {last}) AS n; {}; COMMIT",
            rows(first, last)
        );
        client.batch_execute(&made).await.unwrap();
        first = last + 1;
    }
}

/// Tickets with all that belongs to them, the last one a second old.
pub async fn tickets(client: &Client, whose: Owner<'_>, from: u64, to: u64) {
    let id = id_sql("tkt");
    let rows = |_, last| {
        format!(
            "SET LOCAL search_path = plugin_tickets;
            INSERT INTO tickets (customer_id, id, status, subject, description, assignee, tags,
                external_id, created_at, updated_at, search, folded)
            SELECT customer_id, {id}, (ARRAY['new', 'open', 'pending', 'hold', 'solved'])[1 + n % 5],
                'subject', 'word' || n % 100, 'agent' || n % 50, ARRAY['tag' || n % 30], 'x' || n,
                now() - ({to} - n) * interval '1 second', now() - ({to} - n) * interval '1 second',
                array_to_tsvector(ARRAY['subject', 'word' || n % 100]), true
            FROM made;
            INSERT INTO ticket_tags (customer_id, tag, ticket_id)
            SELECT customer_id, 'tag' || n % 30, {id} FROM made ORDER BY n % 30, n;
            INSERT INTO ticket_terms (customer_id, term, ticket_id)
            SELECT customer_id, 'subject', {id} FROM made UNION ALL
            SELECT customer_id, 'word' || n % 100, {id} FROM made ORDER BY 2, 3;
            INSERT INTO ticket_changes (customer_id, ticket_id, position)
            SELECT customer_id, {id}, n + 1 FROM made;
            INSERT INTO ticket_feeds (customer_id, position)
            SELECT DISTINCT customer_id, {last} + 1 FROM made
            ON CONFLICT (customer_id) DO UPDATE SET position = excluded.position;
            INSERT INTO ticket_comments (customer_id, id, ticket_id, public, body, author, by_agent)
            SELECT customer_id, {}, {id}, true, 'It prints in green.', 'key', false FROM made;
            INSERT INTO ticket_audits (customer_id, id, ticket_id, public, events, author, by_agent)
            SELECT customer_id, {}, {id}, true, '[{{\"type\": \"create\"}}]', 'key', false FROM made;
            INSERT INTO ticket_clocks (customer_id, ticket_id, started_at, running_since,
                elapsed_micros, check_at, due_at)
            SELECT customer_id, {id}, now(), now(), 0, now() + interval '1 year',
                now() + interval '1 year' FROM made",
            id_sql("cmt"),
            id_sql("aud")
        )
    };
    fill(client, from, to, whose, rows).await;
}

/// Events that were delivered to an endpoint within a month, one in fifty in vain.
pub async fn events(client: &Client, whose: Owner<'_>, endpoint: &str, from: u64, to: u64) {
    let (id, attempt) = (id_sql("evt"), id_sql("att"));
    let at = format!("now() - ({to} - n) * interval '30 days' / {to}");
    let rows = |_, _| {
        format!(
            "SET LOCAL search_path = plugin_webhooks;
            INSERT INTO events (customer_id, id, type, body, occurred_at, created_at)
            SELECT customer_id, {id}, 'type' || n % 20, '{{\"type\": \"type\"}}', {at}, {at} FROM made;
            INSERT INTO deliveries (customer_id, event_id, endpoint_id, status, attempts, due_at,
                created_at, ended_at)
            SELECT customer_id, {id}, '{endpoint}',
                CASE WHEN n % 50 = 0 THEN 'failed' ELSE 'delivered' END, 1, {at}, {at}, {at} FROM made;
            INSERT INTO attempts (customer_id, id, event_id, endpoint_id, number, started_at,
                duration_ms, outcome, status, response)
            SELECT customer_id, {attempt}, {id}, '{endpoint}', 1, {at}, 3,
                CASE WHEN n % 50 = 0 THEN 'status' ELSE 'delivered' END,
                CASE WHEN n % 50 = 0 THEN 500 ELSE 204 END, '' FROM made;
            INSERT INTO attempt_counts (customer_id, endpoint_id, hour, part, delivered, failed,
                duration_ms_sum, duration_ms_max)
            SELECT customer_id, '{endpoint}', date_trunc('hour', {at}), n % 16,
                count(*), 0, 3 * count(*), 3 FROM made GROUP BY 1, 2, 3, 4
            ON CONFLICT (customer_id, endpoint_id, hour, part)
            DO UPDATE SET delivered = attempt_counts.delivered + excluded.delivered"
        )
    };
    fill(client, from, to, whose, rows).await;
}

/// Notifications in the customer's own inbox, through the plugin. Answers one's id.
pub async fn notifications(host: &Host, key: &str, count: u64) -> String {
    let new = |number| {
        json!({"title": format!("Build {number}"), "category": format!("category-{}", number % 10),
            "body": "It is done."})
    };
    let told = (0..count)
        .step_by(usize::try_from(TOLD).unwrap())
        .map(|from| {
            let all: Vec<Value> = (from..count.min(from + TOLD)).map(new).collect();
            let request = host.post("/notifications", key);
            let request = request.json(&json!({"notifications": all}));
            async {
                let answer = request.send().await.unwrap().error_for_status().unwrap();
                let told: Value = answer.json().await.unwrap();
                told["results"][0]["id"].as_str().unwrap().to_string()
            }
        });
    let ids = iter(told).buffer_unordered(AT_ONCE).collect::<Vec<_>>();
    ids.await.pop().unwrap()
}

/// The customer of that name, as the tables know it.
pub async fn customer(client: &Client, name: &str) -> String {
    let text = "SELECT id FROM hearth.customers WHERE name = $1";
    client.query_one(text, &[&name]).await.unwrap().get(0)
}

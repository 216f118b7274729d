//! What the requests of tickets cost, as counts: the same for a customer with a
//! hundred tickets and one with a hundred thousand, and whether its tables were ever
//! analysed or not.
//!
//! Each budget says what spends it. Where a change needs more, the failure shows the
//! statement or table that spends it.

use std::cell::Cell;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::{Support, id};
use crate::harness::fleet::Fleet;
use crate::harness::meter::{Budget, Measured, Meter, budget, clock_at};
use crate::harness::postgres::Cluster;

/// A second before the ticket after it, the last one now; and the milliseconds of that
/// instant, as ids have them.
const MADE_AT: &str = "now() - (last - n) * interval '1 second'";
const MADE_MS: &str = "lpad(to_hex(floor(extract(epoch FROM now()) * 1000)::bigint \
    - (last - n) * 1000), 12, '0')";

/// So many tickets of the customer who has one, from one number to another, with all
/// that belongs to them. Keys are not checked: they hold by how the rows are made.
async fn fill(cluster: &Cluster, from: i64, to: i64) {
    let rows = format!(
        "SET search_path = plugin_tickets; SET session_replication_role = replica;
        SET synchronous_commit = off;
        CREATE TEMPORARY TABLE made AS SELECT n, {MADE_AT} AS at,
            'tkt_' || overlay({MADE_MS} PLACING '-' FROM 9 FOR 0) || '-7000-8000-'
            || lpad(to_hex(n), 12, '0') AS id,
            customer_id FROM generate_series({from}, {to}) AS n, (SELECT {to} AS last) AS end_of,
            (SELECT min(customer_id) AS customer_id FROM tickets) AS customer;
        INSERT INTO tickets (customer_id, id, status, priority, type, subject, description,
            assignee, tags, external_id, created_at, updated_at, search, folded)
        SELECT customer_id, id, (ARRAY['new', 'open', 'pending', 'hold', 'solved'])[1 + n % 5],
            (ARRAY['low', 'normal', 'high', 'urgent'])[1 + n % 4], 'type' || n % 10,
            'subject', 'word' || n % 100, CASE WHEN n % 10 > 0 THEN 'agent' || n % 50 END,
            ARRAY['tag' || n % 30], 'x' || n, at, at,
            array_to_tsvector(ARRAY['subject', 'word' || n % 100]), true FROM made;
        INSERT INTO ticket_tags (customer_id, tag, ticket_id)
        SELECT customer_id, 'tag' || n % 30, id FROM made ORDER BY n % 30, id;
        INSERT INTO ticket_terms (customer_id, term, ticket_id)
        SELECT customer_id, 'subject', id FROM made UNION ALL
        SELECT customer_id, 'word' || n % 100, id FROM made ORDER BY 2, 3;
        INSERT INTO ticket_changes (customer_id, ticket_id, position)
        SELECT customer_id, id, n FROM made;
        INSERT INTO ticket_feeds (customer_id, position) SELECT min(customer_id), {to} FROM made
        ON CONFLICT (customer_id) DO UPDATE SET position = excluded.position;
        INSERT INTO ticket_audits (customer_id, id, ticket_id, public, events, author, by_agent)
        SELECT customer_id, 'aud_0' || n, id, true, '[]', 'key', false FROM made;
        INSERT INTO ticket_clocks (customer_id, ticket_id, started_at, running_since,
            elapsed_micros, check_at, due_at)
        SELECT customer_id, id, now(), now(), 0, now() + n * interval '1 hour',
            now() + n * interval '1 hour' FROM made"
    );
    let client = cluster.connect(None).await;
    client.batch_execute(&rows).await.unwrap();
}

/// The instant so many seconds ago.
fn ago(seconds: i64) -> String {
    let now = jiff::Timestamp::now();
    (now - jiff::SignedDuration::from_secs(seconds)).to_string()
}

fn new_ticket() -> Value {
    json!({"subject": "Printer", "description": "It prints in green.", "tags": ["colour"]})
}

fn get<'r>(support: &'r Support, name: &'static str, path: &str, budget: Budget) -> Measured<'r> {
    let path = format!("/support/tickets{path}");
    Measured {
        name,
        budget,
        request: Box::new(move || support.host.get(&path, &support.key)),
    }
}

/// Lists, which are read all day. Of a page one row more is read, to know whether there
/// is another; where it is of one tag or word, as many entries and tickets. Without
/// statistics a table of a hundred rows is as good read whole. Whoever reads a page may
/// tidy it, which is a few bytes of log.
fn listing(support: &Support) -> Vec<Measured<'_>> {
    let get = |name, path: &str, budget| get(support, name, path, budget);
    vec![
        get("list", "?limit=20", budget(1, 21, 30, 100)),
        get(
            "list by update",
            "?status=open&sort=-updated_at&limit=20",
            budget(1, 21, 30, 100),
        ),
        get(
            "list of a tag",
            "?tag=tag7&limit=20",
            budget(1, 110, 110, 100),
        ),
        // Of each status one page is read for each priority.
        get(
            "list by status",
            "?status=open&limit=20",
            budget(1, 84, 110, 100),
        ),
        get(
            "list by statuses and priorities",
            "?status=open,new&priority=high,urgent&limit=20",
            budget(1, 84, 110, 100),
        ),
        get(
            "list of a type",
            "?type=type7&limit=20",
            budget(1, 110, 40, 100),
        ),
        get(
            "list of the unassigned",
            "?unassigned=true&limit=20",
            budget(1, 110, 40, 100),
        ),
        get("look-up", "?external_id=x77", budget(2, 2, 20, 100)),
        get(
            "list by priority",
            "?status=open&sort=-priority&limit=20",
            budget(1, 84, 110, 100),
        ),
        // One page for each status and priority.
        get(
            "list by priority of all",
            "?sort=-priority&limit=20",
            budget(1, 504, 600, 100),
        ),
        get(
            "list by due time",
            "?sort=due_at&limit=20",
            budget(1, 42, 110, 100),
        ),
        get(
            "list since",
            &format!("?created_since={}&limit=20", ago(3_600)),
            budget(1, 21, 40, 100),
        ),
        // Up to a thousand are looked up and put into the order.
        get(
            "list of what changed",
            &format!("?updated_since={}&limit=20", ago(60)),
            budget(2, 300, 600, 100),
        ),
        // Where it is more, the order leads along them: one in thirty has the tag.
        get(
            "list of a tag by update",
            "?tag=tag7&sort=-updated_at&limit=20",
            budget(2, 1_700, 1_100, 100),
        ),
    ]
}

/// One ticket with what belongs to it, what is found by words, and the feed.
fn reading<'r>(support: &'r Support, id: &str) -> Vec<Measured<'r>> {
    let get = |name, path: &str, budget| get(support, name, path, budget);
    vec![
        get("read", &format!("/{id}"), budget(1, 1, 8, 100)),
        // The words that begin so are 11, and a page is read of each.
        get("search", "?q=word7&limit=20", budget(2, 600, 1_200, 100)),
        // The rarer word leads, and what it leads to is held against the other. Before, the
        // words are counted, up to 5,000 tickets of each.
        get(
            "search for two",
            "?q=subject+word77&limit=20",
            budget(2, 6_100, 700, 100),
        ),
        get("clocks", &format!("/{id}/sla"), budget(1, 2, 20, 100)),
        get(
            "comments",
            &format!("/{id}/comments"),
            budget(2, 2, 16, 100),
        ),
        get("audits", &format!("/{id}/audits"), budget(2, 105, 40, 100)),
        // Each place in the feed with its ticket.
        get("changes", "/changes?limit=20", budget(2, 45, 120, 100)),
    ]
}

/// What is written all day.
fn writing<'r>(support: &'r Support, id: &str) -> Vec<Measured<'r>> {
    let (ticket, comments) = (
        format!("/support/tickets/{id}"),
        format!("/support/tickets/{id}/comments"),
    );
    let is_open = Cell::new(false);
    let change = move || {
        let status = if is_open.get() { "pending" } else { "open" };
        is_open.set(!is_open.get());
        let request = support.host.request(Method::PATCH, &ticket, &support.agent);
        request.json(&json!({"status": status}))
    };
    let measured = |name, budget, request: Box<dyn Fn() -> RequestBuilder + 'r>| Measured {
        name,
        budget,
        request,
    };
    vec![
        // The ticket in its five indexes, its five words, its tag, an audit, its clocks
        // and its place in the feed, each with its own indexes: a statement for each of the
        // six tables, in one round trip. Nothing is read.
        measured(
            "create",
            budget(6, 0, 130, 7_000),
            Box::new(move || {
                let request = support.host.post("/support/tickets", &support.key);
                request.json(&new_ticket())
            }),
        ),
        // The ticket is locked and written; its clocks are read with the policy, and
        // written; an audit; the place in the feed.
        measured(
            "change of status",
            budget(6, 10, 100, 3_500),
            Box::new(change),
        ),
        // The ticket is locked; the comment and its audit; the ticket's version and its
        // place in the feed.
        measured(
            "comment",
            budget(5, 6, 80, 4_000),
            Box::new(move || {
                let request = support.host.post(&comments, &support.key);
                request.json(&json!({"body": "And it smokes."}))
            }),
        ),
    ]
}

/// What of the requests costs more than it may.
async fn excess(support: &Support, meter: &Meter, state: &str) -> Vec<String> {
    let made = support.create(new_ticket()).await;
    let id = id(&made);
    let mut excess = meter.excess(&listing(support), state).await;
    excess.extend(meter.excess(&reading(support, id), state).await);
    excess.extend(meter.excess(&writing(support, id), state).await);
    excess
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_cost_the_same_at_a_hundred_and_at_a_hundred_thousand_tickets() {
    let (mut fleet, folder) = (Fleet::start().await, tempfile::tempdir().unwrap());
    Meter::prepare(&mut fleet.cluster).await;
    // Clocks are reviewed at 17 minutes past.
    let clock = clock_at(30, folder.path());
    let host = fleet.host(|setup| setup.tickets().env("HEARTH_CLOCK_FILE", &clock));
    let key = host.key("acme", &[]);
    let agent = host.key("acme", &["--scope", "customer", "--scope", "agent"]);
    let support = Support { host, key, agent };
    let meter = Meter::of(&fleet.cluster, "tickets").await;
    support.create(new_ticket()).await;
    fill(&fleet.cluster, 1, 100).await;
    let mut over = excess(&support, &meter, "a hundred tickets").await;
    fill(&fleet.cluster, 101, 100_000).await;
    over.extend(excess(&support, &meter, "a hundred thousand, never analysed").await);
    let database = fleet.cluster.connect(None).await;
    database.batch_execute("ANALYZE").await.unwrap();
    over.extend(excess(&support, &meter, "a hundred thousand, analysed").await);
    assert!(over.is_empty(), "{}", over.join("\n"));
}

//! What tickets have that were made before there were words, feeds and unique
//! external ids.

use crate::harness::postgres::Cluster;

const FIRST: &str = include_str!("../../plugins/tickets/migrations/0001_tickets.sql");
const SECOND: &str =
    include_str!("../../plugins/tickets/migrations/0002_finding_and_following.sql");

#[tokio::test]
async fn older_tickets_are_found_followed_and_told_apart() {
    let cluster = Cluster::start().await;
    let client = cluster.connect(None).await;
    let rows = "INSERT INTO tickets (customer_id, id, subject, description, external_id) VALUES
        ('acme', 'tkt_1', 'Red printer', 'smokes', 'crm'),
        ('acme', 'tkt_2', 'Red printer again', 'red red', 'crm'),
        ('acme', 'tkt_3', 'Other', 'x', NULL), ('bolt', 'tkt_4', 'Other', 'x', 'crm')";
    for sql in ["CREATE SCHEMA p; SET search_path = p", FIRST, rows, SECOND] {
        client.batch_execute(sql).await.unwrap();
    }
    let texts = async |sql: &str| -> Vec<String> {
        let rows = client.query(sql, &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    };
    let words = "SELECT ticket_id FROM ticket_terms WHERE term = 'red' ORDER BY 1";
    assert_eq!(texts(words).await, ["tkt_1", "tkt_2"]);
    let ids = "SELECT external_id FROM tickets WHERE external_id IS NOT NULL ORDER BY id";
    assert_eq!(texts(ids).await, ["crm", "crm#tkt_2", "crm"]);
    let changes = "SELECT ticket_id FROM ticket_changes WHERE position IS NULL ORDER BY 1";
    assert_eq!(texts(changes).await, ["tkt_1", "tkt_2", "tkt_3", "tkt_4"]);
}

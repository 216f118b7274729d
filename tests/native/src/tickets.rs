//! Tickets of one customer, in the rows that the plugin writes: the ticket, its audit, its
//! words, its place in the feed, its clocks, and a message for each of two queues; in one
//! transaction and one round trip, with the session's customer set before.

use std::str::FromStr;
use std::time::SystemTime;

use anyhow::Context;
use bytes::Bytes;
use deadpool_postgres::{Client, Manager, ManagerConfig, Pool, RecyclingMethod};
use futures_util::join;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Config, NoTls, Row, Statement};
use uuid::Uuid;

/// As many as the host gives one plugin.
const CONNECTIONS_MAX: usize = 8;

/// As the host has its sessions plan.
const SESSION: &str = "-c search_path=native -c TimeZone=UTC -c enable_seqscan=off \
    -c enable_bitmapscan=off -c max_parallel_workers_per_gather=0";

const CUSTOMER: &str = "SET hearth.customer_id = 'c1'";
const BEGIN: &str = "BEGIN; SET LOCAL hearth.customer_id = 'c1'";

const TICKET: &str = "INSERT INTO tickets (id, priority, subject, description, created_at, \
    updated_at) VALUES ($1, $2, $3, $4, $5, $5)";
const AUDIT: &str = "INSERT INTO ticket_audits (id, ticket_id, public, events, author, by_agent, \
    created_at) VALUES ($1, $2, true, '[{\"type\": \"create\"}]', 'native', false, $3)";
const TERMS: &str = "INSERT INTO ticket_terms (term, ticket_id) SELECT lexeme, $1 \
    FROM unnest(to_tsvector('simple', $2::text || ' ' || $3::text))";
const CHANGE: &str = "INSERT INTO ticket_changes (ticket_id) VALUES ($1)";
const CLOCKS: &str = "INSERT INTO ticket_clocks (ticket_id, started_at, running_since, \
    elapsed_micros, first_response_target_minutes, first_response_due_at, \
    first_response_warn_at, resolution_target_minutes, resolution_due_at, resolution_warn_at, \
    check_at) VALUES ($1, $2, $2, 0, 480, $2::timestamptz + interval '8 hours', \
    $2::timestamptz + interval '7 hours', 2400, $2::timestamptz + interval '40 hours', \
    $2::timestamptz + interval '36 hours', $2::timestamptz + interval '7 hours')";
const MESSAGES: &str = "INSERT INTO outbox (id, queue, group_key, body, sent_at) \
    VALUES ($1, 'webhook-events', $3, $4, $5), ($2, 'notification-events', $3, $4, $5)";
const READ: &str = "SELECT id, version, status, priority, type, subject, description, assignee, \
    external_id, tags, custom_fields, satisfaction, satisfaction_comment, merged_into, \
    created_at, updated_at, solved_at FROM tickets WHERE id = $1";

type Parameter<'p> = &'p (dyn ToSql + Sync);

/// What a client says of a new ticket.
#[derive(Deserialize)]
struct Wish {
    subject: String,
    description: String,
    priority: String,
}

#[derive(Serialize)]
struct Ticket {
    id: String,
    ticket_id: String,
    version: i64,
    status: String,
    priority: String,
    r#type: Option<String>,
    subject: String,
    description: String,
    assignee: Option<String>,
    external_id: Option<String>,
    tags: Vec<String>,
    custom_fields: Value,
    satisfaction: Option<String>,
    satisfaction_comment: Option<String>,
    merged_into: Option<String>,
    created_at: String,
    updated_at: String,
    solved_at: Option<String>,
}

pub struct Tickets {
    pool: Pool,
}

impl Tickets {
    pub fn open(url: &str) -> anyhow::Result<Tickets> {
        let mut config = Config::from_str(url)?;
        config.options(SESSION);
        let recycling_method = RecyclingMethod::Fast;
        let manager = Manager::from_config(config, NoTls, ManagerConfig { recycling_method });
        let pool = Pool::builder(manager).max_size(CONNECTIONS_MAX).build()?;
        Ok(Tickets { pool })
    }

    /// Answers the ticket, once it is durable.
    pub async fn create(&self, body: &[u8]) -> anyhow::Result<Bytes> {
        let (wish, now): (Wish, _) = (serde_json::from_slice(body)?, SystemTime::now());
        let ticket = Ticket::new(wish, now)?;
        let event = ticket.event()?;
        let client = self.pool.get().await?;
        let inserts = Inserts::prepare(&client).await?;
        inserts.send(&client, &ticket, &event, now).await?;
        Ok(serde_json::to_vec(&ticket)?.into())
    }

    pub async fn read(&self, id: &str) -> anyhow::Result<Option<Bytes>> {
        let client = self.pool.get().await?;
        let read = client.prepare_cached(READ).await?;
        let (set, found) = join!(client.batch_execute(CUSTOMER), async {
            client.query_opt(&read, &[&id]).await
        });
        set?;
        let Some(row) = found? else {
            return Ok(None);
        };
        Ok(Some(serde_json::to_vec(&Ticket::of_row(&row)?)?.into()))
    }
}

/// The statements of one ticket, as one session has them prepared.
struct Inserts {
    ticket: Statement,
    audit: Statement,
    terms: Statement,
    change: Statement,
    clocks: Statement,
    messages: Statement,
}

impl Inserts {
    async fn prepare(client: &Client) -> Result<Inserts, tokio_postgres::Error> {
        Ok(Inserts {
            ticket: client.prepare_cached(TICKET).await?,
            audit: client.prepare_cached(AUDIT).await?,
            terms: client.prepare_cached(TERMS).await?,
            change: client.prepare_cached(CHANGE).await?,
            clocks: client.prepare_cached(CLOCKS).await?,
            messages: client.prepare_cached(MESSAGES).await?,
        })
    }

    /// Each is sent when it is polled first, so all of them go out together.
    async fn send(
        &self,
        client: &Client,
        ticket: &Ticket,
        event: &[u8],
        now: SystemTime,
    ) -> Result<(), tokio_postgres::Error> {
        let (id, subject, description) = (&ticket.id, &ticket.subject, &ticket.description);
        let (audit_id, ids) = (new_id("aud"), [Uuid::new_v4(), Uuid::new_v4()]);
        let made: [Parameter; 5] = [id, &ticket.priority, subject, description, &now];
        let audited: [Parameter; 3] = [&audit_id, id, &now];
        let found: [Parameter; 3] = [id, subject, description];
        let (placed, timed): ([Parameter; 1], [Parameter; 2]) = ([id], [id, &now]);
        let told: [Parameter; 5] = [&ids[0], &ids[1], id, &event, &now];
        let written = join!(
            client.batch_execute(BEGIN),
            client.execute(&self.ticket, &made),
            client.execute(&self.audit, &audited),
            client.execute(&self.terms, &found),
            client.execute(&self.change, &placed),
            client.execute(&self.clocks, &timed),
            client.execute(&self.messages, &told),
            client.batch_execute("COMMIT"),
        );
        let (begun, made, audited, found, placed, timed, told, committed) = written;
        begun?;
        for written in [made, audited, found, placed, timed, told] {
            written?;
        }
        committed
    }
}

impl Ticket {
    fn new(wish: Wish, now: SystemTime) -> anyhow::Result<Ticket> {
        let (id, at) = (new_id("tkt"), text(now)?);
        let priority = match wish.priority.as_str() {
            "medium" => "normal".into(),
            _ => wish.priority,
        };
        Ok(Ticket {
            ticket_id: id.clone(),
            id,
            version: 1,
            status: "new".into(),
            priority,
            r#type: None,
            subject: wish.subject,
            description: wish.description,
            assignee: None,
            external_id: None,
            tags: Vec::new(),
            custom_fields: json!({}),
            satisfaction: None,
            satisfaction_comment: None,
            merged_into: None,
            created_at: at.clone(),
            updated_at: at,
            solved_at: None,
        })
    }

    /// What others are told of it.
    fn event(&self) -> anyhow::Result<Vec<u8>> {
        let event = json!({"event_id": new_id("evt"), "type": "ticket.created",
            "occurred_at": &self.created_at, "data": {"ticket": self, "truncated": []}});
        Ok(serde_json::to_vec(&event)?)
    }

    fn of_row(row: &Row) -> anyhow::Result<Ticket> {
        let id: String = row.try_get(0)?;
        let solved_at: Option<SystemTime> = row.try_get(16)?;
        Ok(Ticket {
            ticket_id: id.clone(),
            id,
            version: row.try_get(1)?,
            status: row.try_get(2)?,
            priority: row.try_get(3)?,
            r#type: row.try_get(4)?,
            subject: row.try_get(5)?,
            description: row.try_get(6)?,
            assignee: row.try_get(7)?,
            external_id: row.try_get(8)?,
            tags: row.try_get(9)?,
            custom_fields: row.try_get(10)?,
            satisfaction: row.try_get(11)?,
            satisfaction_comment: row.try_get(12)?,
            merged_into: row.try_get(13)?,
            created_at: text(row.try_get(14)?)?,
            updated_at: text(row.try_get(15)?)?,
            solved_at: solved_at.map(text).transpose()?,
        })
    }
}

fn new_id(kind: &str) -> String {
    format!("{kind}_{}", Uuid::now_v7())
}

fn text(at: SystemTime) -> anyhow::Result<String> {
    let at = jiff::Timestamp::try_from(at).context("a time that no calendar has")?;
    Ok(at.to_string())
}

//! What waits in the queues, and what nobody could consume.

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Method, Request};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::api::{COME_AGAIN, json_answer};
use super::{Admin, AdminAnswer};
use crate::edge::problem::Problem;
use crate::server::RequestBody;
use hearth_backend::queue::{DeadLetter, Depth, QueueError, Which};
use hearth_base::telemetry::Redactor;

const LIMIT: usize = 50;
const LIMIT_MAX: usize = 100;
/// Ids in one request; a URL has a limit of its own.
const IDS_MAX: usize = 100;

impl Admin {
    /// Answers `/queues` and what lies below it.
    pub(super) async fn queues(
        &self,
        request: &Request<RequestBody>,
        below: &[&str],
    ) -> Result<AdminAnswer, Problem> {
        let query = request.uri().query().unwrap_or_default();
        if let [queue, "dead-letters", ..] = below {
            self.check_queue(queue).await?;
        }
        match (request.method(), below) {
            (&Method::GET, []) => self.depths().await,
            (&Method::GET, [queue, "dead-letters"]) => self.list(queue, query).await,
            (&Method::GET, [queue, "dead-letters", id]) => self.show(queue, id).await,
            (&Method::POST, [queue, "dead-letters", "redrive"]) => {
                let redriven = self.queues.redrive(queue, &which(query)?).await;
                Ok(json_answer(&json!({"redriven": redriven.map_err(away)?})))
            }
            (&Method::DELETE, [queue, "dead-letters"]) => {
                let dropped = self.queues.drop_dead(queue, &which(query)?).await;
                Ok(json_answer(&json!({"dropped": dropped.map_err(away)?})))
            }
            (_, [_, "dead-letters", "redrive"]) => Err(Problem::method_not_allowed(&["POST"])),
            (_, [_, "dead-letters"]) => Err(Problem::method_not_allowed(&["GET", "DELETE"])),
            (_, [] | [_, "dead-letters", _]) => Err(Problem::method_not_allowed(&["GET"])),
            _ => Err(Problem::not_found()),
        }
    }

    /// 404 for a queue of nobody's that has no dead letter: most likely its name was
    /// mistyped, and "0 dead letters" would say that all is well.
    async fn check_queue(&self, queue: &str) -> Result<(), Problem> {
        let serving = self.rollout.router.deployments();
        if serving
            .iter()
            .any(|deployment| deployment.uses_queue(queue))
        {
            return Ok(());
        }
        let found = self.queues.dead_letters(queue, None, 1).await;
        match found.map_err(away)?.is_empty() {
            true => Err(no_such_queue(queue)),
            false => Ok(()),
        }
    }

    async fn depths(&self) -> Result<AdminAnswer, Problem> {
        let depths = self.queues.depths().await.map_err(away)?;
        let queues: Vec<Value> = depths.iter().map(depth).collect();
        Ok(json_answer(&json!({ "queues": queues })))
    }

    /// One more than is shown tells whether there are more.
    async fn list(&self, queue: &str, query: &str) -> Result<AdminAnswer, Problem> {
        let before = number(query, "before")?;
        let limit = number::<usize>(query, "limit")?.unwrap_or(LIMIT);
        let limit = limit.clamp(1, LIMIT_MAX);
        let found = self.queues.dead_letters(queue, before, limit + 1).await;
        let mut found = found.map_err(away)?;
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().map(|last| last.number).filter(|_| more);
        let redactor = &self.redactor;
        let shown: Vec<_> = found.iter().map(|letter| head(letter, redactor)).collect();
        let answer = json!({"queue": queue, "dead_letters": shown, "next": next});
        Ok(json_answer(&answer))
    }

    async fn show(&self, queue: &str, id: &str) -> Result<AdminAnswer, Problem> {
        let found = self.queues.dead_letter(queue, id).await.map_err(away)?;
        let letter = found.ok_or_else(Problem::not_found)?;
        let redactor = &self.redactor;
        let attributes = letter.attributes.iter();
        let attributes = attributes.map(|(name, value)| json!([name, redactor.redact(value)]));
        let (name, body) = match std::str::from_utf8(&letter.body) {
            Ok(text) => ("body", redactor.redact(text).into_owned()),
            Err(_) => ("body_base64", STANDARD.encode(&letter.body)),
        };
        let mut shown = head(&letter, redactor);
        shown.insert("attributes".into(), attributes.collect());
        shown.insert("group".into(), json!(letter.group));
        shown.insert(name.into(), Value::String(body));
        Ok(json_answer(&Value::Object(shown)))
    }
}

fn depth(depth: &Depth) -> Value {
    let oldest = depth.oldest_age.map(|age| age.as_millis());
    json!({
        "queue": depth.queue,
        "waiting": depth.waiting,
        "delayed": depth.delayed,
        "leased": depth.leased,
        "dead": depth.dead,
        "oldest_ms": oldest.map(|ms| u64::try_from(ms).unwrap_or(u64::MAX)),
    })
}

/// All but what the sender wrote. The reason may quote it.
fn head(letter: &DeadLetter, redactor: &Redactor) -> Map<String, Value> {
    let fields = [
        ("id", json!(letter.id)),
        ("queue", json!(&*letter.queue)),
        ("plugin", json!(&*letter.plugin)),
        ("customer", json!(letter.customer.as_deref())),
        ("reason", json!(redactor.redact(&letter.reason))),
        ("attempts", json!(letter.attempts)),
        ("sent_at", json!(time(letter.sent_at))),
        ("died_at", json!(time(letter.died_at))),
        ("bytes", json!(letter.body.len())),
    ];
    let fields = fields.into_iter();
    fields
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn time(at: SystemTime) -> String {
    Timestamp::try_from(at).unwrap_or_default().to_string()
}

/// Some, or, said in so many words, all: a request that names none changes none.
fn which(query: &str) -> Result<Which, Problem> {
    let pairs = || form_urlencoded::parse(query.as_bytes());
    let ids: Vec<String> = pairs()
        .filter(|(name, _)| name == "id")
        .map(|(_, id)| id.into_owned())
        .collect();
    let all = pairs().any(|(name, value)| name == "all" && value == "true");
    match (all, ids.len()) {
        (true, 0) => Ok(Which::All),
        (false, 1..=IDS_MAX) => Ok(Which::Ids(ids)),
        _ => Err(Problem::bad_request(
            "Name 1 to 100 ids (id=...), or all=true and no id.",
        )),
    }
}

fn number<T: std::str::FromStr>(query: &str, wanted: &str) -> Result<Option<T>, Problem> {
    let found = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == wanted);
    let read = found.map(|(_, value)| value.parse());
    read.transpose()
        .map_err(|_| Problem::bad_request("`limit` and `before` must be whole numbers."))
}

fn no_such_queue(queue: &str) -> Problem {
    let mut problem = Problem::not_found();
    problem.detail = format!(
        "The queue `{queue}` was not found: no plugin that serves sends to it or consumes it, and \
         it has no dead letters. `hearth dlq list` shows the queues that have messages."
    );
    problem
}

fn away(error: QueueError) -> Problem {
    match error {
        QueueError::Denied(_) => Problem::not_found(),
        error => {
            tracing::error!(%error, "the queues are unavailable");
            Problem::unavailable(COME_AGAIN)
        }
    }
}

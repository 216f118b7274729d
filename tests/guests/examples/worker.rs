//! Sends jobs to itself, records which it consumed, and fails in each way that
//! there is. A call records all of its jobs in one transaction, or none.

use std::time::Duration;

use hearth_plugin::consumer::{Batch, Disposition};
use hearth_plugin::prelude::*;
use hearth_plugin::{log, queue};

/// A test patches it, to have a second version.
const VERSION: &str = "version-1";
const QUEUE: &str = "jobs";

row! {
    /// How often a message was recorded.
    pub struct Count { count: i64 }
}

sql! {
    /// Each delivery is a row of its own.
    pub write fn deliver(ids: &[String], numbers: &[i64], attempts: &[i64], version: &str) -> u64 =
        "INSERT INTO deliveries (id, number, attempt, version)
         SELECT unnest($1::text[]), unnest($2::bigint[]), unnest($3::bigint[]), $4::text";
    /// Each message is a row, however often it comes.
    pub write fn effect(ids: &[String], numbers: &[i64]) -> u64 =
        "INSERT INTO effects (id, number) SELECT unnest($1::text[]), unnest($2::bigint[])
         ON CONFLICT DO NOTHING";
    pub read fn recorded(id: &str) -> Count =
        "SELECT count(*) AS count FROM deliveries WHERE id = $1";
}

/// What a message says shall be done.
struct Job {
    number: i64,
    act: String,
    ms: u64,
}

impl Job {
    fn of(message: &hearth_plugin::consumer::Message) -> Job {
        let body: Value = message.json().unwrap_or_default();
        Job {
            number: body["number"].as_i64().unwrap_or(-1),
            act: body["do"].as_str().unwrap_or("record").to_string(),
            ms: body["ms"].as_u64().unwrap_or(0),
        }
    }
}

fn consume(batch: &Batch) -> Vec<Disposition> {
    let jobs: Vec<Job> = batch.messages.iter().map(Job::of).collect();
    for job in &jobs {
        std::thread::sleep(Duration::from_millis(job.ms));
        match job.act.as_str() {
            "trap" => std::process::abort(),
            "spin" => spin(),
            _ => {}
        }
    }
    if batch.customer().is_none() {
        let number = jobs.first().map_or(-1, |job| job.number);
        log::info!("nobody's job", number = number, version = VERSION);
        return vec![Disposition::Done; jobs.len()];
    }
    let messages = batch.messages.iter().zip(&jobs);
    let mut said: Vec<Disposition> = messages
        .map(|(message, job)| judge(batch, message, job))
        .collect();
    if let Err(error) = record(batch, &jobs) {
        log::warn!("not recorded", error = format!("{error:?}"));
        return vec![Disposition::RetryAfter(Duration::from_millis(100)); jobs.len()];
    }
    if jobs.iter().any(|job| job.act == "short") {
        said.pop();
    }
    said
}

fn judge(batch: &Batch, message: &hearth_plugin::consumer::Message, job: &Job) -> Disposition {
    let before = || recorded(&batch.database(), &message.id).map_or(0, |found| found.count);
    match job.act.as_str() {
        "dead" => Disposition::DeadLetter("nobody wants it: password=hunter2hunter2".into()),
        // It waits twice, and is done the third time.
        "retry" if before() < 2 => Disposition::RetryAfter(Duration::from_millis(50)),
        _ => Disposition::Done,
    }
}

/// Everything of a call commits together. What is wrong with the answer is told
/// only after that.
fn record(batch: &Batch, jobs: &[Job]) -> Result<(), hearth_plugin::sql::Error> {
    let ids: Vec<String> = batch
        .messages
        .iter()
        .map(|message| message.id.clone())
        .collect();
    let numbers: Vec<i64> = jobs.iter().map(|job| job.number).collect();
    let attempts: Vec<i64> = batch
        .messages
        .iter()
        .map(|message| message.attempt.into())
        .collect();
    batch
        .database()
        .transaction(Isolation::ReadCommitted, |tx| {
            deliver(tx, &ids, &numbers, &attempts, VERSION)?;
            effect(tx, &ids, &numbers)?;
            Ok(())
        })
}

fn spin() {
    let mut number = 1_u64;
    loop {
        number = std::hint::black_box(number.wrapping_mul(3));
    }
}

/// Sends the jobs of the body, a list. With `how=enqueue` in one transaction.
fn send(request: &Request) -> Answer {
    let mut query = request.query()?;
    let how = query.text("how").or("send");
    let group = query.text("group").or("");
    let delay_ms = query.integer("delay_ms").range(0..=i64::MAX).or(0);
    query.finish()?;
    let delay = Duration::from_millis(delay_ms.unsigned_abs());
    let Value::Array(jobs) = request.json()? else {
        return Err(Problem::new(400, "no-list", "The body is a list of jobs"));
    };
    let messages: Vec<queue::Message> = jobs
        .iter()
        .map(|job| message(job, &group).after(delay))
        .collect();
    let sent = match how.as_str() {
        "enqueue" => enqueue(request, &messages)?,
        _ => send_now(&messages)?,
    };
    Response::json(202, &sent)
}

fn message(job: &Value, group: &str) -> queue::Message {
    let message = queue::Message::json(job);
    match group {
        "" => message,
        group => message.in_group(group),
    }
}

fn enqueue(request: &Request, messages: &[queue::Message]) -> Result<Vec<String>, Problem> {
    request
        .database()
        .transaction(Isolation::ReadCommitted, |tx| {
            let ids = messages
                .iter()
                .map(|message| tx.enqueue(QUEUE, message.clone()));
            Ok(ids.collect::<Result<_, _>>()?)
        })
}

fn send_now(messages: &[queue::Message]) -> Result<Vec<String>, Problem> {
    let mut ids = Vec::new();
    for some in messages.chunks(10) {
        for sent in queue::send_many(QUEUE, some.to_vec()) {
            ids.push(sent?);
        }
    }
    Ok(ids)
}

/// Answers after so many milliseconds.
fn ping(request: &Request) -> Answer {
    let mut query = request.query()?;
    let ms = query.integer("ms").range(0..=60_000).or(0);
    query.finish()?;
    std::thread::sleep(Duration::from_millis(ms.unsigned_abs()));
    Response::json(200, &VERSION)
}

fn router() -> Router {
    Router::new().get("/", ping).post("/jobs", send)
}

hearth_plugin::handler!(router);
hearth_plugin::consumer!(consume);

//! The same consumers on SQS.

use serde_json::json;

use super::fixture::{Worker, jobs, packed};
use crate::harness::setup::Setup;
use crate::harness::sqs::{ENVIRONMENT, Make, Sqs};

pub fn config(sqs: &Sqs) -> String {
    format!(
        "[queue]\nbackend = \"sqs\"\npoll_ms = 50\n[queue.sqs]\nendpoint_url = {:?}\n\
         [queue.sqs.queues]\njobs = \"plain\"\n",
        sqs.url
    )
}

pub fn credentials(setup: Setup) -> Setup {
    let variables = ENVIRONMENT.iter();
    variables.fold(setup, |setup, (name, value)| setup.env(name, value))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn poison_message_on_sqs_is_dead_after_five_attempts_and_nine_are_committed_once() {
    let sqs = Sqs::start(Make::Rustack).await;
    let plugin = packed("0.1.0", "window_ms = 1_000\nconcurrency = 1", "");
    let worker = Worker::start_with(&plugin, &config(&sqs), credentials).await;
    let key = worker.key("acme");
    let mut ten = jobs(0..10, json!({}));
    ten[4]["do"] = json!("trap");
    ten[7]["do"] = json!("retry");
    let ids = worker.send(&key, "?how=enqueue", &ten).await;
    worker.until_settled("dead-letter", 1).await;
    worker.until_settled("done", 9).await;
    let committed = "SELECT number::text FROM ROWS r WHERE number <> 7 ORDER BY r.number";
    assert_eq!(
        worker.column(committed).await,
        ["0", "1", "2", "3", "5", "6", "8", "9"]
    );
    let attempts = "SELECT DISTINCT attempt::text FROM ROWS";
    assert_eq!(
        worker.column(attempts).await,
        ["1"],
        "nor does waiting count"
    );
    let dead = worker.dead().await;
    assert_eq!(dead.len(), 1, "{dead:?}");
    assert_eq!(
        (&dead[0]["id"], &dead[0]["attempts"]),
        (&json!(ids[4]), &json!(5))
    );
    let reason = dead[0]["reason"].as_str().unwrap();
    assert!(reason.contains("the guest trapped"), "{reason}");
}

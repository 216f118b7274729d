//! What the private DynamoDB does with and without a sync in each commit.

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use hearth::backend::dynamodb::{Config, Dynamo, EmbeddedSync, PARTITION, SORT};
use hearth::embedded::dynamodb::{Embedded, Options};

const BATCHES: usize = 100;
const SINGLES: usize = 300;

fn item(number: usize) -> WriteRequest {
    let text = |text: String| AttributeValue::S(text);
    let put = PutRequest::builder()
        .item(PARTITION, text("p".into()))
        .item(SORT, text(format!("{number:08}")))
        .item("data", text("x".repeat(300)));
    WriteRequest::builder()
        .put_request(put.build().unwrap())
        .build()
}

async fn batch(dynamo: &Dynamo, numbers: std::ops::Range<usize>) {
    let items = numbers.map(item).collect();
    let written = dynamo
        .client()
        .batch_write_item()
        .request_items(dynamo.documents_table(), items);
    written.send().await.unwrap();
}

/// The same for each, one call after the other: the writes of one host's private
/// DynamoDB are one after the other in any case.
async fn measure(sync: EmbeddedSync) {
    let dir = tempfile::tempdir_in(".").unwrap();
    let sweep = Duration::from_secs(60);
    let began = Instant::now();
    let private = Embedded::start(dir.path(), Options { sync, sweep }).await;
    let private = private.unwrap();
    let started = began.elapsed();
    let way = private.connector().http_client();
    let dynamo = Dynamo::open(&Config::default(), Some(way)).await;
    dynamo.prepare().await.unwrap();
    let prepared = began.elapsed();
    let began = Instant::now();
    for number in 0..BATCHES {
        batch(&dynamo, number * 25..(number + 1) * 25).await;
    }
    let batches = began.elapsed() / u32::try_from(BATCHES).unwrap();
    let began = Instant::now();
    for number in 0..SINGLES {
        batch(&dynamo, number..number + 1).await;
    }
    let singles = began.elapsed() / u32::try_from(SINGLES).unwrap();
    println!(
        "{sync:?}: started in {started:.1?}, tables in {prepared:.1?}; \
         a batch of 25 takes {batches:.2?}, of one {singles:.2?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a benchmark"]
async fn private_dynamodb_with_and_without_sync() {
    measure(EmbeddedSync::Full).await;
    measure(EmbeddedSync::Normal).await;
}

//! One call of BatchWriteItem, and what it came to.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use aws_sdk_dynamodb::types::{AttributeValue, DeleteRequest, PutRequest, WriteRequest};
use aws_smithy_types::error::operation::BuildError;
use tokio::time::Instant;

use super::{Key, Write, WriterInner};
use crate::dynamodb::{DynamoError, PARTITION, SORT, failure};

pub(super) enum Answer {
    /// DynamoDB took all but these.
    Unprocessed(HashSet<Key>),
    Failed(DynamoError),
}

/// Sends the writes once. The SDK does not repeat it: what is sent again is the
/// queue's business, which knows what else there is of the same key.
pub(super) async fn send(shared: Arc<WriterInner>, writes: Vec<Write>) -> Answer {
    let metrics = &shared.metrics;
    metrics.calls.increment(1);
    // Exact: there are at most 25.
    metrics.call_items.record(writes.len() as f64);
    let began = Instant::now();
    let answer = call(&shared, writes).await;
    metrics.flush_seconds.record(began.elapsed().as_secs_f64());
    answer
}

async fn call(shared: &WriterInner, writes: Vec<Write>) -> Answer {
    let keys: HashSet<Key> = writes.iter().map(|write| write.key.clone()).collect();
    let requests: Result<Vec<_>, _> = writes.into_iter().map(request).collect();
    let requests = match requests {
        Ok(requests) => requests,
        Err(error) => return Answer::Failed(DynamoError::Invalid(error.to_string())),
    };
    let table = shared.dynamo.documents_table();
    let call = shared.dynamo.client_once().batch_write_item();
    let answered = call.request_items(table, requests).send().await;
    match answered {
        Ok(answered) => unprocessed(&keys, table, answered.unprocessed_items.unwrap_or_default()),
        Err(error) => Answer::Failed(failure(&error)),
    }
}

fn request(write: Write) -> Result<WriteRequest, BuildError> {
    let key = [
        (PARTITION, write.key.partition.to_string()),
        (SORT, write.key.sort.to_string()),
    ];
    let key = key.map(|(name, text)| (name.to_owned(), AttributeValue::S(text)));
    let request = WriteRequest::builder();
    Ok(match write.attributes {
        Some(attributes) => {
            let item = key.into_iter().chain(attributes).collect();
            let put = PutRequest::builder().set_item(Some(item)).build()?;
            request.put_request(put).build()
        }
        None => {
            let key = key.into_iter().collect();
            let delete = DeleteRequest::builder().set_key(Some(key)).build()?;
            request.delete_request(delete).build()
        }
    })
}

/// What the answer names as unprocessed. One that names anything else is no answer
/// to what was asked, so that nothing is known.
fn unprocessed(
    asked: &HashSet<Key>,
    table: &str,
    answered: HashMap<String, Vec<WriteRequest>>,
) -> Answer {
    let mut keys = HashSet::new();
    for (of, requests) in answered {
        for request in requests {
            match key_of(&request) {
                Some(key) if of == table && asked.contains(&key) => keys.insert(key),
                _ => {
                    let text = "it returned an unprocessed item that was not in the request";
                    return Answer::Failed(DynamoError::Away(text.to_owned()));
                }
            };
        }
    }
    Answer::Unprocessed(keys)
}

fn key_of(request: &WriteRequest) -> Option<Key> {
    let attributes = match (&request.put_request, &request.delete_request) {
        (Some(put), None) => put.item(),
        (None, Some(delete)) => delete.key(),
        _ => return None,
    };
    let text = |name| attributes.get(name)?.as_s().ok();
    Some(Key {
        partition: Arc::from(text(PARTITION)?.as_str()),
        sort: Arc::from(text(SORT)?.as_str()),
    })
}

//! The table of cached values: what may be lost, and is wanted soon or not at all.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use super::{CACHE_KEY, Dynamo, DynamoError, TTL, failure};

/// What was cached.
const DATA: &str = "data";
/// When, in milliseconds since 1970. For people: what counts is in the data.
const CACHED_AT: &str = "cached_at";

/// A client that tries once, for whoever waits has no time for more.
#[derive(Clone, Debug)]
pub struct CacheTable {
    client: Client,
    table: String,
}

impl CacheTable {
    pub fn of(dynamo: &Dynamo) -> CacheTable {
        let config = dynamo.client().config().to_builder();
        let once = config.retry_config(RetryConfig::disabled()).build();
        CacheTable {
            client: Client::from_conf(once),
            table: dynamo.cache_table().to_owned(),
        }
    }

    /// Perhaps not the newest: a read that is consistent costs twice as much, and
    /// who reads judges for itself whether the value still holds.
    pub async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, DynamoError> {
        let get = self
            .client
            .get_item()
            .table_name(&self.table)
            .key(CACHE_KEY, AttributeValue::S(name.to_owned()))
            .projection_expression("#data")
            .expression_attribute_names("#data", DATA);
        let got = get.send().await.map_err(|error| failure(&error))?;
        let data = got.item.and_then(|mut item| item.remove(DATA));
        Ok(data.and_then(|data| match data {
            AttributeValue::B(bytes) => Some(bytes.into_inner()),
            _ => None,
        }))
    }

    /// DynamoDB may remove it from `until_s` on, in seconds since 1970.
    pub async fn put(
        &self,
        name: &str,
        value: Vec<u8>,
        cached_at_ms: i64,
        until_s: i64,
    ) -> Result<(), DynamoError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .item(CACHE_KEY, AttributeValue::S(name.to_owned()))
            .item(DATA, AttributeValue::B(Blob::new(value)))
            .item(CACHED_AT, AttributeValue::N(cached_at_ms.to_string()))
            .item(TTL, AttributeValue::N(until_s.to_string()));
        put.send().await.map_err(|error| failure(&error))?;
        Ok(())
    }
}

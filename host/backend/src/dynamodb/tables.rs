//! The host's tables: made where they may be, checked in any case.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::describe_table::DescribeTableError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
    TableDescription, TableStatus, TimeToLiveSpecification, TimeToLiveStatus,
};
use tokio::time::{sleep, timeout};

use super::{CACHE_KEY, Dynamo, DynamoError, PARTITION, SORT, TTL, failure};

const POLL: Duration = Duration::from_millis(200);

/// Why a table cannot be used. All of it is for the operator.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    #[error("DynamoDB is unavailable: {0}")]
    Away(String),
    #[error(
        "the DynamoDB table {0} does not exist: create it, or set `create_tables = true` in [dynamodb]"
    )]
    Missing(String),
    #[error("the DynamoDB table {table} has {found} and should have {wanted}")]
    Keys {
        table: String,
        wanted: String,
        found: String,
    },
    #[error(
        "the DynamoDB table {table} has {found} and should have TTL on the attribute `{TTL}`: aws dynamodb update-time-to-live --table-name {table} --time-to-live-specification Enabled=true,AttributeName={TTL}"
    )]
    Ttl { table: String, found: String },
    #[error("the DynamoDB table {table}: {failure}")]
    Refused { table: String, failure: DynamoError },
}

impl PrepareError {
    fn of(table: &str, failure: DynamoError) -> PrepareError {
        match failure.is_passing() {
            true => PrepareError::Away(failure.to_string()),
            false => PrepareError::Refused {
                table: table.to_owned(),
                failure,
            },
        }
    }
}

/// One of the host's tables: its keys are strings.
struct HostTable<'a> {
    client: &'a Client,
    name: &'a str,
    partition: &'static str,
    sort: Option<&'static str>,
    create: bool,
}

pub(super) async fn prepare(dynamo: &Dynamo) -> Result<(), PrepareError> {
    let table = |name, partition, sort| HostTable {
        client: dynamo.client(),
        name,
        partition,
        sort,
        create: dynamo.shared.create_tables,
    };
    let documents = table(dynamo.documents_table(), PARTITION, Some(SORT));
    let cache = table(dynamo.cache_table(), CACHE_KEY, None);
    let both = async { tokio::try_join!(documents.prepare(), cache.prepare()) };
    match timeout(dynamo.shared.start_max, both).await {
        Ok(prepared) => prepared.map(|_| ()),
        Err(_) => {
            let waited = dynamo.shared.start_max.as_millis();
            let text = format!("no answer within {waited} ms (dynamodb.start_ms_max)");
            Err(PrepareError::Away(text))
        }
    }
}

impl HostTable<'_> {
    async fn prepare(&self) -> Result<(), PrepareError> {
        let described = match self.describe().await? {
            Some(described) => described,
            None if self.create => self.make().await?,
            None => return Err(PrepareError::Missing(self.name.to_owned())),
        };
        self.check_keys(&described)?;
        self.wait_until_active(described).await?;
        self.prepare_ttl().await
    }

    fn refused(&self, failure: DynamoError) -> PrepareError {
        PrepareError::of(self.name, failure)
    }

    async fn describe(&self) -> Result<Option<TableDescription>, PrepareError> {
        let described = self.client.describe_table().table_name(self.name);
        match described.send().await {
            Ok(described) => Ok(described.table),
            Err(SdkError::ServiceError(error)) if is_missing(error.err()) => Ok(None),
            Err(error) => Err(self.refused(failure(&error))),
        }
    }

    /// Makes it. Another host may have been first, so it is looked at anew.
    async fn make(&self) -> Result<TableDescription, PrepareError> {
        let mut make = self
            .client
            .create_table()
            .table_name(self.name)
            .billing_mode(BillingMode::PayPerRequest);
        for (name, kind) in self.keys() {
            make = make
                .attribute_definitions(string(name).map_err(|error| self.refused(error))?)
                .key_schema(element(name, kind).map_err(|error| self.refused(error))?);
        }
        let made = make.send().await;
        let refusal = made.err().and_then(|error| {
            let in_use = error
                .as_service_error()
                .is_some_and(|error| error.is_resource_in_use_exception());
            (!in_use).then(|| failure(&error))
        });
        match (refusal, self.describe().await?) {
            (None, Some(described)) => Ok(described),
            (Some(refusal), _) => Err(self.refused(refusal)),
            (None, None) => Err(PrepareError::Missing(self.name.to_owned())),
        }
    }

    fn keys(&self) -> impl Iterator<Item = (&'static str, KeyType)> {
        let sort = self.sort.map(|name| (name, KeyType::Range));
        std::iter::once((self.partition, KeyType::Hash)).chain(sort)
    }

    fn check_keys(&self, table: &TableDescription) -> Result<(), PrepareError> {
        let found: Vec<_> = table
            .key_schema()
            .iter()
            .map(|key| {
                let of = |defined: &&AttributeDefinition| {
                    defined.attribute_name() == key.attribute_name()
                };
                let defined = table.attribute_definitions().iter().find(of);
                let kind = defined.map(|defined| defined.attribute_type().as_str());
                mismatch(key.attribute_name(), key.key_type(), kind.unwrap_or("?"))
            })
            .collect();
        let wanted: Vec<_> = self
            .keys()
            .map(|(name, kind)| mismatch(name, &kind, "S"))
            .collect();
        match found == wanted {
            true => Ok(()),
            false => Err(PrepareError::Keys {
                table: self.name.to_owned(),
                wanted: wanted.join(" and "),
                found: found.join(" and "),
            }),
        }
    }

    /// A table is made beside the call. Whoever waits is bounded by `start_ms_max`.
    async fn wait_until_active(&self, first: TableDescription) -> Result<(), PrepareError> {
        let mut table = Some(first);
        while let Some(described) = &table {
            match described.table_status() {
                Some(TableStatus::Creating) => {}
                Some(TableStatus::Deleting) => break,
                _ => return Ok(()),
            }
            sleep(POLL).await;
            table = self.describe().await?;
        }
        Err(PrepareError::Missing(self.name.to_owned()))
    }

    async fn prepare_ttl(&self) -> Result<(), PrepareError> {
        let described = self.client.describe_time_to_live().table_name(self.name);
        let described = described.send().await;
        let described = described.map_err(|error| self.refused(failure(&error)))?;
        let ttl = described.time_to_live_description();
        let status = ttl.and_then(|ttl| ttl.time_to_live_status());
        let on = matches!(
            status,
            Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)
        );
        let attribute = ttl.and_then(|ttl| ttl.attribute_name());
        match (on, attribute) {
            (true, Some(TTL)) => Ok(()),
            (true, other) => {
                let other = other.unwrap_or_default();
                Err(self.ttl(format!("TTL on the attribute `{other}`")))
            }
            (false, _) if self.create => self.set_ttl().await,
            (false, _) => Err(self.ttl("no TTL".to_owned())),
        }
    }

    fn ttl(&self, found: String) -> PrepareError {
        PrepareError::Ttl {
            table: self.name.to_owned(),
            found,
        }
    }

    async fn set_ttl(&self) -> Result<(), PrepareError> {
        let ttl = TimeToLiveSpecification::builder()
            .enabled(true)
            .attribute_name(TTL)
            .build();
        let ttl = ttl.map_err(|error| self.refused(DynamoError::Invalid(error.to_string())))?;
        let set = self
            .client
            .update_time_to_live()
            .table_name(self.name)
            .time_to_live_specification(ttl);
        match set.send().await {
            Ok(_) => Ok(()),
            // Another host was first.
            Err(error) if said_already(&failure(&error)) => Ok(()),
            Err(error) => Err(self.refused(failure(&error))),
        }
    }
}

fn is_missing(error: &DescribeTableError) -> bool {
    error.is_resource_not_found_exception()
}

fn said_already(failure: &DynamoError) -> bool {
    matches!(failure, DynamoError::Invalid(text) if text.contains("already enabled"))
}

fn mismatch(name: &str, kind: &KeyType, attribute: &str) -> String {
    let which = match kind {
        KeyType::Hash => "partition",
        _ => "sort",
    };
    format!("the {which} key `{name}` of type {attribute}")
}

fn string(name: &str) -> Result<AttributeDefinition, DynamoError> {
    let built = AttributeDefinition::builder()
        .attribute_name(name)
        .attribute_type(ScalarAttributeType::S)
        .build();
    built.map_err(|error| DynamoError::Invalid(error.to_string()))
}

fn element(name: &str, kind: KeyType) -> Result<KeySchemaElement, DynamoError> {
    let built = KeySchemaElement::builder()
        .attribute_name(name)
        .key_type(kind)
        .build();
    built.map_err(|error| DynamoError::Invalid(error.to_string()))
}

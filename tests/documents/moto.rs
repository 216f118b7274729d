//! The same on a DynamoDB that others built, so that what holds is not owed to the
//! private one alone. Additions are left out: moto adds with 28 digits.

use hearth::backend::dynamodb::Config as DynamoConfig;
use hearth::capability::documents::Config;

use super::fixture::Bench;
use super::{expiry, items, many, query, tenancy, update};
use crate::harness::dynamodb::Moto;

/// Tables of its own in the one server, which takes a while to start.
async fn bench(moto: &Moto, prefix: &str) -> Bench {
    let dynamo = DynamoConfig {
        table_prefix: prefix.to_owned(),
        // It is slow.
        attempt_ms_max: 30_000,
        operation_ms_max: 60_000,
        ..DynamoConfig::default()
    };
    Bench::reaching(&moto.url, &dynamo, Config::default()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_dynamodb_holds_the_same() {
    let moto = Moto::start().await;
    items::numbers(&bench(&moto, "numbers").await).await;
    items::kinds(&bench(&moto, "kinds").await).await;
    items::wrong_ones(&bench(&moto, "wrong-ones").await).await;
    many::order(&bench(&moto, "many").await).await;
    query::order(&bench(&moto, "order").await).await;
    query::ranges(&bench(&moto, "ranges").await).await;
    query::large_pages(&bench(&moto, "large-pages").await).await;
    query::attributes_alone(&bench(&moto, "attributes").await).await;
    query::cursor_of_deleted(&bench(&moto, "cursor").await).await;
    expiry::reading(&bench(&moto, "reading").await).await;
    expiry::updating(&bench(&moto, "updating").await).await;
    expiry::to_the_millisecond(&bench(&moto, "expiry").await).await;
    update::changes(&bench(&moto, "changes").await).await;
    update::conditions(&bench(&moto, "conditions").await).await;
    tenancy::partitions(&bench(&moto, "partitions").await).await;
    tenancy::customers(&bench(&moto, "customers").await).await;
}

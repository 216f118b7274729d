//! The private DynamoDB, and what a host wants of the tables in any DynamoDB.

use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType,
    ScalarAttributeType,
};
use hearth::backend::dynamodb::{Config, Dynamo, DynamoError, PARTITION, SORT, TTL, failure};
use hearth::embedded::dynamodb::{DynamoStartError, Embedded, Options};

use crate::harness::dynamodb::Private;
use crate::harness::host::Setup;
use crate::harness::postgres::until;

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.into())
}

async fn put(dynamo: &Dynamo, partition: &str, ttl: Option<u64>) {
    let mut put = dynamo
        .client()
        .put_item()
        .table_name(dynamo.documents_table())
        .item(PARTITION, text(partition))
        .item(SORT, text("s"));
    if let Some(ttl) = ttl {
        put = put.item(TTL, AttributeValue::N(ttl.to_string()));
    }
    put.send().await.unwrap();
}

async fn is_there(dynamo: &Dynamo, partition: &str) -> bool {
    let got = dynamo
        .client()
        .get_item()
        .table_name(dynamo.documents_table())
        .key(PARTITION, text(partition))
        .key(SORT, text("s"))
        .consistent_read(true);
    got.send().await.unwrap().item.is_some()
}

async fn client_of(private: &Embedded) -> Dynamo {
    let way = private.connector().http_client();
    Dynamo::open(&Config::default(), Some(way)).await
}

#[tokio::test]
async fn tables_are_made_once_and_outlive_a_restart_with_what_is_in_them() {
    let private = Private::start().await;
    put(&private.dynamo().await, "kept", None).await;
    let dir = private.dir;
    private.embedded.stop().await;
    let again = Embedded::start(dir.path(), Options::default())
        .await
        .unwrap();
    let dynamo = client_of(&again).await;
    dynamo.prepare().await.unwrap();
    assert!(is_there(&dynamo, "kept").await);
}

#[tokio::test]
async fn folder_has_one_owner_at_a_time() {
    let private = Private::start().await;
    let second = Embedded::start(private.dir.path(), Options::default()).await;
    assert!(
        matches!(second, Err(DynamoStartError::InUse(_))),
        "{second:?}"
    );
    let dir = private.dir;
    private.embedded.stop().await;
    Embedded::start(dir.path(), Options::default())
        .await
        .unwrap();
}

#[tokio::test]
async fn expired_items_are_swept_and_others_stay() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        sweep: std::time::Duration::from_millis(100),
        ..Options::default()
    };
    let private = Embedded::start(dir.path(), options).await.unwrap();
    let dynamo = client_of(&private).await;
    dynamo.prepare().await.unwrap();
    put(&dynamo, "old", Some(1_000_000_000)).await;
    put(&dynamo, "young", Some(4_000_000_000)).await;
    put(&dynamo, "endless", None).await;
    until(async || !is_there(&dynamo, "old").await).await;
    assert!(is_there(&dynamo, "young").await);
    assert!(is_there(&dynamo, "endless").await);
}

async fn make_table(dynamo: &Dynamo, name: &str, keys: &[(&str, KeyType)]) {
    let mut make = dynamo.client().create_table().table_name(name);
    for (key, kind) in keys {
        let string = AttributeDefinition::builder()
            .attribute_name(*key)
            .attribute_type(ScalarAttributeType::S);
        let element = KeySchemaElement::builder()
            .attribute_name(*key)
            .key_type(kind.clone());
        make = make
            .attribute_definitions(string.build().unwrap())
            .key_schema(element.build().unwrap());
    }
    let make = make.billing_mode(BillingMode::PayPerRequest);
    make.send().await.unwrap();
}

/// A host that is to use the DynamoDB at `url` with tables of others.
fn on(url: &str, more: &str) -> Setup {
    Setup::new()
        .config(&format!("[dynamodb]\nendpoint_url = {url:?}\n{more}"))
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
}

fn refusal(setup: Setup) -> String {
    let output = setup.refused();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn host_refuses_tables_that_are_missing_or_have_other_keys_or_no_ttl() {
    let private = Private::start().await;
    let dynamo = client_of(&private.embedded).await;
    let told = refusal(on(private.url(), ""));
    assert!(
        told.contains("hearth-cache does not exist")
            || told.contains("hearth-documents does not exist"),
        "{told}"
    );
    make_table(&dynamo, "hearth-documents", &[("id", KeyType::Hash)]).await;
    let told = refusal(on(private.url(), "create_tables = true"));
    let wanted = "hearth-documents has the partition key `id` of type S and should have the \
                  partition key `pk` of type S and the sort key `sk` of type S";
    assert!(told.contains(wanted), "{told}");
    let keys = [(PARTITION, KeyType::Hash), (SORT, KeyType::Range)];
    make_table(&dynamo, "other-documents", &keys).await;
    make_table(&dynamo, "other-cache", &[("key", KeyType::Hash)]).await;
    let told = refusal(on(private.url(), "table_prefix = \"other\""));
    assert!(
        told.contains("has no TTL and should have TTL on the attribute `ttl`"),
        "{told}"
    );
    on(
        private.url(),
        "table_prefix = \"other\"\ncreate_tables = true",
    )
    .start();
    on(private.url(), "table_prefix = \"other\"").start();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn host_serves_while_dynamodb_is_away() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", port.local_addr().unwrap());
    drop(port);
    let host = on(&url, "").start();
    assert!(
        host.log().contains("could not be checked yet"),
        "{}",
        host.log()
    );
    let answer = host
        .client
        .get(format!("{}/healthz", host.url))
        .send()
        .await
        .unwrap();
    assert!(answer.status().is_success());
}

#[test]
fn mistakes_in_the_configuration_are_told_with_their_key() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hearth.toml");
    let text = r#"
        [dynamodb]
        endpoint_url = "127.0.0.1:8000"
        region = "eu central"
        table_prefix = "a table"
        attempts_max = 0
        embedded_sync = "off"
        [documents]
        item_bytes_max = 409601
        [documents.writer]
        owner_waiting_items_max = 10001
        lingers = 1
    "#;
    std::fs::write(&file, text).unwrap();
    let told = hearth::config::Config::load(Some(&file), &|_| None).unwrap_err();
    let keys: Vec<_> = told.mistakes.iter().map(|mistake| &*mistake.key).collect();
    let expected = [
        "dynamodb.endpoint_url",
        "dynamodb.region",
        "dynamodb.table_prefix",
        "dynamodb.attempts_max",
        "dynamodb.embedded_sync",
        "documents.item_bytes_max",
        "documents.writer.owner_waiting_items_max",
        "documents.writer.lingers",
    ];
    assert_eq!(keys, expected, "{told}");
}

#[tokio::test]
async fn failures_are_told_apart() {
    let private = Private::start().await;
    let dynamo = private.dynamo().await;
    let missing = dynamo.client().get_item().table_name("none");
    let missing = missing.key("pk", text("p")).send().await.unwrap_err();
    assert!(
        matches!(failure(&missing), DynamoError::Denied(_)),
        "{missing:?}"
    );
    let no_key = dynamo
        .client()
        .get_item()
        .table_name(dynamo.documents_table());
    let no_key = no_key.key("pk", text("p")).send().await.unwrap_err();
    assert!(
        matches!(failure(&no_key), DynamoError::Invalid(_)),
        "{no_key:?}"
    );
    private.embedded.stop().await;
    let away = dynamo
        .client()
        .get_item()
        .table_name(dynamo.documents_table());
    let away = away
        .key("pk", text("p"))
        .key("sk", text("s"))
        .send()
        .await
        .unwrap_err();
    assert!(matches!(failure(&away), DynamoError::Away(_)), "{away:?}");
}

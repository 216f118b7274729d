//! A migration and its row of the ledger are one: a host that ends between any two
//! steps leaves neither a migration that runs twice nor one that is only believed.

use sha2::{Digest, Sha256};

use super::fixture::{Caller, Fixture, NOTES, Package, migration};

fn with(version: u32, sql: &str) -> Package {
    let mut package = Package {
        number: 2,
        ..Package::notes()
    };
    package.migrations.push(migration(version, sql));
    package
}

async fn recorded(fixture: &Fixture) -> i64 {
    let admin = fixture.cluster.connect(None).await;
    let text = "SELECT count(*) FROM hearth.plugin_migrations WHERE plugin = 'notes'";
    admin.query_one(text, &[]).await.unwrap().get(0)
}

/// Says which migration comes next, as a host does that ends right afterwards.
async fn announce(fixture: &Fixture, version: i64, sql: &str) {
    let admin = fixture.cluster.connect(None).await;
    let sum = hex::encode(Sha256::digest(sql));
    let text = "INSERT INTO hearth.migration_intents (key_digest, plugin, version, name, checksum)
                VALUES (sha256('left behind'), 'notes', $1, 'test', $2)";
    admin.execute(text, &[&version, &sum]).await.unwrap();
}

#[tokio::test]
async fn what_was_announced_and_not_run_runs() {
    let fixture = Fixture::start().await;
    let lent = fixture.notes().await;
    Caller::of(&lent, "acme").insert(1, "one").await.unwrap();
    let sql = "UPDATE note SET body = body || ' moved'";
    announce(&fixture, 2, sql).await;
    let lent = fixture.lend(with(2, sql)).await;
    assert_eq!(Caller::of(&lent, "acme").bodies().await, ["one moved"]);
    assert_eq!(recorded(&fixture).await, 2);
    let admin = fixture.cluster.connect(None).await;
    let left = "SELECT count(*) FROM hearth.migration_intents";
    assert_eq!(
        admin.query_one(left, &[]).await.unwrap().get::<_, i64>(0),
        0
    );
}

#[tokio::test]
async fn refused_migration_leaves_no_row() {
    let fixture = Fixture::start().await;
    fixture.notes().await;
    let sql = "ALTER TABLE note ADD COLUMN customer_id text";
    assert_eq!(fixture.refusals(with(2, sql)).await.len(), 1);
    assert_eq!(recorded(&fixture).await, 1);
}

#[tokio::test]
async fn lending_that_is_dropped_leaves_neither_the_migration_nor_its_row() {
    let fixture = Fixture::start().await;
    fixture.notes().await;
    let sql = "ALTER TABLE note ADD COLUMN more text";
    for _ in 0..2 {
        let lending = fixture
            .client
            .begin_lending(with(2, sql).deployment())
            .await;
        drop(lending.ok().unwrap());
    }
    assert_eq!(recorded(&fixture).await, 1);
    fixture.lend(with(2, sql)).await;
    assert_eq!(recorded(&fixture).await, 2);
}

const INDEX: &str =
    "-- no-transaction\nCREATE INDEX CONCURRENTLY note_body ON note (customer_id, body)";

#[tokio::test]
async fn index_that_was_made_and_not_recorded_is_recorded_by_the_next_run() {
    let fixture = Fixture::start().await;
    fixture.notes().await;
    let admin = fixture.cluster.connect(None).await;
    let made = "CREATE INDEX note_body ON plugin_notes.note (customer_id, body)";
    admin.batch_execute(made).await.unwrap();
    announce(&fixture, 2, INDEX).await;
    fixture.lend(with(2, INDEX)).await;
    assert_eq!(recorded(&fixture).await, 2);
}

#[tokio::test]
async fn index_whose_name_another_migration_took_is_refused_however_often_it_is_tried() {
    let fixture = Fixture::start().await;
    let sql = format!("{NOTES}; CREATE INDEX note_body ON note (customer_id, id)");
    let package = || {
        let mut package = Package::migrations(&[&sql]);
        package.migrations.push(migration(2, INDEX));
        package
    };
    for _ in 0..2 {
        let refusals = fixture.refusals(package()).await;
        assert!(refusals[0].contains("already exists"), "{refusals:?}");
    }
    assert_eq!(recorded(&fixture).await, 1);
}

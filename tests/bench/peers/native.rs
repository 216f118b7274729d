//! The same work by hand: tests/native, built as the host is, in a process of its own. Its
//! tables are those of the plugin, made by the plugin's own migrations, with the policies
//! that the host puts on them.

use std::path::{Path, PathBuf};
use std::process::Command;

use tokio_postgres::{Client, Config, NoTls};

use super::process::Peer;
use crate::harness::host::target;
use crate::harness::postgres::Cluster;

/// Its role and its database. A superuser would pass the policies by.
const NAME: &str = "native";

/// What the host does with a plugin's tables, and the table of its messages.
const POLICIES: &str = "
    CREATE TABLE outbox (
        customer_id text NOT NULL,
        id uuid PRIMARY KEY,
        place bigint GENERATED ALWAYS AS IDENTITY,
        queue text COLLATE \"C\" NOT NULL,
        group_key text COLLATE \"C\",
        body bytea NOT NULL,
        sent_at timestamptz NOT NULL
    );
    CREATE INDEX ON outbox (queue, customer_id, place);
    CREATE INDEX ON outbox (queue, customer_id, group_key, place);
    DO $$
    DECLARE
        own regclass;
        customer text := 'NULLIF(current_setting(''hearth.customer_id'', true), '''')';
    BEGIN
        FOR own IN SELECT oid FROM pg_class
            WHERE relnamespace = 'native'::regnamespace AND relkind = 'r' LOOP
            EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY,
                ALTER customer_id SET DEFAULT %s', own, customer);
            EXECUTE format('CREATE POLICY customer ON %s USING (customer_id = %s)
                WITH CHECK (customer_id = %2$s)', own, customer);
        END LOOP;
    END $$;
    GRANT USAGE ON SCHEMA native TO native;
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA native TO native";

fn program() -> PathBuf {
    let file = target().join("dist/hearth-native");
    assert!(
        file.is_file(),
        "{} is missing: run `make bench`",
        file.display()
    );
    file
}

/// The plugin's migrations, in their order.
fn migrations() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/tickets/migrations");
    let files = std::fs::read_dir(folder).unwrap().flatten();
    let mut files: Vec<PathBuf> = files.map(|entry| entry.path()).collect();
    files.sort();
    files
}

/// Makes its tables in a database of their own; answers the URL.
pub async fn database(cluster: &Cluster) -> String {
    let owner = cluster.connect(None).await;
    for create in [
        format!("CREATE ROLE {NAME} LOGIN"),
        format!("CREATE DATABASE {NAME}"),
    ] {
        owner.batch_execute(&create).await.unwrap();
    }
    let url = cluster.url_of(NAME);
    let client = owner_of(&url).await;
    let begin = "CREATE SCHEMA native; SET search_path = native";
    client.batch_execute(begin).await.unwrap();
    for file in migrations() {
        let text = std::fs::read_to_string(&file).unwrap();
        client.batch_execute(&text).await.unwrap();
    }
    client.batch_execute(POLICIES).await.unwrap();
    url.replace("postgres://hearth@", &format!("postgres://{NAME}@"))
}

/// Has Postgres look at its tables, once there are rows in them. Without statistics their
/// foreign keys are checked by reading all tickets of the customer, until autovacuum comes
/// a minute later: a peer with that handicap would say nothing.
pub async fn analyse(cluster: &Cluster) {
    let client = owner_of(&cluster.url_of(NAME)).await;
    client.batch_execute("ANALYZE").await.unwrap();
}

async fn owner_of(url: &str) -> Client {
    let config: Config = url.parse().unwrap();
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Serves tickets, or without a database `/healthz` alone.
pub fn serve(database: Option<&str>) -> Peer {
    Peer::start(|address| {
        let mut command = Command::new(program());
        command.env("LISTEN", address.to_string());
        if let Some(database) = database {
            command.env("DATABASE", database);
        }
        command
    })
}

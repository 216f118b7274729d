//! What Postgres would do for a statement of a plugin.

use hearth::backend::postgres::connection::PLANNING;
use hearth::embedded::postgres::Reached;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use super::host::Host;

/// A superuser's session on the host's own Postgres.
pub async fn superuser(host: &Host) -> Client {
    let reached = Reached::reach(None, &host.data_dir().join("postgres")).await;
    let config: tokio_postgres::Config = reached.unwrap().url.parse().unwrap();
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Makes the session what a request of a customer has.
pub async fn as_request(client: &Client, plugin: &str, customer: &str) {
    let roles = "SELECT rolname::text FROM pg_catalog.pg_roles \
                 WHERE rolname::text LIKE $1 AND rolcanlogin";
    let name = format!("hearth%{plugin}");
    let role: String = client.query_one(roles, &[&name]).await.unwrap().get(0);
    let session = format!(
        "SET ROLE {role}; SET search_path = plugin_{plugin}, pg_temp; \
         SET hearth.customer_id = '{customer}'; SET plan_cache_mode = force_generic_plan"
    );
    client.batch_execute(&session).await.unwrap();
    for setting in PLANNING.split("-c ").filter(|setting| !setting.is_empty()) {
        let set = format!("SET {setting}");
        client.batch_execute(&set).await.unwrap();
    }
}

/// How Postgres would run a statement, whatever its parameters.
pub async fn plan(client: &Client, text: &str, parameters: usize) -> String {
    client
        .batch_execute(&format!("PREPARE asked AS {text}"))
        .await
        .unwrap();
    let nulls = vec!["NULL"; parameters].join(", ");
    let arguments = if parameters == 0 {
        String::new()
    } else {
        format!("({nulls})")
    };
    let rows = client
        .simple_query(&format!("EXPLAIN EXECUTE asked{arguments}"))
        .await
        .unwrap();
    client.batch_execute("DEALLOCATE asked").await.unwrap();
    let lines = rows.iter().filter_map(|row| match row {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    lines.collect::<Vec<_>>().join("\n")
}

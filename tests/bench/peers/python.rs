//! The functions that Hearth replaces, as the guide has them: an ASGI application in two
//! processes of uvicorn with its fast loop and parser, psycopg2, one cached connection
//! for each process.

use std::path::Path;
use std::process::Command;

use tokio_postgres::{Config, NoTls};

use super::process::{Peer, fetched};
use crate::harness::postgres::Cluster;

/// The database in which the handler and pgbench write.
pub const DATABASE: &str = "guide";

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/python")
}

/// Makes the guide's tables in a database of their own; answers its URL.
pub async fn database(cluster: &Cluster) -> String {
    let create = format!("CREATE DATABASE {DATABASE}");
    cluster
        .connect(None)
        .await
        .batch_execute(&create)
        .await
        .unwrap();
    let url = cluster.url_of(DATABASE);
    let config: Config = url.parse().unwrap();
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    let schema = std::fs::read_to_string(folder().join("schema.sql")).unwrap();
    client.batch_execute(&schema).await.unwrap();
    url
}

/// Serves one of the two applications. `handler` makes tickets, each with an audit and two
/// rows for its queues; `reader` reads them, at `/{id}`.
pub fn serve(application: &str, database: &str) -> Peer {
    Peer::start(|address| {
        let mut command = Command::new(fetched("bench-python/bin/uvicorn"));
        command
            .arg(format!("{application}:app"))
            .arg("--app-dir")
            .arg(folder())
            .args(["--host", "127.0.0.1", "--port"])
            .arg(address.port().to_string())
            .args(["--workers", "2", "--loop", "uvloop", "--http", "httptools"])
            .args([
                "--lifespan",
                "off",
                "--no-access-log",
                "--log-level",
                "warning",
            ])
            .env("DSN", database)
            .env("FULL", "1")
            .env("PYTHONDONTWRITEBYTECODE", "1");
        command
    })
}

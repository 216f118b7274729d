//! Whose rows a call sees.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hearth::backend::postgres::{Config, Server};
use hearth::capability::sql::{self, GuestError, Value};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio_postgres::config::Host;

use super::fixture::{
    ALL, COUNT, Caller, DELETE, Fixture, INSERT_AS, Package, REMARK, UPDATE, client, execute, note,
    query,
};
use crate::harness::postgres::Cluster;

/// One connection, so that each call finds what the last one left there.
fn one_connection() -> Config {
    Config {
        plugin_connections_max: 1,
        ..Config::default()
    }
}

#[tokio::test]
async fn two_customers_see_only_their_own_rows() {
    let fixture = Fixture::start_with(one_connection(), sql::Config::default()).await;
    let lent = fixture.notes().await;
    let (mut acme, mut bolt) = (Caller::of(&lent, "acme"), Caller::of(&lent, "bolt"));
    acme.insert(1, "of acme").await.unwrap();
    bolt.insert(1, "of bolt").await.unwrap();
    for _ in 0..3 {
        assert_eq!(acme.bodies().await, ["of acme"]);
        assert_eq!(bolt.bodies().await, ["of bolt"]);
    }
}

#[tokio::test]
async fn statement_without_a_filter_changes_the_callers_rows_only() {
    let fixture = Fixture::start().await;
    let lent = fixture.notes().await;
    let (mut acme, mut bolt) = (Caller::of(&lent, "acme"), Caller::of(&lent, "bolt"));
    acme.insert(1, "of acme").await.unwrap();
    bolt.insert(1, "of bolt").await.unwrap();
    assert_eq!(
        acme.execute(UPDATE, vec![Value::Text("changed".into())])
            .await
            .unwrap(),
        1
    );
    assert_eq!(bolt.bodies().await, ["of bolt"]);
    assert_eq!(bolt.execute(DELETE, vec![]).await.unwrap(), 1);
    assert_eq!(acme.bodies().await, ["changed"]);
}

#[tokio::test]
async fn another_customers_row_can_be_neither_written_nor_referred_to() {
    let fixture = Fixture::start().await;
    let lent = fixture.notes().await;
    let (mut acme, mut bolt) = (Caller::of(&lent, "acme"), Caller::of(&lent, "bolt"));
    bolt.insert(7, "of bolt").await.unwrap();
    let forged = vec![
        Value::Text("bolt".into()),
        Value::Int64(8),
        Value::Text("forged".into()),
    ];
    let error = acme.execute(INSERT_AS, forged).await.unwrap_err();
    assert!(matches!(error, GuestError::Denied(_)), "{error:?}");
    let error = acme
        .execute(REMARK, vec![Value::Int64(1), Value::Int64(7)])
        .await
        .unwrap_err();
    assert_eq!(
        format!("{error:?}"),
        format!(
            "{:?}",
            GuestError::ForeignKeyViolation("remark_note".into())
        )
    );
    assert_eq!(bolt.bodies().await, ["of bolt"]);
}

#[tokio::test]
async fn nobody_sees_and_writes_nothing() {
    let fixture = Fixture::start_with(one_connection(), sql::Config::default()).await;
    let lent = fixture.notes().await;
    Caller::of(&lent, "acme")
        .insert(1, "of acme")
        .await
        .unwrap();
    let mut nobody = Caller::new(&lent, None, Duration::from_secs(60));
    assert!(nobody.bodies().await.is_empty());
    assert_eq!(nobody.execute(DELETE, vec![]).await.unwrap(), 0);
    assert!(nobody.insert(2, "of nobody").await.is_err());
    let empty = vec![
        Value::Text(String::new()),
        Value::Int64(3),
        Value::Text("empty".into()),
    ];
    assert!(nobody.execute(INSERT_AS, empty).await.is_err());
    assert_eq!(Caller::of(&lent, "acme").bodies().await, ["of acme"]);
}

#[tokio::test]
async fn malformed_customer_reaches_no_session() {
    let fixture = Fixture::start().await;
    let lent = fixture.notes().await;
    for customer in ["", "a'; SET ROLE x; --", "a b", &"x".repeat(65)] {
        let error = Caller::of(&lent, customer)
            .query(ALL, vec![])
            .await
            .unwrap_err();
        assert!(matches!(error, GuestError::Denied(_)), "{error:?}");
    }
    assert_eq!(lent.pool().unwrap().open, 0);
}

/// Passes everything on, and once told to breaks each setting of a customer on
/// its way, so that Postgres answers it with a syntax error.
struct Breaking {
    _folder: tempfile::TempDir,
    url: String,
    breaks: Arc<AtomicBool>,
}

const SETTING: &[u8] = b"hearth.customer_id =";
const BROKEN: &[u8] = b"hearth.customer_id +";

impl Breaking {
    fn before(url: &str) -> Breaking {
        let config: tokio_postgres::Config = url.parse().unwrap();
        let [Host::Unix(directory)] = config.get_hosts() else {
            panic!("no socket in {url}")
        };
        let name = format!(".s.PGSQL.{}", config.get_ports()[0]);
        let socket = directory.join(&name);
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join(&name)).unwrap();
        let breaks = Arc::new(AtomicBool::new(false));
        let told = breaks.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = UnixStream::connect(&socket).await.unwrap();
                tokio::spawn(pass(near, far, told.clone()));
            }
        });
        let encoded: String = folder
            .path()
            .to_str()
            .unwrap()
            .bytes()
            .map(|byte| format!("%{byte:02X}"))
            .collect();
        let (user, rest) = url.split_once('@').unwrap();
        let (_, rest) = rest.split_once(':').unwrap();
        Breaking {
            url: format!("{user}@{encoded}:{rest}"),
            _folder: folder,
            breaks,
        }
    }

    fn set(&self, breaks: bool) {
        self.breaks.store(breaks, Ordering::SeqCst);
    }
}

async fn pass(near: UnixStream, far: UnixStream, breaks: Arc<AtomicBool>) {
    let (mut from_near, mut to_near) = near.into_split();
    let (mut from_far, mut to_far) = far.into_split();
    let back = tokio::spawn(async move { tokio::io::copy(&mut from_far, &mut to_near).await });
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from_near.read(&mut buffer).await {
        let bytes = &mut buffer[..length];
        if breaks.load(Ordering::SeqCst) {
            for start in 0..length.saturating_sub(SETTING.len() - 1) {
                if bytes[start..].starts_with(SETTING) {
                    bytes[start..start + SETTING.len()].copy_from_slice(BROKEN);
                }
            }
        }
        if to_far.write_all(bytes).await.is_err() {
            break;
        }
    }
    back.abort();
}

/// A failed setting leaves the connection with the customer of the call before:
/// exactly that customer's rows must not be read or written.
#[tokio::test]
async fn failed_prelude_reads_nothing_and_writes_nothing() {
    let cluster = Cluster::start().await;
    cluster.server().await;
    let proxy = Breaking::before(&cluster.url());
    let server = Arc::new(Server::open(one_connection(), &proxy.url).await.unwrap());
    let client = client(&cluster, server, sql::Config::default());
    let lent = Arc::new(
        client
            .lend(Package::notes().deployment())
            .await
            .ok()
            .unwrap(),
    );

    let (mut acme, mut bolt) = (Caller::of(&lent, "acme"), Caller::of(&lent, "bolt"));
    bolt.insert(1, "of bolt").await.unwrap();
    assert!(acme.bodies().await.is_empty());
    for _ in 0..3 {
        // The only connection carries bolt, and knows the statements.
        assert_eq!(bolt.bodies().await, ["of bolt"]);
        proxy.set(true);
        let read = acme.query(ALL, vec![]).await;
        proxy.set(false);
        assert!(matches!(read, Err(GuestError::Unavailable)), "{read:?}");

        assert_eq!(bolt.bodies().await, ["of bolt"]);
        proxy.set(true);
        let written = acme.insert(2, "of acme").await;
        proxy.set(false);
        assert!(
            matches!(written, Err(GuestError::Unavailable)),
            "{written:?}"
        );

        assert_eq!(bolt.bodies().await, ["of bolt"]);
        proxy.set(true);
        let batch = acme
            .batch(vec![execute(DELETE, vec![]), query(COUNT, vec![])])
            .await;
        let blind = acme
            .batch(vec![
                execute(DELETE, vec![]),
                execute(super::fixture::INSERT, note(3, "x")),
            ])
            .await;
        let begun = acme.begin(sql::Isolation::ReadCommitted).await;
        proxy.set(false);
        assert!(
            batch.is_err() && blind.is_err() && begun.is_err(),
            "{batch:?} {blind:?}"
        );
    }
    assert_eq!(bolt.bodies().await, ["of bolt"]);
    assert!(acme.bodies().await.is_empty());
}

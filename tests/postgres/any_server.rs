//! Any server: what the host prepares there, what it is content with, how long it
//! waits, and what it refuses.

use hearth::backend::postgres::{Config, OpenError, Server, Url, pool_unavailable};
use tokio_postgres::error::SqlState;

use crate::harness::postgres::{Cluster, External};

#[tokio::test]
async fn plugin_role_has_none_of_the_rights_that_leave_a_tenant() {
    let cluster = Cluster::start().await;
    let server = cluster.server().await;
    let host = server.host().get().await.unwrap();
    host.batch_execute("CREATE ROLE plugin LOGIN")
        .await
        .unwrap();
    let plugin = cluster.connect(Some("plugin")).await;
    for attack in [
        "SELECT set_config('hearth.customer_id', 'cus_other', false)",
        "SELECT query_to_xml('SELECT 1', true, true, '')",
        "SELECT ts_stat('SELECT to_tsvector(''a'')')",
        "SELECT pg_cancel_backend(1)",
        "SELECT pg_terminate_backend(1)",
        "SELECT pg_advisory_lock(1)",
        "SELECT pg_try_advisory_xact_lock(1)",
        "SELECT lo_create(0)",
        "SELECT lo_from_bytea(0, 'x')",
        "SELECT pg_notify('a', 'b')",
        "UPDATE pg_settings SET setting = 'x' WHERE name = 'search_path'",
        "SELECT 1 INTO TEMP items",
        "CREATE TABLE public.t (i int)",
        "SELECT * FROM hearth.customers",
        "SELECT * FROM hearth.keys",
        "SELECT * FROM hearth.key_changes",
        "CREATE TABLE hearth.t (i int)",
    ] {
        let refused = plugin.simple_query(attack).await.unwrap_err();
        assert_eq!(
            refused.code(),
            Some(&SqlState::INSUFFICIENT_PRIVILEGE),
            "{attack}: {refused:?}"
        );
    }
    plugin
        .simple_query("SELECT current_setting('hearth.customer_id', true)")
        .await
        .unwrap();
    host.simple_query("SELECT set_config('a.b', 'c', true)")
        .await
        .unwrap();
}

#[tokio::test]
async fn customer_view_shows_the_sessions_customer_and_no_other() {
    let cluster = Cluster::start().await;
    let server = cluster.server().await;
    let host = server.host().get().await.unwrap();
    host.batch_execute(
        "CREATE ROLE plugin LOGIN;
         INSERT INTO hearth.customers (id, name, tier) VALUES ('cus_a', 'a', 'free'), ('cus_b', 'b', 'premium')",
    )
    .await
    .unwrap();
    let plugin = cluster.connect(Some("plugin")).await;
    let seen = async || {
        let rows = plugin
            .query("SELECT id, tier FROM hearth.customer", &[])
            .await
            .unwrap();
        rows.iter()
            .map(|row| (row.get(0), row.get(1)))
            .collect::<Vec<(String, String)>>()
    };
    assert!(seen().await.is_empty());
    plugin
        .simple_query("SET hearth.customer_id = 'cus_b'")
        .await
        .unwrap();
    assert_eq!(seen().await, [("cus_b".to_owned(), "premium".to_owned())]);
    plugin
        .simple_query("SET hearth.customer_id = ''")
        .await
        .unwrap();
    assert!(seen().await.is_empty());
    let write = "UPDATE hearth.customer SET tier = 'unlimited'";
    assert!(plugin.simple_query(write).await.is_err());
}

#[tokio::test]
async fn hosts_that_start_together_prepare_one_schema() {
    let cluster = Cluster::start().await;
    let server = Server::open(Config::default(), &cluster.url())
        .await
        .unwrap();
    let other = Server::open(Config::default(), &cluster.url())
        .await
        .unwrap();
    let (one, two) = tokio::join!(server.prepare_database(), other.prepare_database());
    one.unwrap();
    two.unwrap();
    server.prepare_database().await.unwrap();
}

#[tokio::test]
async fn changed_migration_is_refused() {
    let cluster = Cluster::start().await;
    let server = cluster.server().await;
    let client = server.host().get().await.unwrap();
    client
        .batch_execute("UPDATE hearth.migrations SET checksum = 'x'")
        .await
        .unwrap();
    drop(client);
    let refused = server.prepare_database().await.unwrap_err();
    assert!(
        matches!(refused, OpenError::MigrationChanged { version: 1 }),
        "{refused}"
    );
}

/// As on a managed server, where the host's role owns its database and no more.
#[tokio::test]
async fn host_without_superuser_prepares_what_it_may() {
    let cluster = Cluster::start().await;
    let admin = cluster.connect(None).await;
    admin
        .batch_execute("CREATE ROLE tenant LOGIN CREATEROLE")
        .await
        .unwrap();
    admin
        .batch_execute("CREATE DATABASE theirs OWNER tenant")
        .await
        .unwrap();
    let url = cluster
        .url()
        .replace("hearth@", "tenant@")
        .replace("5432/hearth", "5432/theirs");
    let server = Server::open(Config::default(), &url).await.unwrap();
    server.prepare_database().await.unwrap();
    server.prepare_database().await.unwrap();
    let client = server.host().get().await.unwrap();
    let row = client
        .query_one(
            "SELECT has_database_privilege('public', current_database(), 'TEMPORARY')",
            &[],
        )
        .await
        .unwrap();
    assert!(!row.get::<_, bool>(0));
}

#[tokio::test]
async fn taken_connections_end_the_wait_and_sessions_are_bounded() {
    let cluster = Cluster::start().await;
    let config = Config {
        host_connections_max: 1,
        wait_ms_max: 50,
        ..Config::default()
    };
    let server = cluster.server_with(config).await;
    let held = server.host().get().await.unwrap();
    assert!(pool_unavailable(&server.host().get().await.unwrap_err()));
    for (name, wanted) in [
        ("statement_timeout", "5s"),
        ("lock_timeout", "1s"),
        ("idle_in_transaction_session_timeout", "30s"),
        ("application_name", "hearth"),
    ] {
        let row = held
            .query_one("SELECT current_setting($1)", &[&name])
            .await
            .unwrap();
        assert_eq!(row.get::<_, &str>(0), wanted);
    }
}

#[tokio::test]
async fn what_waiting_cannot_mend_is_refused_at_once() {
    let cluster = Cluster::start().await;
    let open = async |url: &str| {
        let config = Config {
            start_ms_max: u64::from(u32::MAX),
            ..Config::default()
        };
        Server::open(config, url).await.unwrap_err()
    };
    let unknown = open(&cluster.url().replace("5432/hearth", "5432/nowhere")).await;
    assert!(
        matches!(&unknown, OpenError::Refused(why) if why.contains("nowhere")),
        "{unknown}"
    );
    let stranger = open(&cluster.url().replace("hearth@", "stranger@")).await;
    assert!(matches!(stranger, OpenError::Refused(_)), "{stranger}");
    let malformed = open("postgres://u:hunter2@h:port/d").await;
    assert!(matches!(malformed, OpenError::Url(_)), "{malformed}");
    assert!(!malformed.to_string().contains("hunter2"));
    let none = Config {
        host_connections_max: 0,
        ..Config::default()
    };
    assert!(matches!(
        Server::open(none, &cluster.url()).await,
        Err(OpenError::Limits(_))
    ));
}

#[tokio::test]
async fn server_that_is_away_is_waited_for() {
    let mut cluster = Cluster::start().await;
    let url = cluster.url();
    cluster.pause().await;
    let config = Config {
        start_ms_max: 200,
        ..Config::default()
    };
    let away = Server::open(config, &url).await.unwrap_err();
    assert!(matches!(away, OpenError::Away { .. }), "{away}");
    let (opened, ()) = tokio::join!(Server::open(Config::default(), &url), cluster.resume());
    opened.unwrap();
}

#[tokio::test]
async fn tls_is_spoken_and_its_certificate_verified() {
    let external = External::start().await;
    let trusting = || Config {
        tls_root_file: Some(external.root_file()),
        ..Config::default()
    };
    let url = external.url("localhost", "?sslmode=verify-full");
    let server = Server::open(trusting(), &url).await.unwrap();
    let client = server.host().get().await.unwrap();
    let row = client
        .query_one(
            "SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
            &[],
        )
        .await
        .unwrap();
    assert!(row.get::<_, bool>(0));
    assert!(row.get::<_, &str>(1).starts_with("TLSv1."));

    let untrusted = Server::open(Config::default(), &url).await.unwrap_err();
    assert!(matches!(untrusted, OpenError::Tls(_)), "{untrusted}");
    let other_name = external.url("127.0.0.1", "?sslmode=require");
    let other_name = Server::open(trusting(), &other_name).await.unwrap_err();
    assert!(matches!(other_name, OpenError::Tls(_)), "{other_name}");
}

#[tokio::test]
async fn authorities_that_the_url_names_are_trusted_as_libpq_does() {
    let external = External::start().await;
    let open = async |root: &str, config: Config| {
        let options = format!("?sslmode=verify-full&sslrootcert={root}");
        Server::open(config, &external.url("localhost", &options)).await
    };
    let root = external.root_file().display().to_string();
    open(&root, Config::default()).await.unwrap();
    // What the URL says wins over the configuration.
    let elsewhere = || Config {
        tls_root_file: Some("/nowhere.pem".into()),
        ..Config::default()
    };
    open(&root, elsewhere()).await.unwrap();
    let machine = open("system", elsewhere()).await.unwrap_err();
    assert!(matches!(machine, OpenError::Tls(_)), "{machine}");
    assert!(machine.to_string().contains("database.tls_root_file"));
    let missing = open("/nowhere.pem", Config::default()).await.unwrap_err();
    assert!(matches!(missing, OpenError::Roots(_)), "{missing}");
    assert!(missing.to_string().contains("/nowhere.pem"), "{missing}");
    let without = external.url("localhost", "?sslmode=disable&sslrootcert=/nowhere.pem");
    Server::open(Config::default(), &without).await.unwrap();
}

#[tokio::test]
async fn wrong_password_is_refused_and_not_shown() {
    let external = External::start().await;
    let url = external
        .url("localhost", "?sslmode=disable")
        .replace("let%20me%20in", "hunter2");
    let config = Config {
        url: Some(Url::from(url.clone())),
        ..Config::default()
    };
    let server = Server::open(config.clone(), &url).await;
    let refused = server.unwrap_err();
    assert!(matches!(refused, OpenError::Refused(_)), "{refused}");
    assert!(!format!("{refused} {refused:?} {config:?}").contains("hunter2"));
}

#[tokio::test]
async fn root_file_without_certificates_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("root.pem");
    std::fs::write(&file, "no certificate").unwrap();
    let config = Config {
        tls_root_file: Some(file),
        ..Config::default()
    };
    let refused = Server::open(config, "postgres://u@localhost/d")
        .await
        .unwrap_err();
    assert!(matches!(refused, OpenError::Roots(_)), "{refused}");
}

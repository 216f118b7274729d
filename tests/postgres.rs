//! Reaching Postgres, and the private cluster.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use hearth::backend::postgres::{Config, OpenError, Server, Url, pool_unavailable, unavailable};
use hearth::embedded::postgres::{self as embedded, Reached, StartError, running_url};
use tokio_postgres::error::SqlState;

use crate::harness::postgres::{Cluster, External, postmaster, until};

/// Set for a child process that owns a cluster and is killed by its test.
const OWNED: &str = "HEARTH_TEST_OWNED_CLUSTER";

#[tokio::test]
async fn data_survives_stop_and_start() {
    let mut cluster = Cluster::start().await;
    let url = cluster.url();
    let client = cluster.connect(None).await;
    client
        .batch_execute("CREATE TABLE t (i int); INSERT INTO t VALUES (7)")
        .await
        .unwrap();
    drop(client);
    cluster.pause().await;
    cluster.resume().await;
    assert_eq!(cluster.url(), url);
    let row = cluster
        .connect(None)
        .await
        .query_one("SELECT i FROM t", &[])
        .await
        .unwrap();
    assert_eq!(row.get::<_, i32>(0), 7);
}

#[tokio::test]
async fn cluster_is_durable_and_reachable_by_its_private_socket_alone() {
    let cluster = Cluster::start().await;
    let client = cluster.connect(None).await;
    for (name, wanted) in [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("data_checksums", "on"),
        ("listen_addresses", ""),
        ("server_encoding", "UTF8"),
    ] {
        let row = client
            .query_one("SELECT current_setting($1)", &[&name])
            .await
            .unwrap();
        assert_eq!(row.get::<_, &str>(0), wanted, "{name}");
    }
    let row = client
        .query_one("SHOW unix_socket_directories", &[])
        .await
        .unwrap();
    let socket = row.get::<_, String>(0);
    let folder = std::fs::metadata(socket.trim_matches('"')).unwrap();
    assert_eq!(folder.permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn second_owner_is_refused_and_the_first_goes_on() {
    let cluster = Cluster::start().await;
    let refused = embedded::Cluster::start(None, &cluster.dir())
        .await
        .unwrap_err();
    assert!(matches!(refused, StartError::InUse(_)));
    assert!(
        refused.to_string().contains("another host is using"),
        "{refused}"
    );
    cluster
        .connect(None)
        .await
        .simple_query("SELECT 1")
        .await
        .unwrap();
}

#[tokio::test]
async fn folder_with_a_long_name_gets_its_socket_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("long".repeat(30));
    let cluster = embedded::Cluster::start(None, &dir).await.unwrap();
    let server = Server::open(Config::default(), &cluster.url())
        .await
        .unwrap();
    server
        .host()
        .get()
        .await
        .unwrap()
        .simple_query("SELECT 1")
        .await
        .unwrap();
    cluster.stop().await;
}

#[tokio::test]
async fn folder_without_binaries_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let named = Some(folder.path().to_owned());
    let refused = embedded::Cluster::start(named, &folder.path().join("p"))
        .await
        .unwrap_err();
    assert!(matches!(refused, StartError::NotBinaries(_)), "{refused}");
}

#[tokio::test]
async fn command_joins_a_serving_host_or_starts_the_cluster_for_a_moment() {
    let mut cluster = Cluster::start().await;
    assert_eq!(running_url(&cluster.dir()), Some(cluster.url()));
    let joined = Reached::reach(None, &cluster.dir()).await.unwrap();
    assert_eq!(joined.url, cluster.url());
    joined.close().await;
    cluster
        .connect(None)
        .await
        .simple_query("SELECT 1")
        .await
        .unwrap();

    cluster.pause().await;
    assert_eq!(running_url(&cluster.dir()), None);
    let own = Reached::reach(None, &cluster.dir()).await.unwrap();
    Server::open(Config::default(), &own.url).await.unwrap();
    own.close().await;
    assert_eq!(running_url(&cluster.dir()), None);
}

#[tokio::test]
async fn killed_postmaster_is_started_again_and_the_pool_recovers() {
    let cluster = Cluster::start().await;
    let server = cluster.server().await;
    let client = server.host().get().await.unwrap();
    client
        .batch_execute("CREATE TABLE public.t (i int); INSERT INTO public.t VALUES (7)")
        .await
        .unwrap();
    let before = cluster.postmaster();
    kill(before, libc::SIGKILL);
    until(async || client.simple_query("SELECT 1").await.is_err()).await;
    let error = client.simple_query("SELECT 1").await.unwrap_err();
    assert!(unavailable(&error), "{error:?}");
    drop(client);
    until(async || match server.host().get().await {
        Ok(client) => client
            .query_one("SELECT i FROM public.t", &[])
            .await
            .is_ok(),
        Err(error) => {
            assert!(pool_unavailable(&error));
            false
        }
    })
    .await;
    assert_ne!(cluster.postmaster(), before);
}

/// Not a test by itself: the process that the next test kills.
#[tokio::test]
async fn owner_to_be_killed() {
    let Some(dir) = std::env::var_os(OWNED) else {
        return;
    };
    let cluster = embedded::Cluster::start(None, dir.as_ref()).await.unwrap();
    println!("{}", cluster.url());
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn postgres_of_a_killed_owner_ends_and_the_next_owner_recovers() {
    recovers_from(|owner, _| kill(owner, libc::SIGKILL)).await;
}

#[tokio::test]
async fn next_owner_recovers_when_owner_and_postgres_were_killed() {
    recovers_from(|owner, postmaster| {
        kill(postmaster, libc::SIGKILL);
        kill(owner, libc::SIGKILL);
    })
    .await;
}

async fn recovers_from(disaster: impl Fn(i32, i32)) {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("postgres");
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["postgres::owner_to_be_killed", "--exact", "--nocapture"])
        .env(OWNED, &dir)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut url = None;
    until(async || {
        url = running_url(&dir).filter(|_| dir.join("data/postmaster.pid").exists());
        url.is_some()
    })
    .await;
    let server = Server::open(Config::default(), &url.unwrap())
        .await
        .unwrap();
    let client = server.host().get().await.unwrap();
    client
        .batch_execute("CREATE TABLE public.t (i int); INSERT INTO public.t VALUES (7)")
        .await
        .unwrap();
    let orphan = postmaster(&dir).unwrap();
    disaster(owner.id() as i32, orphan);
    owner.wait().unwrap();

    // At once, while the orphan may still be shutting down.
    let cluster = embedded::Cluster::start(None, &dir).await.unwrap();
    assert_ne!(postmaster(&dir).unwrap(), orphan);
    until(async || !std::path::Path::new(&format!("/proc/{orphan}/cwd")).exists()).await;
    let server = Server::open(Config::default(), &cluster.url())
        .await
        .unwrap();
    let client = server.host().get().await.unwrap();
    let row = client
        .query_one("SELECT i FROM public.t", &[])
        .await
        .unwrap();
    assert_eq!(row.get::<_, i32>(0), 7);
    cluster.stop().await;
}

#[tokio::test]
async fn pid_file_that_names_another_process_is_no_obstacle() {
    let mut cluster = Cluster::start().await;
    cluster.pause().await;
    let mut other = Command::new("sleep").arg("1000").spawn().unwrap();
    let data = cluster.dir().join("data");
    let stale = format!(
        "{}\n{}\n1700000000\n5432\n\n\n\nready\n",
        other.id(),
        data.display()
    );
    std::fs::write(data.join("postmaster.pid"), stale).unwrap();
    cluster.resume().await;
    cluster
        .connect(None)
        .await
        .simple_query("SELECT 1")
        .await
        .unwrap();
    other.kill().unwrap();
    other.wait().unwrap();
}

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

fn kill(process: i32, signal: i32) {
    // SAFETY: no memory is shared with the process.
    assert_eq!(unsafe { libc::kill(process, signal) }, 0);
}

//! Reaching Postgres, and the private cluster.

mod any_server;
mod managed;
mod user;

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use hearth::backend::postgres::{Config, Embedded, Server, pool_unavailable, unavailable};
use hearth::config::Config as HostConfig;
use hearth::embedded::postgres::{self as embedded, Reached, StartError, running_url};
use tokio_postgres::NoTls;

use crate::harness::host::Setup;
use crate::harness::postgres::{Cluster, children, named, postmaster, until};

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
async fn processes_have_bounds_and_the_kernel_ends_them_before_the_host() {
    let cluster = Cluster::start().await;
    let client = cluster.connect(None).await;
    let limit = client.query_one("SHOW temp_file_limit", &[]).await.unwrap();
    assert_eq!(limit.get::<_, &str>(0), "1GB");
    let postmaster = cluster.postmaster();
    let read = |process: i32, file: &str| {
        std::fs::read_to_string(format!("/proc/{process}/{file}")).unwrap()
    };
    let score = |process: i32| -> i32 { read(process, "oom_score_adj").trim().parse().unwrap() };
    let own = score(std::process::id() as i32);
    assert_eq!(score(postmaster), own);
    let row = client
        .query_one("SELECT pg_backend_pid()", &[])
        .await
        .unwrap();
    let backend: i32 = row.get(0);
    assert_eq!(score(backend), (own + 500).min(1_000));
    let limits = read(backend, "limits");
    let space = limits
        .lines()
        .find(|line| line.starts_with("Max address space"))
        .unwrap();
    let bound = Embedded::default().backend_memory_bytes_max.to_string();
    assert_eq!(
        space
            .split_whitespace()
            .filter(|word| **word == *bound)
            .count(),
        2,
        "{space}"
    );
}

#[tokio::test]
async fn nothing_of_the_hosts_environment_gets_into_the_cluster() {
    let host = Setup::new()
        .bare()
        .env("AWS_SECRET_ACCESS_KEY", "canary")
        .env("HEARTH_CANARY", "canary")
        .env("PGPASSWORD", "canary")
        .env("PGDATA", "/nowhere")
        .start();
    let dir = host.data_dir().join("postgres");
    let postmaster = postmaster(&dir).unwrap();
    for process in [vec![postmaster], children(postmaster)].concat() {
        let environment = std::fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
        let environment = String::from_utf8_lossy(&environment).into_owned();
        assert!(!environment.contains("canary"), "{environment}");
    }
    let config: tokio_postgres::Config = running_url(&dir).unwrap().parse().unwrap();
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
        .batch_execute(
            "CREATE TEMP TABLE environment (line text);
             COPY environment FROM PROGRAM 'env'",
        )
        .await
        .unwrap();
    let rows = client
        .query("SELECT line FROM environment", &[])
        .await
        .unwrap();
    let lines: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("PG_OOM_ADJUST_VALUE=")),
        "{lines:?}"
    );
    let known = [
        "PATH=",
        "LD_LIBRARY_PATH=",
        "LC_",
        "PG_OOM_ADJUST_",
        "PWD=",
        "SHLVL=",
        "_=",
        "PGDATA=",
        "PGLOCALEDIR=",
        "PGSYSCONFDIR=",
        "OLDPWD=",
    ];
    for line in &lines {
        assert!(
            !line.contains("canary") && !line.contains("/nowhere"),
            "{line}"
        );
        assert!(known.iter().any(|name| line.starts_with(name)), "{line}");
    }
}

#[tokio::test]
async fn plugin_of_the_largest_size_can_be_stored_and_read_within_the_bounds() {
    let cluster = Cluster::start().await;
    let client = cluster.connect(None).await;
    client
        .batch_execute("CREATE TABLE packed (bytes bytea)")
        .await
        .unwrap();
    let largest = HostConfig::default().engine.component_bytes_max;
    let bytes: Vec<u8> = (0..largest).map(|at| ((at * 31) >> 3) as u8).collect();
    client
        .execute("INSERT INTO packed VALUES ($1)", &[&bytes])
        .await
        .unwrap();
    let row = client
        .query_one("SELECT bytes FROM packed", &[])
        .await
        .unwrap();
    assert!(row.get::<_, &[u8]>(0) == bytes, "it came back as another");
}

#[tokio::test]
async fn second_owner_is_refused_and_the_first_goes_on() {
    let cluster = Cluster::start().await;
    let refused = embedded::Cluster::start(named(), &cluster.dir())
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
    let cluster = embedded::Cluster::start(named(), &dir).await.unwrap();
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
    let cluster = embedded::Cluster::start(named(), dir.as_ref())
        .await
        .unwrap();
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
    let cluster = embedded::Cluster::start(named(), &dir).await.unwrap();
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

fn kill(process: i32, signal: i32) {
    // SAFETY: no memory is shared with the process.
    assert_eq!(unsafe { libc::kill(process, signal) }, 0);
}

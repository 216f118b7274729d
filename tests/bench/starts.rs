//! How long starts take, and what a host takes that does nothing.

use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::StatusCode;

use super::frame::report::{self, BENCH};
use super::frame::rounds::Rounds;
use super::frame::row::{Bar, Question};
use super::hosts::{everything, trivial};
use super::peers::wasmtime;
use crate::harness::dynamodb::Private;
use crate::harness::fleet::Fleet;
use crate::harness::host::{Host, Setup};
use crate::harness::postgres::binaries;

const OURS: usize = 0;
const THEIRS: usize = 1;

const SECOND_START: Question = Question {
    name: "second-start",
    what: "second start, four plugins and their services, to ready, against `pg_ctl -w start` of the same cluster",
    unit: "ms",
    beside: "pg_ctl",
    bar: Bar::AtMost(4.0),
};

const DEPLOY: Question = Question {
    name: "deploy",
    what: "`hearth deploy` of what was compiled before, to its first answer, against a start of `wasmtime serve`",
    unit: "ms",
    beside: "wasmtime serve",
    bar: Bar::AtMost(0.5),
};

const IDLE: Question = Question {
    name: "idle-memory",
    what: "memory of an idle host, four plugins, without services of its own",
    unit: "MiB",
    beside: "",
    bar: Bar::AtMost(60.0),
};

fn ms(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1_000.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a benchmark"]
async fn second_one_beside_pg_ctl() {
    let mut host = everything(Setup::new()).start();
    host.stop();
    let data = host.data_dir().join("postgres/data");
    let rounds = Rounds::take(2, async |side| match side {
        OURS => second_start(&mut host).await,
        _ => start_of_postgres(&data),
    });
    let row = SECOND_START.of_sides(&rounds.await, [OURS, THEIRS], |took| *took);
    report::keep(BENCH, vec![row]);
}

async fn second_start(host: &mut Host) -> f64 {
    let began = Instant::now();
    host.restart();
    let ready = format!("{}/readyz", host.url);
    while host.client.get(&ready).send().await.unwrap().status() != StatusCode::OK {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let took = ms(began);
    host.stop();
    took
}

fn start_of_postgres(data: &Path) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let owner = std::fs::metadata(data).unwrap();
    chown(folder.path(), Some(owner.uid()), Some(owner.gid())).unwrap();
    let folder = folder.path().display();
    let settings = format!("-c listen_addresses= -c unix_socket_directories={folder}");
    let log = format!("{folder}/log");
    let began = Instant::now();
    pg_ctl(data, &["-w", "start", "-l", &log, "-o", &settings]);
    let took = ms(began);
    pg_ctl(data, &["-w", "stop", "-m", "fast"]);
    took
}

/// As whoever owns the cluster. Root's hosts run theirs as somebody who is root outside
/// of a user namespace, or as another user.
fn pg_ctl(data: &Path, args: &[&str]) {
    let program = binaries().join("pg_ctl");
    let owner = std::fs::metadata(data).unwrap();
    // SAFETY: geteuid touches no memory and cannot fail.
    let is_root = unsafe { libc::geteuid() } == 0;
    let mut command = match is_root && owner.uid() == 0 {
        true => {
            let mut command = Command::new("unshare");
            command.args(["--user", "--map-user=65534", "--map-group=65534"]);
            command.arg(program);
            command
        }
        false => Command::new(program),
    };
    if is_root && owner.uid() != 0 {
        command.uid(owner.uid()).gid(owner.gid());
    }
    command.args(args).arg("-D").arg(data).current_dir("/");
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
    assert!(
        status.as_ref().is_ok_and(|status| status.success()),
        "{command:?}: {status:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a benchmark"]
async fn of_a_deployment_beside_wasmtime_serve() {
    let (fleet, folder) = (Fleet::start().await, tempfile::tempdir().unwrap());
    let host = fleet.host(|setup| setup.guest("echo", &[], ""));
    let key = host.key("acme", &[]);
    let files = ["0.1.0", "0.2.0"].map(|version| {
        let file = folder.path().join(version);
        std::fs::write(&file, trivial("quick", version, "")).unwrap();
        file
    });
    let mut turn = 0;
    let mut deploy = async || {
        let began = Instant::now();
        let file = files[turn % files.len()].display().to_string();
        turn += 1;
        let told = host.cli(&["deploy", "--admin", &host.admin, &file]);
        assert!(
            told.status.success(),
            "{}",
            String::from_utf8_lossy(&told.stderr)
        );
        let answer = host.get("/quick", &key).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        ms(began)
    };
    // Both are compiled once.
    deploy().await;
    deploy().await;
    let compiled = wasmtime::compiled(folder.path());
    let rounds = Rounds::take(2, async |side| match side {
        OURS => deploy().await,
        _ => {
            let began = Instant::now();
            let server = wasmtime::serve(&compiled, false);
            let answer = host
                .client
                .get(format!("{}/quick", server.url))
                .send()
                .await;
            assert_eq!(answer.unwrap().status(), StatusCode::OK);
            ms(began)
        }
    });
    let row = DEPLOY.of_sides(&rounds.await, [OURS, THEIRS], |took| *took);
    report::keep(BENCH, vec![row]);
}

/// How long a host has nothing to do before one looks.
const IDLE_FOR: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a benchmark"]
async fn and_then_nothing_to_do() {
    let (fleet, dynamo) = (Fleet::start().await, Private::start().await);
    let elsewhere = format!(
        "[dynamodb]\nendpoint_url = {:?}\ncreate_tables = true",
        dynamo.url()
    );
    let host = fleet.host(|setup| {
        everything(setup.config(&elsewhere))
            .env("AWS_ACCESS_KEY_ID", "bench")
            .env("AWS_SECRET_ACCESS_KEY", "bench")
            .env("AWS_REGION", "eu-central-1")
    });
    tokio::time::sleep(IDLE_FOR).await;
    let mebibytes = host.resident_bytes() as f64 / f64::from(1 << 20);
    report::keep(BENCH, vec![IDLE.of_one(mebibytes)]);
}

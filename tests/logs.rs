//! `hearth logs`: the latest lines of a running host, and those that follow.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use reqwest::StatusCode;

use crate::harness::host::{Host, Setup, binary};
use crate::harness::postgres::until;

fn host(more: &str) -> Host {
    Setup::new()
        .guest("echo", &[], "")
        .guest("effects", &["sql"], "")
        .config(more)
        .start()
}

/// What the command prints.
fn shown(host: &Host, args: &[&str]) -> Vec<String> {
    let admin = ["--admin", host.admin.as_str()];
    let output = host.cli(&[&["logs"], args, &admin].concat());
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

async fn ask(host: &Host, key: &str, path: &str) {
    let answer = host.get(path, key).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
    answer.bytes().await.unwrap();
}

/// Lines that name a path, as often as they do.
fn naming<'l>(lines: &'l [String], path: &str) -> Vec<&'l String> {
    lines.iter().filter(|line| line.contains(path)).collect()
}

/// The command that follows, and what it has printed.
struct Following {
    child: Child,
    lines: Receiver<String>,
}

impl Following {
    fn start(host: &Host, args: &[&str]) -> Following {
        let mut child = Command::new(binary())
            .args(["logs", "--follow", "--admin", &host.admin, "--token-file"])
            .arg(host.data_dir().join("admin-token"))
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            out.lines()
                .map_while(Result::ok)
                .all(|line| sender.send(line).is_ok())
        });
        Following { child, lines }
    }

    /// The next line with this text.
    fn next(&self, text: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(Duration::from_secs(60)).unwrap();
            if line.contains(text) {
                return line;
            }
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn latest_lines_are_shown_of_all_or_of_one_plugin() {
    let host = host("");
    let key = host.key("acme", &[]);
    for number in 0..5 {
        ask(&host, &key, &format!("/echo/large/{number}")).await;
    }
    ask(&host, &key, "/effects/").await;
    until(async || !naming(&shown(&host, &[]), "/effects/").is_empty()).await;
    let all = shown(&host, &[]);
    assert_eq!(naming(&all, "/echo/large/").len(), 5, "{all:#?}");
    let of_effects = shown(&host, &["effects"]);
    let is_own = |line: &String| line.contains(" plugin=effects deployment=1");
    assert!(of_effects.iter().all(is_own), "{of_effects:#?}");
    assert_eq!(naming(&of_effects, "/effects/").len(), 1);
    let last = shown(&host, &["echo", "--lines", "2"]);
    let paths = [
        naming(&last, "/echo/large/3").len(),
        naming(&last, "/echo/large/4").len(),
    ];
    assert_eq!((last.len(), paths), (2, [1, 1]), "{last:#?}");
    assert_eq!(shown(&host, &["nobody"]), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn follower_sees_each_line_once_and_ends_with_the_host() {
    let mut host = host("[telemetry]\nlog_format = \"json\"");
    let key = host.key("acme", &[]);
    ask(&host, &key, "/echo/large/1").await;
    until(async || !naming(&shown(&host, &["echo"]), "/echo/large/1").is_empty()).await;
    let mut following = Following::start(&host, &["echo"]);
    following.next("/echo/large/1");
    for number in 2..30 {
        ask(&host, &key, &format!("/echo/large/{number}")).await;
        ask(&host, &key, "/effects/").await;
    }
    for number in 2..30 {
        let line = following.next("\"target\":\"access\"");
        let path = format!("\"path\":\"/echo/large/{number}\"");
        assert!(line.contains(&path), "{path} {line}");
    }
    assert!(host.stop().success());
    assert!(following.child.wait().unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_follow_than_may() {
    let host = host("[telemetry]\nlog_followers_max = 1");
    let first = Following::start(&host, &[]);
    first.next("serving");
    let second = host.cli(&["logs", "--follow", "--admin", &host.admin]);
    let told = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(1), "{told}");
    assert!(told.contains("telemetry.log_followers_max"), "{told}");
    assert!(!shown(&host, &[]).is_empty(), "who does not follow reads");
    drop(first);
    until(async || {
        let next = Following::start(&host, &[]);
        next.lines.recv_timeout(Duration::from_secs(10)).is_ok()
    })
    .await;
}

#[test]
fn what_is_asked_wrongly_is_refused() {
    let host = host("");
    let refused = host.cli(&["logs", "No Name", "--admin", &host.admin]);
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(told.contains("is not a valid plugin name"), "{told}");
}

//! What keeps a deploy by mistake from taking away what serves, and what the
//! configuration's section is to a plugin that is deployed by command.

use std::path::Path;

use hearth::plugin::package::{PackageParts, pack};
use serde_json::{Value, json};

use super::versions::{COMES, FIRST, echo, echo_titled, notes, written};
use super::{deploy, is, who};
use crate::harness::host::{Host, Setup, guest};
use crate::harness::postgres::until;

/// The echo guest with these routes at that mount.
fn routed(mount: &str, routes: &[&str]) -> Vec<u8> {
    let operation = |(at, path): (usize, &&str)| {
        let answers = json!({"200": {"description": "What was sent."}});
        let get = json!({"operationId": format!("get{at}"), "responses": answers});
        ((*path).to_owned(), json!({ "get": get }))
    };
    let paths: serde_json::Map<String, Value> = routes.iter().enumerate().map(operation).collect();
    let part = json!({
        "openapi": "3.1.0",
        "info": {"title": "Echo", "version": "0.2.0"},
        "paths": paths,
    });
    let parts = PackageParts {
        manifest: format!(
            "name = \"echo\"\nversion = \"0.2.0\"\nmount = \"{mount}\"\nworld = \"plugin\"\n\
             openapi = \"openapi.json\"\n"
        ),
        openapi: Some(part.to_string()),
        ..PackageParts::default()
    };
    pack(&std::fs::read(guest("echo")).unwrap(), &parts).unwrap()
}

/// Runs `hearth deploy` on a file; the exit status, and what it said.
fn command(host: &Host, file: &Path, more: &[&str]) -> (Option<i32>, String) {
    let file = file.display().to_string();
    let args = [&["deploy", &file, "--admin", &host.admin][..], more].concat();
    let ended = host.cli(&args);
    let told = String::from_utf8_lossy(&ended.stderr).into_owned();
    (ended.status.code(), told)
}

/// Waits until the host's log says so; it is written beside what it tells of.
async fn says(host: &Host, text: &str) {
    until(async || host.log().contains(text)).await;
}

#[tokio::test]
async fn foreign_file_is_shown_with_what_it_takes_away_and_replaces_where_that_is_meant() {
    let dir = tempfile::tempdir().unwrap();
    let serving = written(dir.path(), &routed("/echo", &["/echo/a", "/echo/b"]));
    let host = Setup::new().plugin("echo", &serving, &[], "").start();
    let key = host.key("acme", &[]);

    // More routes take nothing away, and neither does another version of the same ones.
    let more = routed("/echo", &["/echo/a", "/echo/b", "/echo/c"]);
    assert_eq!(deploy(&host, more, "").await["label"], "echo@2");

    let foreign = written(dir.path(), &routed("/other", &["/other/a"]));
    let (code, told) = command(&host, &foreign, &[]);
    assert_eq!(code, Some(1), "{told}");
    for part in [
        "was not deployed, because the step `replace`",
        "it is mounted at /other, but echo@2 at /echo",
        "it lacks routes of echo@2: GET /echo/b, GET /echo/c",
        "--replace",
    ] {
        assert!(told.contains(part), "`{part}` is missing: {told}");
    }
    assert_eq!(who(&host, &key, "/echo/none").await, is("echo@2", FIRST));

    let (code, told) = command(&host, &foreign, &["--replace"]);
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(who(&host, &key, "/other/none").await, is("echo@3", FIRST));
}

#[tokio::test]
async fn plugin_deployed_by_command_has_what_its_section_without_a_file_says() {
    let section = "[plugins.notes]\nmount = \"/there\"\ngrants = [\"sql\", \"log\"]\n\
                   [plugins.notes.limits]\nbody_bytes_max = 10\n";
    let host = Setup::new().config(section).start();
    says(&host, "its section has no file").await;
    let key = host.key("acme", &[]);
    let file = notes("0.1.0", &[], "", &["sql", "log"]);
    let served = deploy(&host, file, "").await;
    assert_eq!(served["result"], "serving", "{served}");
    assert_eq!(who(&host, &key, "/there/none").await, is("notes@1", FIRST));
    let large = host.post("/there", &key).body("more than ten bytes");
    assert_eq!(large.send().await.unwrap().status(), 413);
}

#[tokio::test]
async fn newer_deploy_by_command_stays_when_the_configurations_file_changes_and_the_log_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let file = written(dir.path(), &echo("0.1.0"));
    let mut host = Setup::new().plugin("echo", &file, &[], "").start();
    let key = host.key("acme", &[]);
    assert_eq!(deploy(&host, echo_titled("0.2.0"), "").await["number"], 2);
    host.kill();
    written(dir.path(), &echo("0.3.0"));
    host.restart_with("HEARTH_PLUGIN_NOBODY_GREETING", "hello");
    assert_eq!(who(&host, &key, "/echo/none").await, is("echo@2", COMES));
    says(&host, "echo@2, which was deployed by command, still serves").await;
    says(&host, &format!("`hearth deploy {}`", file.display())).await;
    says(
        &host,
        "an environment variable sets a plugin that is not configured",
    )
    .await;
    says(&host, "HEARTH_PLUGIN_NOBODY_GREETING").await;

    // Deployed by command, the file serves.
    let (code, told) = command(&host, &file, &[]);
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(who(&host, &key, "/echo/none").await, is("echo@3", FIRST));
}

#[tokio::test]
async fn file_of_the_configuration_that_takes_something_away_serves_and_the_log_says_what() {
    let dir = tempfile::tempdir().unwrap();
    let file = written(dir.path(), &routed("/echo", &["/echo/a"]));
    let mut host = Setup::new().plugin("echo", &file, &[], "").start();
    let key = host.key("acme", &[]);
    host.kill();
    written(dir.path(), &echo("0.2.0"));
    host.restart();
    assert_eq!(who(&host, &key, "/echo/none").await, is("echo@2", FIRST));
    says(&host, "it lacks routes of echo@1: GET /echo/a").await;
}

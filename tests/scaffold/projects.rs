//! Each template, each with the SDK from another place, up to its answer.

use std::path::Path;

use hearth::plugin::package::Package;
use serde_json::{Value, json};
use toml::Table;

use super::{checkout, done, next, test_natively};
use crate::harness::host::{Host, Setup};
use crate::harness::postgres::until;

/// Makes a project, tests it and builds it, by what the commands name as the next. Answers
/// what the build told.
fn built(folder: &Path, args: &[&str]) -> String {
    let told = done(folder, &[&["new"], args].concat());
    test_natively(&folder.join(args[0]));
    let command = next(&told, "next:");
    assert_eq!(command, ["build", args[0]]);
    let told = done(folder, &command);
    check_configuration(&folder.join(args[0]), args[0]);
    told
}

/// What hearth.toml grants is what plugin.toml asks for.
fn check_configuration(project: &Path, name: &str) {
    let packed = std::fs::read(project.join(format!("target/{name}.wasm"))).unwrap();
    let grants = Package::read(packed).unwrap().manifest.grants;
    let mut asked: Vec<String> = grants.iter().map(ToString::to_string).collect();
    let text = std::fs::read_to_string(project.join("hearth.toml")).unwrap();
    let config: Table = text.parse().unwrap();
    let granted = config["plugins"][name]["grants"].as_array().unwrap();
    let mut granted: Vec<&str> = granted
        .iter()
        .map(|grant| grant.as_str().unwrap())
        .collect();
    asked.sort();
    granted.sort();
    assert_eq!(granted, asked);
}

/// The commands of docs/plugins/quickstart.md are those that were run and are named next.
fn check_document(told: &str) {
    let text = std::fs::read_to_string(checkout().join("docs/plugins/quickstart.md")).unwrap();
    let mut shown = text.lines().filter_map(|line| line.strip_prefix("    $ "));
    assert_eq!(shown.next(), Some("hearth new notes"));
    assert_eq!(shown.next(), Some("hearth build notes"));
    for command in shown.filter(|command| !command.starts_with("curl")).take(2) {
        assert!(
            told.contains(&format!("  {command}\n")),
            "{command}: {told}"
        );
    }
}

/// Deploys by the command that a build named, in the folder where it was named.
fn deploy(host: &Host, folder: &Path, told: &str) {
    let command = next(told, "next, with a running host:");
    let (file, rest) = (folder.join(command[1]), &command[2..]);
    let file = file.display().to_string();
    let args = [&["deploy", &file], rest, &["--admin", &host.admin]].concat();
    let output = host.cli(&args);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{args:?}: {told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notes_of_the_template_http_are_served_with_the_configuration_beside_them() {
    // In a checkout the SDK is where it lies there.
    let within = checkout().join("target/tmp");
    std::fs::create_dir_all(&within).unwrap();
    let folder = tempfile::tempdir_in(&within).unwrap();
    let told = built(folder.path(), &["notes"]);
    check_document(&told);
    let project = folder.path().join("notes");
    let serve = "or, with a host of its own:\n  cd notes && hearth serve --demo\n";
    assert!(told.ends_with(serve), "{told}");
    let config = std::fs::read_to_string(project.join("hearth.toml")).unwrap();
    let packed = project.join("target/notes.wasm").display().to_string();
    let config = config.replace("target/notes.wasm", &packed);
    let host = Setup::new().config(&config).arg("--demo").start();
    let shown = host.printed.iter().find(|line| line.contains("curl"));
    let shown = shown.unwrap_or_else(|| panic!("{:?}", host.printed));
    let words: Vec<&str> = shown.split('\'').collect();
    assert_eq!(words[1], format!("{}/notes?limit=1", host.url));
    let key = words[3].strip_prefix("X-API-Key: ").unwrap();
    let empty: Value = host
        .client
        .get(words[1])
        .header("x-api-key", key)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(empty, json!([]));
    let note = host.post("/notes", key).json(&json!({"text": "one"}));
    let note = note.send().await.unwrap();
    assert_eq!(note.status(), 201);
    let place = note.headers()["location"].to_str().unwrap().to_owned();
    let note: Value = host
        .get(&place, key)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(note["text"], "one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_of_the_template_worker_come_by_the_clock() {
    let folder = tempfile::tempdir().unwrap();
    let sdk = checkout().join("plugins/sdk").display().to_string();
    let args = ["scaffold-worker", "--template", "worker", "--sdk", &sdk];
    let told = built(folder.path(), &args);
    let clock = folder.path().join("clock").display().to_string();
    let setup = Setup::new().config("[schedule]\nlook_ms = 50");
    let host = setup.env("HEARTH_CLOCK_FILE", &clock).start();
    deploy(&host, folder.path(), &told);
    host.key("acme", &[]);
    std::fs::write(&clock, (3_600_000).to_string()).unwrap();
    until(async || host.log().contains("a letter came")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn words_of_the_template_full_are_counted_far_from_any_checkout() {
    let folder = tempfile::tempdir().unwrap();
    let told = built(folder.path(), &["scaffold-full", "--template", "full"]);
    let copy = folder.path().join("scaffold-full/vendor/hearth-plugin");
    assert!(copy.join("wit/world.wit").is_file());
    let host = Setup::new().start();
    deploy(&host, folder.path(), &told);
    let key = host.key("acme", &[]);
    let note = host
        .post("/scaffold-full", &key)
        .json(&json!({"text": "one two"}));
    let note: Value = note.send().await.unwrap().json().await.unwrap();
    assert_eq!(note["words"], Value::Null);
    let place = format!("/scaffold-full/{}", note["id"].as_str().unwrap());
    until(async || {
        let note = host.get(&place, &key).send().await.unwrap();
        note.json::<Value>().await.unwrap()["words"] == 2
    })
    .await;
}

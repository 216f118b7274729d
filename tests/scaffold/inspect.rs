//! `hearth inspect`, and what shells complete.

use hearth::plugin::package::Package;
use serde_json::Value;

use super::done;
use crate::harness::host::plugin;

#[test]
fn plugin_tells_what_it_consists_of_and_asks_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = plugin("tickets");
    let (bytes, file) = (std::fs::read(&file).unwrap(), file.display().to_string());
    let told = done(folder.path(), &["inspect", &file]);
    for text in [
        "  mount: /support\n",
        " code\n",
        "  hearth:plugin/sql@0.1.0\n",
        "  hearth:plugin/handler@0.1.0\n",
        "grants\n",
        "  consume:ticket-clocks\n",
        "  GET /support/tickets/{id}\n",
        "consumed queues\n  ticket-clocks: ",
        "schedules\n  review: 17 * * * *",
        "  0001_tickets\n",
    ] {
        assert!(told.contains(text), "{text} is missing: {told}");
    }
    let json: Value =
        serde_json::from_str(&done(folder.path(), &["inspect", &file, "--json"])).unwrap();
    let package = Package::read(bytes.clone()).unwrap();
    assert_eq!(json["digest"], package.digest.to_string());
    let sections = json["sections"].as_array().unwrap();
    let sum: u64 = sections
        .iter()
        .map(|one| one["bytes"].as_u64().unwrap())
        .sum();
    assert_eq!(sum, bytes.len() as u64);
    let count = |list: &str| json[list].as_array().unwrap().len();
    assert_eq!(count("grants"), package.manifest.grants.len());
    assert_eq!(count("migrations"), package.migrations.len());
    assert_eq!(count("statements"), package.statements.len());
    let (first, declared) = (&json["statements"][0], &package.statements[0]);
    assert_eq!(
        (first["name"].as_str(), first["text"].as_str()),
        (Some(&*declared.name), Some(&*declared.text))
    );
}

#[test]
fn shells_are_told_every_command() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let script = done(folder.path(), &["completions", shell]);
        for command in ["new", "build", "inspect", "deploy", "silence-ms-max"] {
            assert!(script.contains(command), "{shell} does not know {command}");
        }
    }
}

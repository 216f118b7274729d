//! Every command once, against a real host that begins without plugins.

use std::path::Path;
use std::process::Output;

use hearth::plugin::package::{PackageParts, pack};
use serde_json::Value;

use crate::harness::host::{Host, Setup, plugin};
use crate::harness::setup::TICKETS_GRANTS;

/// The tickets plugin under another version.
fn tickets(folder: &Path, version: &str) -> String {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/tickets/plugin.toml");
    let mut parts = PackageParts::read(&manifest).unwrap();
    let wanted = format!("version = {version:?}");
    parts.manifest = parts.manifest.replace("version = \"0.1.0\"", &wanted);
    let component = std::fs::read(plugin("tickets")).unwrap();
    let file = folder.join(format!("tickets-{version}.wasm"));
    std::fs::write(&file, pack(&component, &parts).unwrap()).unwrap();
    file.display().to_string()
}

fn ask(host: &Host, args: &[&str]) -> Output {
    host.cli(&[args, &["--admin", &host.admin]].concat())
}

#[track_caller]
fn done(host: &Host, args: &[&str]) -> String {
    let output = ask(host, args);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{args:?}: {told}\n{}",
        host.log()
    );
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn label(text: &str) -> String {
    let last: Value = serde_json::from_str(text).unwrap();
    assert_eq!(last["result"], "serving");
    last["label"].as_str().unwrap().to_owned()
}

#[test]
fn a_plugin_is_deployed_looked_at_rolled_back_and_undeployed() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (
        tickets(folder.path(), "0.1.1"),
        tickets(folder.path(), "0.2.0"),
    );
    let host = Setup::new().start();
    assert_eq!(done(&host, &["status"]), "no plugin is serving\n");
    let refused = ask(&host, &["deploy", &old]);
    let told = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{told}");
    assert!(told.contains("tickets was not deployed"), "{told}");
    let asked = told.split("--approve ").nth(1).unwrap_or_default();
    let asked: Vec<&str> = asked.split([',', ' ', '\n']).collect();
    let missing = |grant: &&str| !asked.contains(grant);
    assert_eq!(TICKETS_GRANTS.into_iter().find(missing), None, "{told}");
    let grants = TICKETS_GRANTS.join(",");
    let approve = ["deploy", &old, "--approve", &grants, "--json"];
    let first = label(&done(&host, &approve));
    // What was approved stays approved.
    let second = label(&done(&host, &["deploy", &new, "--json"]));
    assert_ne!(first, second);
    let status = done(&host, &["status"]);
    assert!(
        status.contains(&second) && status.contains("0.2.0"),
        "{status}"
    );
    let diff = done(&host, &["diff", &first, &second]);
    assert!(diff.contains("~ version: 0.1.1 -> 0.2.0"), "{diff}");
    assert_eq!(done(&host, &["diff", &first, &old]), "no difference\n");
    assert_eq!(
        label(&done(&host, &["rollback", "tickets", "--json"])),
        first
    );
    let history = done(&host, &["history", "tickets"]);
    let serving: Vec<&str> = history
        .lines()
        .filter(|line| line.starts_with('*'))
        .collect();
    assert!(
        serving.len() == 1 && serving[0].contains("0.1.1"),
        "{history}"
    );
    let gone = done(&host, &["undeploy", "tickets"]);
    assert!(
        gone.starts_with(&format!("{first} is undeployed")),
        "{gone}"
    );
    assert_eq!(done(&host, &["status"]), "no plugin is serving\n");
    assert!(!done(&host, &["history", "tickets"]).contains('*'));
    let unknown = ask(&host, &["undeploy", "tickets"]);
    assert_eq!(unknown.status.code(), Some(1));
}

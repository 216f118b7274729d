//! Whose a channel is: plugins, and callers without a key.

use std::path::{Path, PathBuf};

use hearth::plugin::package::{PackageParts, pack};

use super::events::{Events, Next, client, listen};
use super::host;
use crate::harness::host::{Host, Setup, guest};
use crate::harness::postgres::until;

/// A guest under another name, mount and manifest.
fn packed(folder: &Path, component: &str, changes: &[(&str, &str)]) -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("guests/push.toml");
    let mut parts = PackageParts::read(&manifest).unwrap();
    for (from, to) in changes {
        assert!(parts.manifest.contains(from));
        parts.manifest = parts.manifest.replace(from, to);
    }
    let component = std::fs::read(guest(component)).unwrap();
    let file = folder.join(format!("{}.wasm", changes.len()));
    std::fs::write(&file, pack(&component, &parts).unwrap()).unwrap();
    file
}

fn listening(host: &Host, path: &str, key: Option<&str>) -> reqwest::RequestBuilder {
    let request = client().get(format!("{}{path}/stream?channels=inbox", host.url));
    match key {
        Some(key) => request.header("x-api-key", key),
        None => request,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plugins_and_calls_without_a_key_have_channels_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let public = [
        ("name = \"push\"", "name = \"open\""),
        ("mount = \"/push\"", "mount = \"/open\""),
        ("world = \"plugin\"", "world = \"plugin\"\npublic = true"),
    ];
    let file = packed(folder.path(), "push", &public);
    let host = Setup::new()
        .guest("push", &["push"], "")
        .plugin("open", &file, &["push"], "")
        .start();
    let key = host.key("acme", &[]);
    let spaces = [
        ("/push", Some(&*key)),
        ("/open", Some(&*key)),
        ("/open", None),
    ];
    let mut streams = Vec::new();
    for (path, key) in spaces {
        streams.push(Events::open(listening(&host, path, key)).await);
    }
    for (number, (path, key)) in spaces.into_iter().enumerate() {
        let request = host
            .client
            .post(format!("{}{path}/publish/inbox", host.url));
        let request = match key {
            Some(key) => request.header("x-api-key", key),
            None => request,
        };
        let answer = request.body(number.to_string()).send().await.unwrap();
        assert!(answer.status().is_success());
    }
    for (number, stream) in streams.iter_mut().enumerate() {
        assert_eq!(stream.data().await, number.to_string());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_end_when_what_serves_then_may_push_no_more() {
    let host = host("");
    let key = host.key("acme", &[]);
    let mut stream = listen(&host, &key, "inbox", "").await;
    let folder = tempfile::tempdir().unwrap();
    let file = packed(
        folder.path(),
        "echo",
        &[("grants = [\"push\"]", "grants = []")],
    );
    let file = file.display().to_string();
    let deployed = host.cli(&["deploy", &file, "--admin", &host.admin]);
    assert!(deployed.status.success(), "{deployed:?}");
    assert_eq!(stream.next().await, Next::Ended);
    until(async || super::streams(&host).await == 0.0).await;
}

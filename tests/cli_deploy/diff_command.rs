//! `hearth diff`: files and deployments, for people and as JSON.

use bytes::Bytes;
use hearth::capability::sql::gate::definitions;
use serde_json::Value;

use super::diff::{OLD, packed};
use super::server::{Piece, Server};
use super::{Folder, reaching};

fn new() -> Vec<u8> {
    let manifest = OLD
        .replace("0.1.0", "0.2.0")
        .replace("\"log\"", "\"cache\"");
    packed(&manifest, &[(1, "make", "B"), (2, "more", "C")], "{}")
}

fn folder() -> Folder {
    let folder = Folder::new();
    let old = packed(
        OLD,
        &[(1, "make", "A")],
        r#"{"paths":{"/support/x":{"get":{}}}}"#,
    );
    std::fs::write(folder.path().join("old.wasm"), old).unwrap();
    std::fs::write(folder.path().join("new.wasm"), new()).unwrap();
    folder
}

#[tokio::test]
async fn two_files_are_compared_without_a_host() {
    let ended = folder().run(&["diff", "old.wasm", "new.wasm"]).await;
    assert_eq!(ended.code, 0, "{}", ended.told);
    let (text, file) = ended.out.split_once("file\n").unwrap();
    assert_eq!(
        text,
        "manifest\n  ~ version: 0.1.0 -> 0.2.0\ngrants\n  + cache\n  - log\nroutes\n  \
         - GET /support/x\nmigrations\n  + 0002_more\n  ! 0001_make: its text changed; where it \
         has run, a deploy refuses that\n"
    );
    assert!(
        file.contains("size: ") && file.contains("digest: sha256:"),
        "{file}"
    );
    let ended = folder().run(&["diff", "new.wasm", "new.wasm"]).await;
    assert_eq!((ended.code, ended.out.as_str()), (0, "no difference\n"));
}

#[tokio::test]
async fn a_function_with_another_body_is_shown_whole_with_its_digest() {
    let manifest = OLD.replace("[limits]", "[sql]\nfunctions = [\"touch\"]\n[limits]");
    let made = "CREATE FUNCTION touch() RETURNS int\n  LANGUAGE sql RETURN 1";
    let replaced = "CREATE OR REPLACE FUNCTION touch() RETURNS int\n  LANGUAGE sql RETURN 2";
    let folder = Folder::new();
    let old = packed(&manifest, &[(1, "make", made)], "{}");
    let new = packed(&manifest, &[(1, "make", made), (2, "more", replaced)], "{}");
    std::fs::write(folder.path().join("old.wasm"), old).unwrap();
    std::fs::write(folder.path().join("new.wasm"), new).unwrap();
    let ended = folder.run(&["diff", "old.wasm", "new.wasm"]).await;
    assert_eq!(ended.code, 0, "{}", ended.told);
    let approval = &definitions([made, replaced])[0].approval;
    let wanted = format!(
        "SQL functions\n  ~ touch\n  the body of {approval}:\n      CREATE FUNCTION touch() RETURNS int\n  \
             LANGUAGE sql RETURN 1\n      ;\n      CREATE OR REPLACE FUNCTION touch() RETURNS int\n  \
             LANGUAGE sql RETURN 2\n      ;\n"
    );
    let without_indent = |text: &str| text.replace(' ', "");
    assert!(
        without_indent(&ended.out).contains(&without_indent(&wanted)),
        "{}",
        ended.out
    );
    let ended = folder
        .run(&["diff", "old.wasm", "new.wasm", "--json"])
        .await;
    let diff: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(diff["functions"]["changed"][0], "touch");
    assert_eq!(diff["bodies"][0]["approval"], approval.as_str());
}

#[tokio::test]
async fn a_deployment_is_fetched_from_the_host() {
    let server = Server::start(200, vec![Piece::Bytes(Bytes::from(new()))]).await;
    let args = reaching(&server, &["diff", "old.wasm", "tickets@12", "--json"]);
    let ended = folder().run(&args).await;
    assert_eq!(ended.code, 0, "{}", ended.told);
    assert_eq!(
        server.seen()[0].line,
        "GET /plugins/tickets/deployments/12/artifact"
    );
    let diff: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(diff["same"], false);
    assert_eq!(diff["grants"]["added"][0], "cache");
    assert_eq!(diff["migrations"]["changed"][0], "0001_make");
}

#[tokio::test]
async fn what_newly_reads_all_rows_is_shown_with_its_plan_as_the_host_says() {
    let server = Server::start(200, vec![Piece::Bytes(Bytes::from(new()))]).await;
    let scan = |name: &str| {
        format!(
            r#"{{"approval":"{name}@sha256:00","tables":["t"],"text":"SELECT {name}\nFROM t","plan":"Index Scan \u001b[2J\n  x"}}"#
        )
    };
    let before = format!(r#"{{"scans":[{},{}],"unjudged":[]}}"#, scan("a"), scan("b"));
    let after = format!(
        r#"{{"scans":[{},{}],"unjudged":["d"]}}"#,
        scan("b"),
        scan("c")
    );
    server.plan(&[&before, &after]);
    let ended = folder()
        .run(&reaching(&server, &["diff", "tickets@12", "old.wasm"]))
        .await;
    assert_eq!(ended.code, 0, "{}", ended.told);
    let wanted = "statements that read all rows of a customer\n  + c@sha256:00\n      SELECT c\n      \
                  FROM t\n      Index Scan \u{fffd}[2J\n        x\n  - a@sha256:00\n  ? d: unknown \
                  until its migrations have run\n";
    assert!(ended.out.contains(wanted), "{}", ended.out);
    let asked: Vec<_> = server.seen().into_iter().map(|seen| seen.line).collect();
    assert_eq!(asked[1..], ["POST /plans", "POST /plans"]);
    assert_eq!(server.seen()[1].body, new());
}

#[tokio::test]
async fn what_cannot_be_read_is_told_with_its_name() {
    let cases = [
        ("nothing.wasm", "nothing.wasm was not found"),
        (
            "my plugin.wasm",
            "my plugin.wasm: the component is truncated",
        ),
        ("Tickets@1", "Tickets@1 was not found"),
        ("tickets@latest", "PLUGIN@NUMBER"),
    ];
    for (named, wanted) in cases {
        let ended = folder().run(&["diff", "old.wasm", named]).await;
        assert_eq!((ended.code, ended.out.as_str()), (64, ""), "{}", ended.told);
        assert!(ended.told.contains(wanted), "{}", ended.told);
    }
}

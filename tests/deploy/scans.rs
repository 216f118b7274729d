//! A statement that reads all rows of a customer serves where an operator approved its
//! text.

use hearth::capability::sql::statement::{AccessMode, Column, Declared, Type};
use serde_json::{Value, json};

use super::versions::{notes, written};
use super::{admin, deploy, is, rollback, who};
use crate::harness::host::Setup;
use reqwest::Method;

const ALL: &str = "SELECT body FROM note ORDER BY body";
const PAGE: &str = "SELECT body FROM note ORDER BY id LIMIT 10";

fn declared(name: &str, text: &str) -> Declared {
    Declared {
        name: name.into(),
        text: text.into(),
        params: Vec::new(),
        columns: vec![Column {
            name: "body".into(),
            kind: Type::Text,
            nullable: true,
        }],
        access: AccessMode::Read,
    }
}

/// The notes with these statements.
fn version(number: &str, statements: &[(&str, &str)], migrations: &[&str]) -> Vec<u8> {
    let statement = |(name, text): &(&str, &str)| {
        format!(
            "[[sql.statements]]\nname = {name:?}\ntext = {text:?}\naccess = \"read\"\n\
             columns = [{{ name = \"body\", type = \"text\", nullable = true }}]\n"
        )
    };
    let statements: String = statements.iter().map(statement).collect();
    notes(number, migrations, &statements, &["sql"])
}

#[tokio::test]
async fn scan_is_refused_with_its_name_and_plan_and_taken_with_its_approval() {
    let host = Setup::new().guest("echo", &[], "").start();
    let first = || version("0.2.0", &[("all_bodies", ALL), ("page", PAGE)], &[]);
    let approval = declared("all_bodies", ALL).approval();
    let refused = deploy(&host, first(), "sql").await;
    assert_eq!(refused["result"], "refused", "{refused}");
    assert_eq!(refused["step"], "statements");
    assert_eq!(refused["asks"], json!([format!("scan:{approval}")]));
    let reasons = refused["reasons"].as_array().unwrap();
    let told = reasons[0].as_str().unwrap();
    assert_eq!(reasons.len(), 1, "{refused}");
    for wanted in [
        "`all_bodies` reads all rows that a customer has in `note`",
        "by the key of an index, or by a LIMIT in the order of one",
        &format!("approve `{approval}` (--approve-scan"),
    ] {
        assert!(told.contains(wanted), "{told} lacks {wanted}");
    }
    let [scan] = &refused["scans"].as_array().unwrap()[..] else {
        panic!("{refused}")
    };
    assert_eq!(
        (&scan["approval"], &scan["text"]),
        (&json!(approval), &json!(ALL))
    );
    let plan = scan["plan"].as_str().unwrap();
    assert!(
        plan.starts_with("Sort\n") && plan.contains("note_pkey  <- all rows"),
        "{plan}"
    );
    assert!(plan.contains("(note.customer_id = the customer)"), "{plan}");
    for wrong in [
        "all_bodies",
        "page@sha256:00",
        &approval.replace("all_", ""),
    ] {
        let query = format!("sql&approve-scans={wrong}");
        let refused = deploy(&host, first(), &query).await;
        assert_eq!(refused["result"], "refused", "{wrong}: {refused}");
    }
    let served = deploy(&host, first(), &format!("sql&approve-scans={approval}")).await;
    assert_eq!(served["result"], "serving", "{served}");
    let plugins = admin(&host, Method::GET, "/plugins").send().await.unwrap();
    let plugins: Value = plugins.json().await.unwrap();
    let notes = plugins["plugins"].as_array().unwrap();
    let notes = notes.iter().find(|one| one["plugin"] == "notes").unwrap();
    assert_eq!(notes["scans"], json!([approval]));
}

#[tokio::test]
async fn what_was_approved_stays_so_and_another_text_asks_again() {
    let mut host = Setup::new().guest("echo", &[], "").start();
    let key = host.key("acme", &[]);
    let approval = declared("all_bodies", ALL).approval();
    let scan = [("all_bodies", ALL)];
    let approve = format!("sql&approve-scans={approval}");
    let served = deploy(&host, version("0.2.0", &scan, &[]), &approve).await;
    assert_eq!(served["result"], "serving", "{served}");
    let label = served["label"].as_str().unwrap().to_owned();
    let served = deploy(&host, version("0.2.1", &scan, &[]), "").await;
    assert_eq!(served["result"], "serving", "{served}");
    let other = "SELECT body FROM note ORDER BY body DESC";
    let refused = deploy(&host, version("0.3.0", &[("all_bodies", other)], &[]), "").await;
    let wanted = format!("scan:{}", declared("all_bodies", other).approval());
    assert_eq!(refused["asks"], json!([wanted]), "{refused}");

    host.kill();
    host.restart();
    let back = rollback(&host, "/plugins/notes/rollback").await;
    assert_eq!(back["result"], "serving", "{back}");
    let after = who(&host, &key, "/notes/none").await;
    assert_eq!(after, is(&label, super::FIRST));
}

#[tokio::test]
async fn refused_scan_leaves_its_last_migration_undone_and_an_index_mends_it() {
    let host = Setup::new().guest("echo", &[], "").start();
    let found = [("found", "SELECT body FROM note WHERE body = 'x'")];
    let column = "ALTER TABLE note ADD COLUMN at bigint";
    let refused = deploy(&host, version("0.2.0", &found, &[column]), "sql").await;
    assert_eq!(refused["step"], "statements", "{refused}");
    let index = "CREATE INDEX note_body ON note (customer_id, body)";
    let served = deploy(&host, version("0.2.0", &found, &[column, index]), "sql").await;
    assert_eq!(served["result"], "serving", "{served}");
}

#[test]
fn configuration_without_the_approval_is_told_what_to_approve() {
    let dir = tempfile::tempdir().unwrap();
    let file = written(dir.path(), &version("0.2.0", &[("all_bodies", ALL)], &[]));
    let with = |approval: &str| {
        let more = format!("sql_scans = [{approval:?}]");
        Setup::new().plugin("notes", &file, &["sql"], &more)
    };
    let approval = declared("all_bodies", ALL).approval();
    let ended = with(&declared("all_bodies", PAGE).approval()).refused();
    let told = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(!ended.status.success());
    for wanted in [&approval, ALL, "<- all rows", "sql_scans"] {
        assert!(told.contains(wanted), "`{wanted}` is missing: {told}");
    }
    with(&approval).start();
}

/// What a host says of the plans of a file.
async fn plans(host: &crate::harness::host::Host, file: Vec<u8>) -> Value {
    let answer = admin(host, Method::POST, "/plans").body(file).send().await;
    answer.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn host_says_what_a_file_would_read_before_it_is_deployed() {
    let host = Setup::new().guest("echo", &[], "").start();
    let file = || {
        let later = ("later", "SELECT more AS body FROM note");
        let hostile = ("hostile", "DROP TABLE note; SELECT 1 AS body");
        let statements = [("all_bodies", ALL), ("page", PAGE), later, hostile];
        version(
            "0.3.0",
            &statements,
            &["ALTER TABLE note ADD COLUMN more text"],
        )
    };
    let told = plans(&host, file()).await;
    let names = json!(["all_bodies", "page", "later", "hostile"]);
    assert_eq!(told, json!({"scans": [], "unjudged": names}));
    let served = deploy(&host, version("0.2.0", &[("page", PAGE)], &[]), "sql").await;
    assert_eq!(served["result"], "serving", "{served}");
    let told = plans(&host, file()).await;
    assert_eq!(told["unjudged"], json!(["later", "hostile"]), "{told}");
    assert_eq!(told["scans"].as_array().unwrap().len(), 1, "{told}");
    assert_eq!(told["scans"][0]["text"], ALL);
    let answer = admin(&host, Method::POST, "/plans")
        .body("no plugin")
        .send()
        .await;
    assert_eq!(answer.unwrap().status(), reqwest::StatusCode::BAD_REQUEST);
}

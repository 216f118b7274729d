//! What an operator approves of a plugin's SQL: functions by their body, tables that
//! all customers share by their name.

use serde_json::{Value, json};

use super::versions::{notes, written};
use super::{database, deploy, is, rollback, who};
use crate::harness::host::Setup;

const TABLE: &str = "CREATE TABLE loot (login text NOT NULL, role text NOT NULL)";
const SPRING: &str = "CREATE TABLE spring (id int NOT NULL)";
const TOUCH: &str = "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
  INSERT INTO plugin_notes.loot VALUES (session_user, current_user);
  RETURN NULL;
END
$body$";
const IMMEDIATE: &str =
    "CREATE CONSTRAINT TRIGGER spring AFTER INSERT ON spring FOR EACH ROW EXECUTE FUNCTION touch()";
const DEFERRED: &str = "CREATE CONSTRAINT TRIGGER spring AFTER INSERT ON spring \
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION touch()";
const FIRE: &str = "INSERT INTO spring VALUES (1)";
const MANIFEST: &str = "[sql]\nshared = [\"loot\", \"spring\"]\nfunctions = [\"touch\"]\n";

fn version(number: &str, migrations: &[&str]) -> Vec<u8> {
    notes(number, migrations, MANIFEST, &["sql"])
}

/// What its refusal asks for of functions and tables, as a query approves it.
fn approving(refused: &Value) -> String {
    let asks: Vec<&str> = refused["asks"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let of = |kind: &str| -> Vec<&str> {
        asks.iter()
            .filter_map(|ask| ask.strip_prefix(kind))
            .collect()
    };
    let (functions, tables) = (of("function:"), of("shared:"));
    format!(
        "sql&approve-functions={}&approve-shared={}",
        functions.join(","),
        tables.join(",")
    )
}

fn reasons(refused: &Value) -> String {
    assert_eq!(refused["result"], "refused", "{refused}");
    refused["reasons"].to_string()
}

#[tokio::test]
async fn function_is_approved_by_its_body_and_asks_again_when_that_changes() {
    let mut host = Setup::new().guest("echo", &[], "").start();
    let key = host.key("acme", &[]);
    let first = version("0.2.0", &[TABLE, SPRING, TOUCH]);
    let refused = deploy(&host, first.clone(), "sql").await;
    assert!(
        reasons(&refused).contains("whose body is not approved"),
        "{refused}"
    );
    assert_eq!(refused["functions"][0]["text"], format!("{TOUCH}\n;"));
    let approval = refused["functions"][0]["approval"].as_str().unwrap();
    assert!(
        refused["asks"]
            .as_array()
            .unwrap()
            .contains(&json!(format!("function:{approval}")))
    );

    let by_name = "sql&approve-functions=touch&approve-shared=loot,spring";
    let refused = deploy(&host, first.clone(), by_name).await;
    assert!(reasons(&refused).contains("by its name only"), "{refused}");
    let served = deploy(&host, first, &approving(&refused)).await;
    assert_eq!(
        served["result"], "refused",
        "the tables were not approved: {served}"
    );

    let all = format!("sql&approve-functions={approval}&approve-shared=loot,spring");
    let served = deploy(&host, version("0.2.0", &[TABLE, SPRING, TOUCH]), &all).await;
    assert_eq!(served["result"], "serving", "{served}");
    // What was approved stays so for the next version.
    let served = deploy(&host, version("0.2.1", &[TABLE, SPRING, TOUCH]), "").await;
    assert_eq!(served["result"], "serving", "{served}");

    let other = TOUCH
        .replace("CREATE", "CREATE OR REPLACE")
        .replace("NULL", "NEW");
    let dropped = "DROP FUNCTION touch()";
    for more in [&[other.as_str()][..], &[dropped, TOUCH], &[dropped]] {
        let changed: Vec<&str> = [TABLE, SPRING, TOUCH].iter().chain(more).copied().collect();
        let refused = deploy(&host, version("0.3.0", &changed), "").await;
        let told = reasons(&refused);
        assert!(
            told.contains("differs from the one approved") && told.contains(approval),
            "{told}"
        );
        let text = refused["functions"][0]["text"].as_str().unwrap();
        assert!(text.contains(TOUCH) && text.contains(more[0]), "{text}");
    }
    host.kill();
    host.restart();
    let label = who(&host, &key, "/notes/none").await.0;
    let number: u64 = label.strip_prefix("notes@").unwrap().parse().unwrap();
    let back = rollback(&host, "/plugins/notes/rollback").await;
    assert_eq!(back["result"], "serving", "{back}");
    let after = who(&host, &key, "/notes/none").await;
    assert_eq!(after, is(&format!("notes@{}", number - 1), super::FIRST));
}

#[tokio::test]
async fn tables_that_all_customers_share_want_approval_by_name() {
    let host = Setup::new().guest("echo", &[], "").start();
    let more = "[sql]\nshared = [\"loot\"]\n";
    let file = || notes("0.2.0", &[TABLE], more, &["sql"]);
    for approve in ["sql", "sql&approve-shared=other"] {
        let refused = deploy(&host, file(), approve).await;
        assert!(
            reasons(&refused).contains("`loot` among all customers"),
            "{refused}"
        );
        assert_eq!(refused["asks"], json!(["shared:loot"]));
    }
    let served = deploy(&host, file(), "sql&approve-shared=loot").await;
    assert_eq!(served["result"], "serving", "{served}");
}

#[tokio::test]
async fn deferred_trigger_is_refused_and_an_immediate_one_runs_as_the_owner() {
    let host = Setup::new().guest("echo", &[], "").start();
    let with = |trigger: &str| version("0.2.0", &[TABLE, SPRING, TOUCH, trigger, FIRE]);
    let approve = approving(&deploy(&host, with(IMMEDIATE), "").await);
    let refused = deploy(&host, with(DEFERRED), &approve).await;
    assert_eq!(refused["step"], "migrate", "{refused}");
    assert!(
        reasons(&refused).contains("would run at COMMIT"),
        "{refused}"
    );
    let database = database(&host).await;
    let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname = 'plugin_notes'";
    assert_eq!(
        database
            .query_one(schemas, &[])
            .await
            .unwrap()
            .get::<_, i64>(0),
        0
    );

    let served = deploy(&host, with(IMMEDIATE), &approve).await;
    assert_eq!(served["result"], "serving", "{served}");
    let seen = "SELECT l.login = n.nspowner::regrole::text AND l.role = l.login
                FROM plugin_notes.loot l, pg_namespace n WHERE n.nspname = 'plugin_notes'";
    let rows = database.query(seen, &[]).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert!(
        rows[0].get::<_, bool>(0),
        "the trigger ran as somebody else"
    );
}

#[test]
fn configuration_that_approves_another_body_is_told_what_to_approve() {
    let dir = tempfile::tempdir().unwrap();
    let file = written(dir.path(), &version("0.2.0", &[TABLE, SPRING, TOUCH]));
    let wrong = format!("touch@sha256:{}", "0".repeat(64));
    let more = format!("sql_functions = [{wrong:?}]\nsql_shared = [\"loot\"]");
    let ended = Setup::new()
        .plugin("notes", &file, &["sql"], &more)
        .refused();
    let told = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(!ended.status.success());
    for wanted in [
        wrong.as_str(),
        "`spring` among all customers",
        TOUCH,
        "sql_functions",
    ] {
        assert!(told.contains(wanted), "`{wanted}` is missing: {told}");
    }
}

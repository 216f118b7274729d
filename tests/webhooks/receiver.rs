//! Receivers of webhooks: one that does what a test says, and those that verify with
//! public libraries.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use reqwest::Client;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::harness::python::python;

/// What a delivery gets.
#[derive(Clone, Debug)]
pub enum Answer {
    Status(u16),
    /// A status and a header.
    With(u16, &'static str, String),
    /// A status and a body.
    Says(u16, Vec<u8>),
    /// A status, after so long.
    Late(u16, Duration),
    /// 204 for so many in a second, and 429 with a second to wait for the rest.
    Limited(usize),
    /// Nothing, ever.
    Hang,
}

/// A delivery as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub at: Instant,
}

impl Seen {
    pub fn id(&self) -> String {
        self.headers["webhook-id"].to_str().unwrap().to_string()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

#[derive(Default)]
struct State {
    answer: Option<Answer>,
    /// Answers of paths that differ from the rest.
    paths: BTreeMap<String, Answer>,
    seen: Vec<Seen>,
    /// When those were taken that a limit let through.
    taken: Vec<Instant>,
    /// Deliveries that are under way, and the most there were at once.
    under_way: usize,
    most: usize,
}

impl State {
    fn limited(&mut self, most: usize) -> Answer {
        let now = Instant::now();
        self.taken
            .retain(|taken| now - *taken < Duration::from_secs(1));
        if self.taken.len() >= most {
            return Answer::With(429, "retry-after", "1".into());
        }
        self.taken.push(now);
        Answer::Status(204)
    }
}

/// A receiver on a port of the system's choice, until the test's runtime ends.
#[derive(Clone)]
pub struct Receiver {
    pub url: String,
    state: Arc<Mutex<State>>,
}

impl Receiver {
    /// Answers 204.
    pub async fn start() -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let receiver = Receiver { url, state };
        tokio::spawn(receiver.clone().serve(listener));
        receiver
    }

    /// What every delivery gets from now on.
    pub fn answers(&self, answer: Answer) {
        self.state.lock().unwrap().answer = Some(answer);
    }

    /// What those to one path get.
    pub fn answers_at(&self, path: &str, answer: Answer) {
        let mut state = self.state.lock().unwrap();
        state.paths.insert(path.into(), answer);
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.state.lock().unwrap().seen.clone()
    }

    /// The ids of what arrived, in order.
    pub fn ids(&self) -> Vec<String> {
        self.seen().iter().map(Seen::id).collect()
    }

    /// The most deliveries that were under way at once.
    pub fn most(&self) -> usize {
        self.state.lock().unwrap().most
    }

    async fn serve(self, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            let receiver = self.clone();
            let service = service_fn(move |request| receiver.clone().take(request));
            tokio::spawn(async move {
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    }

    async fn take(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, body) = request.into_parts();
        let path = head.uri.path().to_string();
        let body = body.collect().await.map(|body| body.to_bytes());
        let _under_way = self.begin();
        let answer = self.remember(Seen {
            path,
            headers: head.headers,
            body: body.unwrap_or_default(),
            at: Instant::now(),
        });
        Ok(answered(answer).await)
    }

    fn begin(&self) -> UnderWay {
        let mut state = self.state.lock().unwrap();
        state.under_way += 1;
        state.most = state.most.max(state.under_way);
        UnderWay(self.state.clone())
    }

    fn remember(&self, seen: Seen) -> Answer {
        let mut state = self.state.lock().unwrap();
        let own = state.paths.get(&seen.path).cloned();
        let answer = own.or(state.answer.clone());
        state.seen.push(seen);
        match answer.unwrap_or(Answer::Status(204)) {
            Answer::Limited(most) => state.limited(most),
            answer => answer,
        }
    }
}

/// Counts a delivery while it is under way, also where its sender goes away.
struct UnderWay(Arc<Mutex<State>>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.lock().unwrap().under_way -= 1;
    }
}

async fn answered(answer: Answer) -> Response<Full<Bytes>> {
    let response = Response::builder();
    let (response, body) = match answer {
        Answer::Status(status) => (response.status(status), Vec::new()),
        Answer::With(status, name, value) => {
            (response.status(status).header(name, value), Vec::new())
        }
        Answer::Says(status, body) => (response.status(status), body),
        Answer::Late(status, wait) => {
            tokio::time::sleep(wait).await;
            (response.status(status), Vec::new())
        }
        Answer::Hang | Answer::Limited(_) => std::future::pending().await,
    };
    response.body(Full::new(body.into())).unwrap()
}

/// A receiver in another language that verifies with a public library.
pub struct Verifying {
    pub url: String,
    child: Child,
    client: Client,
}

impl Verifying {
    /// `v1` with PyPI's standardwebhooks, `v1a` with PyNaCl.
    pub fn python() -> Verifying {
        Verifying::start(Command::new(python("python")).arg(file("receiver.py")))
    }

    /// `v1` with npm's standardwebhooks, `v1a` with Node's own crypto.
    pub fn node() -> Verifying {
        let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.toolchain/node");
        let packages = packages.canonicalize().expect("run `make tools`");
        Verifying::start(Command::new("node").arg(file("receiver.mjs")).arg(packages))
    }

    fn start(command: &mut Command) -> Verifying {
        let mut child = command
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut told = BufReader::new(child.stdout.take().unwrap());
        told.read_line(&mut line).unwrap();
        Verifying {
            url: format!("http://127.0.0.1:{}", line.trim()),
            child,
            client: Client::new(),
        }
    }

    /// What it verifies with from now on.
    pub async fn verifies_with(&self, text: &str) {
        let request = self.client.put(&self.url).body(text.to_string());
        request.send().await.unwrap().error_for_status().unwrap();
    }

    /// The ids that it accepted; it refused nothing.
    pub async fn accepted(&self) -> Vec<String> {
        let answer = self.client.get(&self.url).send().await.unwrap();
        let told: Value = answer.json().await.unwrap();
        assert_eq!(told["refused"], serde_json::json!([]), "{}", self.url);
        serde_json::from_value(told["accepted"].clone()).unwrap()
    }
}

impl Drop for Verifying {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("webhooks")
        .join(name)
}

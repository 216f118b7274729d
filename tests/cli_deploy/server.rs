//! A small admin listener that says what a test wants, piece by piece.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Notify;

/// A part of an answer's body.
#[derive(Clone)]
pub enum Piece {
    Bytes(Bytes),
    /// Nothing more before the test says so.
    Wait(Arc<Notify>),
    /// The connection ends here.
    Cut,
    /// Nothing more, ever.
    Hang,
}

pub fn text(text: &str) -> Piece {
    Piece::Bytes(Bytes::from(text.to_owned()))
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    pub line: String,
    pub authorization: String,
    pub body: Bytes,
}

const NO_PLANS: &str = r#"{"scans":[],"unjudged":[]}"#;

struct Script {
    status: u16,
    pieces: Vec<Piece>,
    /// What it says of plans, one file after the other; nothing of further ones.
    plans: Mutex<Vec<String>>,
    /// Whether it answers before it has read what it was sent.
    hasty: bool,
    seen: Mutex<Vec<Seen>>,
}

/// A server that serves until the test's runtime ends.
pub struct Server {
    pub url: String,
    script: Arc<Script>,
}

impl Server {
    pub async fn start(status: u16, pieces: Vec<Piece>) -> Server {
        Server::listen(status, pieces, false).await
    }

    /// Answers without reading the body.
    pub async fn hasty(status: u16, pieces: Vec<Piece>) -> Server {
        Server::listen(status, pieces, true).await
    }

    async fn listen(status: u16, pieces: Vec<Piece>, hasty: bool) -> Server {
        let script = script(status, pieces, hasty);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = script.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, serving.clone()));
            }
        });
        Server { url, script }
    }

    pub fn on_socket(path: &Path, pieces: Vec<Piece>) -> Server {
        let script = script(200, pieces, false);
        let listener = UnixListener::bind(path).unwrap();
        let serving = script.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, serving.clone()));
            }
        });
        let url = format!("unix:{}", path.display());
        Server { url, script }
    }

    /// What it shall say of the plans of files, in the order in which it is asked.
    pub fn plan(&self, plans: &[&str]) {
        let plans = plans.iter().rev().map(|plan| (*plan).to_owned());
        *self.script.plans.lock().unwrap() = plans.collect();
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.script.seen.lock().unwrap().clone()
    }
}

fn script(status: u16, pieces: Vec<Piece>, hasty: bool) -> Arc<Script> {
    Arc::new(Script {
        status,
        pieces,
        plans: Mutex::default(),
        hasty,
        seen: Mutex::new(Vec::new()),
    })
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + 'static, script: Arc<Script>) {
    let service = service_fn(move |request| answer(request, script.clone()));
    // An error is what some pieces are for.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(
    request: Request<Incoming>,
    script: Arc<Script>,
) -> Result<Response<BoxBody<Bytes, io::Error>>, io::Error> {
    let (head, body) = request.into_parts();
    let body = match script.hasty {
        true => Bytes::new(),
        false => body.collect().await.map_err(io::Error::other)?.to_bytes(),
    };
    let authorization = head.headers.get("authorization");
    script.seen.lock().unwrap().push(Seen {
        line: format!("{} {}", head.method, head.uri),
        authorization: authorization
            .map(|value| value.to_str().unwrap().to_owned())
            .unwrap_or_default(),
        body,
    });
    let pieces = match head.uri.path() {
        "/plans" => {
            let plan = script.plans.lock().unwrap().pop();
            vec![text(&plan.unwrap_or_else(|| NO_PLANS.to_owned()))]
        }
        _ => script.pieces.clone(),
    };
    let pieces = stream::unfold(pieces.into_iter(), |mut pieces| async {
        loop {
            match pieces.next()? {
                Piece::Bytes(bytes) => return Some((Ok(Frame::data(bytes)), pieces)),
                Piece::Wait(notify) => notify.notified().await,
                Piece::Cut => return Some((Err(io::Error::other("cut")), pieces)),
                Piece::Hang => std::future::pending().await,
            }
        }
    });
    let answer = Response::builder().status(script.status);
    let body = StreamBody::new(Box::pin(pieces));
    Ok(answer.body(BodyExt::boxed(body)).unwrap())
}

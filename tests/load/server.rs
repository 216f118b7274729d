//! A small HTTP server on a port of the system's choice that does what each test
//! says, well or badly.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Barrier;

/// What one request gets.
#[derive(Clone, Copy, Debug)]
pub enum Behaviour {
    /// This status and a body.
    Answer(u16),
    /// 200, naming this deployment.
    By(&'static str),
    /// 200, and the connection is closed as HTTP wants it to be told.
    AnswerAndClose,
    /// 200 once so many requests are there.
    Together(usize),
    /// The connection ends without an answer.
    Reset,
    /// The connection ends in the middle of the body.
    Cut,
    /// Nothing, ever.
    Hang,
    /// Bytes that are not HTTP.
    Garbage,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    pub line: String,
    pub key: String,
    pub content_type: String,
    pub body: Bytes,
}

struct Shared {
    behaviours: Vec<Behaviour>,
    together: Barrier,
    requests: AtomicUsize,
    connections: AtomicUsize,
    seen: Mutex<Vec<Seen>>,
}

/// A server that serves until the test's runtime ends.
pub struct Server {
    pub url: String,
    shared: Arc<Shared>,
}

type Answer = Response<BoxBody<Bytes, io::Error>>;

impl Server {
    pub async fn start(behaviours: &[Behaviour]) -> Server {
        let together = behaviours.iter().find_map(|behaviour| match behaviour {
            Behaviour::Together(count) => Some(*count),
            _ => None,
        });
        let shared = Arc::new(Shared {
            behaviours: behaviours.to_vec(),
            together: Barrier::new(together.unwrap_or(1)),
            requests: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            seen: Mutex::new(Vec::new()),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(accept(listener, shared.clone()));
        Server { url, shared }
    }

    /// How many requests arrived.
    pub fn requests(&self) -> usize {
        self.shared.requests.load(Relaxed)
    }

    pub fn connections(&self) -> usize {
        self.shared.connections.load(Relaxed)
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        shared.connections.fetch_add(1, Relaxed);
        tokio::spawn(serve(stream, shared.clone()));
    }
}

async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    if let [Behaviour::Garbage] = shared.behaviours[..] {
        // Not before it is asked: that would be another kind of wrong.
        let _ = stream.read(&mut [0; 1024]).await.unwrap();
        stream
            .write_all(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
            .await
            .unwrap();
        return std::future::pending().await;
    }
    let service = service_fn(move |request| answer(request, shared.clone()));
    // An error is what some behaviours are for.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Answer, io::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let text = |name: &str| header(&head.headers, name);
    let line = format!("{} {}", head.method, head.uri);
    let seen = Seen {
        line,
        key: text("x-api-key"),
        content_type: text("content-type"),
        body,
    };
    shared.seen.lock().unwrap().push(seen);
    let number = shared.requests.fetch_add(1, Relaxed);
    let behaviour = shared.behaviours[number % shared.behaviours.len()];
    behave(behaviour, &shared).await
}

async fn behave(behaviour: Behaviour, shared: &Shared) -> Result<Answer, io::Error> {
    let builder = Response::builder();
    let builder = match behaviour {
        Behaviour::Answer(status) => builder.status(status),
        Behaviour::By(label) => builder.header("hearth-plugin", label),
        Behaviour::AnswerAndClose => builder.header("connection", "close"),
        Behaviour::Together(_) => {
            shared.together.wait().await;
            builder
        }
        Behaviour::Cut => {
            return Ok(builder
                .header("content-length", 100)
                .body(cut_body())
                .unwrap());
        }
        Behaviour::Hang => std::future::pending().await,
        Behaviour::Reset | Behaviour::Garbage => return Err(io::Error::other("reset")),
    };
    Ok(builder.body(whole_body()).unwrap())
}

fn whole_body() -> BoxBody<Bytes, io::Error> {
    Full::new(Bytes::from_static(b"{}"))
        .map_err(|never: Infallible| match never {})
        .boxed()
}

/// Less than was announced, and then an error.
fn cut_body() -> BoxBody<Bytes, io::Error> {
    let part = Ok(Frame::data(Bytes::from_static(b"half")));
    let parts = futures_util::stream::iter([part, Err(io::Error::other("cut"))]);
    StreamBody::new(parts).boxed()
}

fn header(headers: &HeaderMap, name: &str) -> String {
    headers
        .get(name)
        .map(|value| value.to_str().unwrap().to_string())
        .unwrap_or_default()
}

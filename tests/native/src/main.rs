//! A server by hand, as somebody would write it who needs no sandbox: hyper, a pool of
//! Postgres connections, and the statements. It has no keys, limits, log or timeouts.
//!
//! `LISTEN` is its address. `DATABASE` is the URL of a database with the tables of
//! tickets; without it the server knows `/healthz` alone.

mod tickets;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use tickets::Tickets;

type Answer = Response<Full<Bytes>>;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let address = std::env::var("LISTEN").context("LISTEN is the address to listen on")?;
    let address: SocketAddr = address.parse()?;
    let tickets = match std::env::var("DATABASE") {
        Ok(url) => Some(Arc::new(Tickets::open(&url)?)),
        Err(_) => None,
    };
    let listener = TcpListener::bind(address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(serve(stream, tickets.clone()));
    }
}

/// One connection, until the client leaves.
async fn serve(stream: TcpStream, tickets: Option<Arc<Tickets>>) {
    let service = service_fn(move |request| {
        let tickets = tickets.clone();
        async move { Ok::<_, Infallible>(answer(tickets.as_deref(), request).await) }
    });
    let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // A client may leave at any time.
    let _ = served.await;
}

async fn answer(tickets: Option<&Tickets>, request: Request<Incoming>) -> Answer {
    let answered = match (request.method(), request.uri().path(), tickets) {
        (&Method::GET, "/healthz", _) => Ok(Some(Bytes::from_static(br#"{"status":"ok"}"#))),
        (&Method::POST, "/tickets", Some(tickets)) => create(tickets, request).await,
        (&Method::GET, path, Some(tickets)) => match path.strip_prefix("/tickets/") {
            Some(id) => tickets.read(id).await,
            None => Ok(None),
        },
        _ => Ok(None),
    };
    match answered {
        Ok(Some(body)) => json(StatusCode::OK, body),
        Ok(None) => json(StatusCode::NOT_FOUND, Bytes::new()),
        Err(error) => {
            eprintln!("a request failed: {error:#}");
            json(StatusCode::INTERNAL_SERVER_ERROR, Bytes::new())
        }
    }
}

async fn create(tickets: &Tickets, request: Request<Incoming>) -> anyhow::Result<Option<Bytes>> {
    let body = request.into_body().collect().await?.to_bytes();
    Ok(Some(tickets.create(&body).await?))
}

fn json(status: StatusCode, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    answer.headers_mut().insert(CONTENT_TYPE, json);
    answer
}

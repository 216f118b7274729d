//! A server in front of a private DynamoDB, for hosts in processes of their own.

use bytes::Bytes;
use hearth::embedded::dynamodb::Connector;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Dropped, it is gone.
pub struct Server {
    pub url: String,
    accepting: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Server {
    pub async fn start(connector: Connector) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let accepting = tokio::spawn(accept(listener, connector));
        Server { url, accepting }
    }
}

async fn accept(listener: TcpListener, connector: Connector) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let connector = connector.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| answer(connector.clone(), request));
            let served = hyper::server::conn::http1::Builder::new();
            // A client may go away, and so may what lies behind.
            let _ = served.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(
    connector: Connector,
    request: hyper::Request<Incoming>,
) -> std::io::Result<hyper::Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(std::io::Error::other)?;
    let target = head.headers["x-amz-target"].to_str().unwrap();
    let (_, operation) = target.split_once('.').unwrap();
    let answer = connector.ask(operation, body.to_bytes()).await?;
    let response = hyper::Response::builder()
        .status(answer.status)
        .header("content-type", "application/x-amz-json-1.0")
        .body(Full::new(answer.body.into()));
    Ok(response.unwrap())
}

//! Servers on this machine, kind and unkind.

use std::convert::Infallible;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A listener that counts who came, and what each was told.
pub struct Server {
    pub port: u16,
    accepted: Arc<AtomicUsize>,
    /// Connections that the other side has ended.
    closed: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Serves each connection by `serve`, which ends when the connection does.
    pub async fn raw<F>(
        address: impl Into<String>,
        serve: impl Fn(TcpStream) -> F + Send + 'static,
    ) -> Server
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(address.into()).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (accepted, closed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (counted, ended) = (accepted.clone(), closed.clone());
        let task = tokio::spawn(async move {
            // Dropped together with the server.
            let mut serving = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, SeqCst);
                let (served, ended) = (serve(stream), ended.clone());
                serving.spawn(async move {
                    served.await;
                    ended.fetch_add(1, SeqCst);
                });
            }
        });
        Server {
            port,
            accepted,
            closed,
            task,
        }
    }

    /// Sends the same bytes to everyone, whatever is asked, and waits until they
    /// have gone.
    pub async fn says(answer: impl Into<Bytes>) -> Server {
        let answer = answer.into();
        Server::raw("127.0.0.1:0", move |mut stream| {
            let answer = answer.clone();
            async move {
                read_head(&mut stream).await;
                let _ = stream.write_all(&answer).await;
                gone(&mut stream).await;
            }
        })
        .await
    }

    /// Answers properly, on whatever version of HTTP it is spoken to.
    pub async fn http<F>(
        address: impl Into<String>,
        answer: impl Fn(Asked) -> F + Clone + Send + 'static,
    ) -> Server
    where
        F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
    {
        Server::raw(address, move |stream| serve(stream, answer.clone())).await
    }

    /// The same behind TLS.
    pub async fn https<F>(
        certificate: &Certificate,
        protocols: &[&str],
        answer: impl Fn(Asked) -> F + Clone + Send + 'static,
    ) -> Server
    where
        F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
    {
        let acceptor = certificate.acceptor(protocols);
        Server::raw("0.0.0.0:0", move |stream| {
            let (acceptor, answer) = (acceptor.clone(), answer.clone());
            async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    serve(stream, answer).await;
                }
            }
        })
        .await
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    pub fn accepted(&self) -> usize {
        self.accepted.load(SeqCst)
    }

    pub fn closed(&self) -> usize {
        self.closed.load(SeqCst)
    }
}

/// A request as a server saw it.
pub struct Asked {
    pub head: http::request::Parts,
    pub body: Bytes,
}

async fn serve<I, F>(stream: I, answer: impl Fn(Asked) -> F + Clone + Send + 'static)
where
    I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = answer.clone();
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.map(|body| body.to_bytes());
            let body = body.unwrap_or_default();
            Ok::<_, Infallible>(answer(Asked { head, body }).await)
        }
    });
    let server = auto::Builder::new(TokioExecutor::new());
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

pub fn text(text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    Response::new(Full::new(text.into()))
}

/// The bytes of a request up to the empty line.
pub async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte).await {
            Ok(1) => head.push(byte[0]),
            _ => break,
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// Ends when the other side has closed the connection.
pub async fn gone(stream: &mut TcpStream) {
    let mut part = [0; 4096];
    while !matches!(stream.read(&mut part).await, Ok(0) | Err(_)) {}
}

/// An authority of its own, and what it certifies.
pub struct Certificate {
    folder: TempDir,
    chain: Vec<CertificateDer<'static>>,
    key: String,
}

impl Certificate {
    pub fn of(names: &[&str]) -> Certificate {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let pair = rcgen::generate_simple_self_signed(names).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("root.pem"), pair.cert.pem()).unwrap();
        Certificate {
            folder,
            chain: vec![pair.cert.der().clone()],
            key: pair.signing_key.serialize_pem(),
        }
    }

    /// What a client has to trust.
    pub fn root_file(&self) -> PathBuf {
        self.folder.path().join("root.pem")
    }

    pub fn acceptor(&self, protocols: &[&str]) -> TlsAcceptor {
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), key)
            .unwrap();
        let protocols = protocols.iter().map(|name| name.as_bytes().to_vec());
        config.alpn_protocols = protocols.collect();
        TlsAcceptor::from(Arc::new(config))
    }
}

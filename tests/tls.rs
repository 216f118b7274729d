//! TLS on the public listener, and certificates that change while it serves.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Version};
use http_body_util::{BodyExt, Empty};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::harness::host::{Host, Setup, runs};
use crate::harness::raw::{address, connect, exchange, rest};

type Https = Client<HttpsConnector<HttpConnector>, Empty<Bytes>>;

/// Files of a certificate, and the certificates that clients trust.
struct Files {
    folder: TempDir,
    roots: RootCertStore,
}

impl Files {
    fn new() -> Files {
        let folder = tempfile::tempdir().unwrap();
        let roots = RootCertStore::empty();
        let mut files = Files { folder, roots };
        files.renew();
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A new pair in the same files, trusted beside the ones before.
    fn renew(&mut self) -> CertificateDer<'static> {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let pair = rcgen::generate_simple_self_signed(names).unwrap();
        replace(&self.path("key.pem"), &pair.signing_key.serialize_pem());
        replace(&self.path("chain.pem"), &pair.cert.pem());
        self.roots.add(pair.cert.der().clone()).unwrap();
        pair.cert.der().clone()
    }

    fn setup(&self, more: &str) -> Setup {
        let text = format!(
            "[tls]\ncertificate_file = {:?}\nkey_file = {:?}\n{more}",
            self.path("chain.pem"),
            self.path("key.pem"),
        );
        Setup::new().guest("echo", &[], "").config(&text)
    }

    fn client_config(&self) -> ClientConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth()
    }

    fn client(&self, http2: bool) -> Https {
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(self.client_config())
            .https_only();
        let connector = match http2 {
            true => connector.enable_http2().build(),
            false => connector.enable_http1().build(),
        };
        Client::builder(TokioExecutor::new())
            .http2_only(http2)
            .build(connector)
    }

    /// The certificate that a new connection is shown.
    async fn served(&self, host: &Host) -> CertificateDer<'static> {
        let connector = tokio_rustls::TlsConnector::from(Arc::new(self.client_config()));
        let stream = TcpStream::connect(address(host)).await.unwrap();
        let name = "127.0.0.1".try_into().unwrap();
        let stream = connector.connect(name, stream).await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0]
            .clone()
            .into_owned()
    }
}

/// As operators' tools do it: whole or not at all.
fn replace(path: &Path, text: &str) {
    let next = path.with_extension("next");
    std::fs::write(&next, text).unwrap();
    std::fs::rename(next, path).unwrap();
}

async fn ask(client: &Https, host: &Host, key: &str) -> Result<Version, String> {
    let request = Request::get(format!("{}/echo", host.url))
        .header("x-api-key", key)
        .body(Empty::new())
        .unwrap();
    let answer = client
        .request(request)
        .await
        .map_err(|error| format!("{error:?}"))?;
    assert_eq!(answer.status(), 200);
    let version = answer.version();
    answer
        .into_body()
        .collect()
        .await
        .map_err(|error| error.to_string())?;
    Ok(version)
}

#[tokio::test(flavor = "multi_thread")]
async fn both_protocols_are_spoken_over_tls_and_nothing_without_it() {
    let files = Files::new();
    let host = files.setup("").start();
    let key = host.key("acme", &[]);
    assert!(host.url.starts_with("https://"), "{}", host.url);
    assert_eq!(
        ask(&files.client(false), &host, &key).await,
        Ok(Version::HTTP_11)
    );
    assert_eq!(
        ask(&files.client(true), &host, &key).await,
        Ok(Version::HTTP_2)
    );
    let plain = exchange(&host, b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(!plain.contains("HTTP/1.1"), "{plain}");
    let private = std::fs::read_to_string(files.path("key.pem")).unwrap();
    assert!(!host.log().contains(private.lines().nth(1).unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn certificate_is_replaced_under_load_without_a_failed_request() {
    let mut files = Files::new();
    let first = files.renew();
    let mut roots = Vec::new();
    let host = files.setup("reload_ms = 100").start();
    let key = host.key("acme", &[]);
    assert_eq!(files.served(&host).await, first);
    // Made in advance, so that all clients trust all certificates.
    for _ in 0..runs(3, 50) {
        let before = std::fs::read_to_string(files.path("key.pem")).unwrap();
        let chain = std::fs::read_to_string(files.path("chain.pem")).unwrap();
        let der = files.renew();
        let pair =
            ["key.pem", "chain.pem"].map(|name| std::fs::read_to_string(files.path(name)).unwrap());
        roots.push((der, pair));
        replace(&files.path("key.pem"), &before);
        replace(&files.path("chain.pem"), &chain);
    }
    let stop = Arc::new(AtomicBool::new(false));
    let served = Arc::new(AtomicUsize::new(0));
    let host = Arc::new(host);
    let mut load = Vec::new();
    for http2 in [true, false] {
        let (kept, stop, served) = (files.client(http2), stop.clone(), served.clone());
        let (host, key, config) = (host.clone(), key.clone(), files.roots.clone());
        load.push(tokio::spawn(async move {
            let fresh = Files {
                folder: tempfile::tempdir().unwrap(),
                roots: config,
            };
            while !stop.load(Relaxed) {
                ask(&kept, &host, &key).await.unwrap();
                ask(&fresh.client(http2), &host, &key).await.unwrap();
                served.fetch_add(2, Relaxed);
            }
        }));
    }
    for (expected, [key, chain]) in roots {
        let sofar = served.load(Relaxed);
        replace(&files.path("key.pem"), &key);
        replace(&files.path("chain.pem"), &chain);
        host.signal(libc::SIGHUP);
        wait_until(|| async { files.served(&host).await == expected }).await;
        wait_until(|| async { served.load(Relaxed) > sofar + 4 }).await;
    }
    stop.store(true, Relaxed);
    for task in load {
        task.await.unwrap();
    }
}

async fn wait_until<F: Future<Output = bool>>(holds: impl Fn() -> F) {
    let until = Instant::now() + Duration::from_secs(60);
    while !holds().await {
        assert!(Instant::now() < until);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn pair_that_does_not_fit_leaves_the_old_one_in_place_and_is_told_of() {
    let mut files = Files::new();
    let good = files.renew();
    let host = files.setup("reload_ms = 50").start();
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    replace(&files.path("key.pem"), &other.signing_key.serialize_pem());
    wait_until(|| async { host.log().contains("the old one stays in use") }).await;
    assert_eq!(files.served(&host).await, good);
    replace(&files.path("chain.pem"), "no certificate");
    wait_until(|| async { host.log().contains("contains no certificate") }).await;
    assert_eq!(files.served(&host).await, good);
    let better = files.renew();
    wait_until(|| async { files.served(&host).await == better }).await;
}

#[tokio::test]
async fn host_does_not_start_with_a_certificate_that_it_cannot_serve() {
    let files = Files::new();
    std::fs::remove_file(files.path("key.pem")).unwrap();
    let refused = files.setup("").refused();
    assert!(!refused.status.success());
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("tls") && told.contains("key.pem"), "{told}");
    let half = Setup::new()
        .config("[tls]\nkey_file = \"key.pem\"")
        .refused();
    let told = String::from_utf8_lossy(&half.stderr).into_owned();
    assert!(told.contains("certificate_file is required too"), "{told}");
}

#[tokio::test]
async fn handshakes_have_a_time_and_a_number() {
    let files = Files::new();
    let host = files
        .setup("handshake_ms_max = 2_000\nhandshakes_max = 2")
        .start();
    let mut silent = [connect(&host), connect(&host)];
    silent[0].write_all(b"\x16\x03\x01").unwrap();
    let ended = |reason: &'static str| {
        let host = &host;
        async move {
            let label = format!("reason=\"{reason}\"");
            host.metric("hearth_connections_ended_total", &[&label])
                .await
        }
    };
    wait_until(|| async { host.metric("hearth_connections", &[]).await >= 2.0 }).await;
    let mut third = connect(&host);
    wait_until(|| async { ended("evicted").await == 1.0 }).await;
    for stream in silent.iter_mut().chain([&mut third]) {
        rest(stream);
    }
    wait_until(|| async { ended("slow_handshake").await == 2.0 }).await;
    files.served(&host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_handshakes_give_way_to_one_that_is_made() {
    let files = Files::new();
    let host = files.setup("handshakes_max = 10").start();
    let key = host.key("acme", &[]);
    let silent: Vec<_> = (0..50).map(|_| connect(&host)).collect();
    let reason = ["reason=\"evicted\""];
    let evicted = || host.metric("hearth_connections_ended_total", &reason);
    wait_until(|| async { evicted().await >= 40.0 }).await;
    for _ in 0..5 {
        let asked = ask(&files.client(false), &host, &key).await;
        assert!(asked.is_ok(), "{asked:?}");
    }
    drop(silent);
}

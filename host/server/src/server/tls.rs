//! TLS on the public listener, section `[tls]`: rustls with ring, TLS 1.2 and 1.3,
//! HTTP/2 by ALPN. New certificates are loaded while the listener serves.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio::signal::unix::Signal;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use zeroize::Zeroizing;

use super::connection_limit::ConnectionLimit;
use hearth_base::bounds;
use hearth_base::section::{DAY_MS, HOUR_MS, Mistakes, Section};

/// A certificate chain is some kilobytes; a file larger than this is none.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Section `[tls]`. Without it the listener speaks plain HTTP.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The chain as PEM, the server's own certificate first.
    pub certificate_file: Option<PathBuf>,
    /// The private key as PEM.
    pub key_file: Option<PathBuf>,
    /// Milliseconds between two looks at the files. SIGHUP looks at once.
    pub reload_ms: u64,
    /// Milliseconds from a connection to the end of its handshake.
    pub handshake_ms_max: u64,
    /// Connections in a handshake. One more takes the place of the one that is at it
    /// for longest, of the address that has most.
    pub handshakes_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            certificate_file: None,
            key_file: None,
            reload_ms: 5_000,
            handshake_ms_max: 10_000,
            handshakes_max: 1_000,
        }
    }
}

impl Section for Config {
    fn validate(&self, mistakes: &mut Mistakes) {
        bounds! { self, mistakes =>
            reload_ms in 10..=DAY_MS,
            handshake_ms_max in 1..=HOUR_MS,
            handshakes_max in 1..=1_000_000,
        }
        match (&self.certificate_file, &self.key_file) {
            (Some(_), None) => mistakes.note("certificate_file", "key_file is required too"),
            (None, Some(_)) => mistakes.note("key_file", "certificate_file is required too"),
            _ => {
                if let Err(error) = Tls::open(self) {
                    mistakes.note("", error.to_string());
                }
            }
        }
    }
}

/// Why a certificate cannot be served. The operator is to blame; no text holds
/// anything of the key.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error("cannot read {0}: {1}")]
    Unreadable(PathBuf, io::Error),
    #[error("{0} contains no certificate")]
    NoCertificate(PathBuf),
    #[error("{0} is not valid PEM: {1}")]
    NoPem(PathBuf, rustls_pki_types::pem::Error),
    #[error("{0} and {1} cannot be used together: {2}")]
    Unusable(PathBuf, PathBuf, rustls::Error),
}

/// Why a connection has no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("too many TLS handshakes are in progress")]
    TooMany,
    #[error("the connection was closed to make room for another one")]
    Evicted,
    #[error("the TLS handshake timed out")]
    Slow,
    #[error("the TLS handshake failed: {0}")]
    Failed(#[from] io::Error),
}

impl TlsError {
    /// The label of the metric that counts connections ended by the host.
    pub fn reason(&self) -> &'static str {
        match self {
            TlsError::TooMany => "too_many_handshakes",
            TlsError::Evicted => "evicted",
            TlsError::Slow => "slow_handshake",
            TlsError::Failed(_) => "failed_handshake",
        }
    }
}

/// What is served at the moment.
struct Pair {
    key: Arc<CertifiedKey>,
    digest: [u8; 32],
}

/// Every handshake asks for the pair anew, so that a swap needs no new listener
/// and touches no connection.
struct CurrentCertificate(ArcSwap<Pair>);

impl std::fmt::Debug for CurrentCertificate {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Current")
    }
}

impl ResolvesServerCert for CurrentCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load().key.clone())
    }
}

/// The listener's side of TLS.
pub struct Tls {
    acceptor: TlsAcceptor,
    current: Arc<CurrentCertificate>,
    provider: Arc<CryptoProvider>,
    files: Files,
    handshakes: Arc<ConnectionLimit>,
    handshake_max: Duration,
    reload: Duration,
}

struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

impl Tls {
    /// Nothing where the section names no certificate.
    pub fn open(config: &Config) -> Result<Option<Arc<Tls>>, CertificateError> {
        let (Some(certificate), Some(key)) = (&config.certificate_file, &config.key_file) else {
            return Ok(None);
        };
        let files = Files {
            certificate: certificate.clone(),
            key: key.clone(),
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let pair = files.read(&provider)?;
        let current = Arc::new(CurrentCertificate(ArcSwap::from_pointee(pair)));
        let server = server(&provider, current.clone()).map_err(|error| files.unusable(error))?;
        Ok(Some(Arc::new(Tls {
            acceptor: TlsAcceptor::from(Arc::new(server)),
            current,
            provider,
            files,
            handshakes: ConnectionLimit::new(config.handshakes_max, config.handshakes_max),
            handshake_max: Duration::from_millis(config.handshake_ms_max),
            reload: Duration::from_millis(config.reload_ms),
        })))
    }

    /// Shakes hands, within its time.
    pub async fn accept(
        &self,
        stream: TcpStream,
        peer: IpAddr,
    ) -> Result<TlsStream<TcpStream>, TlsError> {
        let place = self.handshakes.enter(peer).await;
        let place = place.map_err(|_| TlsError::TooMany)?;
        tokio::select! {
            shaken = self.acceptor.accept(stream) => Ok(shaken?),
            () = place.eviction() => Err(TlsError::Evicted),
            () = tokio::time::sleep(self.handshake_max) => Err(TlsError::Slow),
        }
    }

    /// Checks the files for ever: at every interval, and at once when asked. An invalid
    /// pair leaves the old one in place, and is logged once.
    pub async fn keep_fresh(&self, mut asked: Signal) {
        let mut refused = None;
        loop {
            tokio::select! {
                () = tokio::time::sleep(self.reload) => {}
                _ = asked.recv() => {}
            }
            let told = match self.refresh() {
                Ok(()) => None,
                Err(error) => Some(error.to_string()),
            };
            if let Some(error) = &told
                && refused != told
            {
                tracing::error!(
                    blame = "operator",
                    "the new certificate is invalid and the old one stays in use: {error}"
                );
            }
            refused = told;
        }
    }

    /// The files are small and local, and this is no request's way.
    fn refresh(&self) -> Result<(), CertificateError> {
        let pair = self.files.read(&self.provider)?;
        if pair.digest != self.current.0.load().digest {
            self.current.0.store(Arc::new(pair));
            tracing::info!("the new certificate is in use");
        }
        Ok(())
    }
}

fn server(
    provider: &Arc<CryptoProvider>,
    current: Arc<CurrentCertificate>,
) -> Result<ServerConfig, rustls::Error> {
    let mut server = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(current);
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(server)
}

impl Files {
    fn read(&self, provider: &CryptoProvider) -> Result<Pair, CertificateError> {
        let chain = read(&self.certificate)?;
        let key = read(&self.key)?;
        let digest = Sha256::new()
            .chain_update(Sha256::digest(&*chain))
            .chain_update(Sha256::digest(&*key))
            .finalize();
        let no_pem = |path: &PathBuf| {
            let path = path.clone();
            move |error| CertificateError::NoPem(path, error)
        };
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&chain)
            .collect::<Result<_, _>>()
            .map_err(no_pem(&self.certificate))?;
        if chain.is_empty() {
            return Err(CertificateError::NoCertificate(self.certificate.clone()));
        }
        let key = PrivateKeyDer::from_pem_slice(&key).map_err(no_pem(&self.key))?;
        let key =
            CertifiedKey::from_der(chain, key, provider).map_err(|error| self.unusable(error))?;
        Ok(Pair {
            key: Arc::new(key),
            digest: digest.into(),
        })
    }

    fn unusable(&self, error: rustls::Error) -> CertificateError {
        CertificateError::Unusable(self.certificate.clone(), self.key.clone(), error)
    }
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, CertificateError> {
    let unreadable = |error| CertificateError::Unreadable(path.to_path_buf(), error);
    let length = std::fs::metadata(path).map_err(unreadable)?.len();
    if length > FILE_BYTES_MAX {
        let error = io::Error::from(io::ErrorKind::FileTooLarge);
        return Err(unreadable(error));
    }
    std::fs::read(path).map(Zeroizing::new).map_err(unreadable)
}

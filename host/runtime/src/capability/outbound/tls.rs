//! TLS to the outside: always verified, by the machine's authorities and those of
//! `tls_root_file`, with a provider chosen here and not by a default of the
//! process.

use std::path::Path;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio_rustls::TlsConnector;

use crate::capability::OpenError;

pub const H2: &[u8] = b"h2";
pub const H1: &[u8] = b"http/1.1";

/// One connector for each choice of protocols.
#[derive(Clone)]
pub struct Tls {
    /// HTTP/2 where the server speaks it.
    pub any: TlsConnector,
    pub h1: TlsConnector,
}

impl Tls {
    pub fn open(root_file: Option<&Path>) -> Result<Tls, OpenError> {
        let mut roots = roots_of_machine();
        if let Some(file) = root_file {
            add_roots_of(file, &mut roots)?;
        }
        let roots = Arc::new(roots);
        Ok(Tls {
            any: connector(roots.clone(), &[H2, H1])?,
            h1: connector(roots, &[H1])?,
        })
    }
}

fn connector(roots: Arc<RootCertStore>, protocols: &[&[u8]]) -> Result<TlsConnector, OpenError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Ok(TlsConnector::from(Arc::new(config)))
}

fn unusable(reason: String) -> OpenError {
    OpenError(format!("outbound.tls_root_file: {reason}"))
}

fn add_roots_of(file: &Path, roots: &mut RootCertStore) -> Result<(), OpenError> {
    let name = file.display();
    let told = |error: String| unusable(format!("{name}: {error}"));
    let before = roots.len();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|e| told(e.to_string()))? {
        let certificate = certificate.map_err(|error| told(error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| told(error.to_string()))?;
    }
    match roots.len() > before {
        true => Ok(()),
        false => Err(told("it contains no certificate".into())),
    }
}

/// A machine without certificates can still use plain HTTP where that is granted,
/// so an empty store is no error here: verification refuses every server.
fn roots_of_machine() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::debug!(%error, "a CA certificate of this machine could not be read");
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    roots
}

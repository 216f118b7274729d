//! TLS to Postgres: always verified, with a provider chosen here and not by a
//! default of the process, which another crate could set first.

use std::path::Path;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::{OpenError, Tls};

pub(super) fn connector(root_file: Option<&Path>) -> Result<Tls, OpenError> {
    let roots = match root_file {
        Some(file) => roots_of_file(file)?,
        None => roots_of_machine(),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| OpenError::Roots(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Tls::new(config))
}

fn roots_of_file(file: &Path) -> Result<RootCertStore, OpenError> {
    let name = file.display();
    let unreadable = |error| OpenError::Roots(format!("{name}: {error}"));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(unreadable)? {
        let certificate = certificate.map_err(unreadable)?;
        roots
            .add(certificate)
            .map_err(|error| OpenError::Roots(format!("{name}: {error}")))?;
    }
    if roots.is_empty() {
        return Err(OpenError::Roots(format!("{name} holds no certificate")));
    }
    Ok(roots)
}

/// A machine without certificates can still reach a Postgres that needs none,
/// so an empty store is no error here: verification refuses every server.
fn roots_of_machine() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::debug!(%error, "a certificate of this machine could not be read");
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    roots
}

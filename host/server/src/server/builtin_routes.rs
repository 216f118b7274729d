//! The host's own paths. They win over every plugin's mount, and want no key.

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Response};
use http_body_util::Full;

use crate::edge::docs::Docs;
use crate::edge::health::Health;
use crate::edge::openapi::Documents;
use crate::edge::problem::Problem;

/// What answers on them.
pub struct BuiltinRoutes {
    pub health: Health,
    pub documents: Documents,
    pub docs: Docs,
}

impl BuiltinRoutes {
    /// The answer, where the path is one of the host's.
    pub async fn answer(
        &self,
        parts: &Parts,
        draining: bool,
    ) -> Result<Option<Response<Full<Bytes>>>, Problem> {
        let path = parts.uri.path();
        let file = self.docs.find(path);
        if file.is_none() && !matches!(path, "/healthz" | "/readyz" | "/openapi.json") {
            return Ok(None);
        }
        only_get(parts)?;
        Ok(Some(match (path, file) {
            (_, Some(file)) => file.answer(&parts.headers),
            ("/healthz", _) => self.health.alive(),
            ("/readyz", _) => self.health.ready(draining).await,
            _ => self.documents.answer(&parts.headers).await?,
        }))
    }
}

fn only_get(parts: &Parts) -> Result<(), Problem> {
    match parts.method {
        Method::GET | Method::HEAD => Ok(()),
        _ => Err(Problem::method_not_allowed(&["GET", "HEAD"])),
    }
}

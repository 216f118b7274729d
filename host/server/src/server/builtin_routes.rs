//! The host's own paths. They take precedence over every plugin's mount, and need no
//! key.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, HeaderValue, LOCATION};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use http_body_util::Full;

use super::compress::{self, Coding};
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
            (_, Some(file)) => {
                let takes_gzip = compress::accepts(&parts.headers, Coding::Gzip);
                file.answer(&parts.headers, takes_gzip)
            }
            ("/healthz", _) => self.health.alive(),
            ("/readyz", _) => self.health.ready(draining).await,
            _ => self.documents.answer(&parts.headers).await?,
        }))
    }
}

/// Where no plugin answers: the root leads to the documentation.
pub fn unrouted(parts: &Parts) -> Result<Response<Full<Bytes>>, Problem> {
    if parts.uri.path() != "/" {
        return Err(Problem::not_found());
    }
    only_get(parts)?;
    let mut answer = Response::new(Full::new(Bytes::new()));
    *answer.status_mut() = StatusCode::FOUND;
    let headers = answer.headers_mut();
    headers.insert(LOCATION, HeaderValue::from_static("/docs"));
    // A plugin may be mounted there at any time.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(answer)
}

fn only_get(parts: &Parts) -> Result<(), Problem> {
    match parts.method {
        Method::GET | Method::HEAD => Ok(()),
        _ => Err(Problem::method_not_allowed(&["GET", "HEAD"])),
    }
}

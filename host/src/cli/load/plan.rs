//! What is sent, how often and to whom.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::Full;

use super::Args;
use super::target::Target;

/// The body of the guide's load test.
pub const TICKET: &str = r#"{"subject":"Test","description":"Load test","priority":"medium"}"#;

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const AGENT: &str = concat!("hearth-load/", env!("CARGO_PKG_VERSION"));

/// A load test that is ready to run.
#[derive(Debug)]
pub struct Plan {
    pub target: Target,
    pub requests: u64,
    /// How many clients send them; each has one request under way.
    pub workers: u32,
    pub expect: StatusCode,
    /// For one request, its connection included.
    pub timeout: Duration,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

impl Plan {
    pub async fn new(args: &Args) -> anyhow::Result<Plan> {
        let target = Target::open(&args.url, args.any_address).await?;
        let body = body(args);
        Ok(Plan {
            headers: headers(args, &target, body.is_some()),
            target,
            requests: args.requests,
            workers: args
                .concurrency
                .min(u32::try_from(args.requests).unwrap_or(u32::MAX)),
            expect: StatusCode::from_u16(args.expect)?,
            timeout: Duration::from_millis(args.timeout_ms),
            method: args.method.clone(),
            uri: uri(&args.path),
            body: Bytes::from(body.unwrap_or_default()),
        })
    }

    /// One more of the same request.
    pub fn request(&self) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }
}

/// HTTP/1.1 sends the path alone; the host is in its header.
fn uri(path: &PathAndQuery) -> Uri {
    Uri::from(path.clone())
}

fn body(args: &Args) -> Option<String> {
    let wants_body = matches!(args.method, Method::POST | Method::PUT | Method::PATCH);
    args.body
        .clone()
        .or_else(|| wants_body.then(|| TICKET.to_string()))
}

fn headers(args: &Args, target: &Target, has_body: bool) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(HOST, target.host.clone());
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    if has_body {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    if let Some(key) = &args.key {
        headers.insert(API_KEY, key.clone());
    }
    headers
}

//! The heads of requests and answers: what a guest may say, and what it is told.

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue, USER_AGENT};
use http::{HeaderMap, Method, Request, StatusCode, response};
use http_body_util::{BodyExt, Full};

use super::connection::Body;
use super::{Config, Error, GuestRequest, GuestResponse};

/// Long enough for every method that is registered.
const METHOD_BYTES_MAX: usize = 32;

/// What says where a message goes, where it ends or what becomes of its
/// connection (RFC 9110, 7.2 and 7.6.1; RFC 9112, 6): the host's own matter.
const FORBIDDEN: [HeaderName; 12] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::HOST,
    HeaderName::from_static("http2-settings"),
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// What an answer says of its connection and not of itself.
const HOP_BY_HOP: [HeaderName; 7] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

const OWN_NAME: HeaderValue =
    HeaderValue::from_static(concat!("hearth/", env!("CARGO_PKG_VERSION")));

/// Whether a guest may not say this of its request.
pub fn is_forbidden(name: &HeaderName) -> bool {
    FORBIDDEN.contains(name)
}

/// A request of the interface, without its URI.
///
/// # Errors
/// [`Error::Invalid`] with the reason.
pub fn request(request: GuestRequest, config: &Config) -> Result<Request<Body>, Error> {
    check_body(&request.body, config)?;
    let mut headers = HeaderMap::new();
    for (name, value) in request.headers.iter().take(config.headers_max + 1) {
        let (name, value) = field(name, value)?;
        headers.append(name, value);
    }
    let body = Full::new(Bytes::from(request.body));
    let body = body.map_err(|never| match never {}).boxed_unsync();
    let mut sent = Request::new(body);
    *sent.method_mut() = method(&request.method)?;
    *sent.headers_mut() = headers;
    complete(&mut sent, config)?;
    Ok(sent)
}

pub fn check_body(body: &[u8], config: &Config) -> Result<(), Error> {
    let max = config.request_bytes_max;
    match body.len() > max {
        true => Err(Error::Invalid(format!(
            "the body has more than {max} bytes (outbound.request_bytes_max)"
        ))),
        false => Ok(()),
    }
}

/// A tunnel would lead past every check, so there is no CONNECT.
pub fn method(text: &str) -> Result<Method, Error> {
    let method = Method::from_bytes(text.as_bytes()).ok();
    method
        .filter(|method| method != Method::CONNECT && text.len() <= METHOD_BYTES_MAX)
        .ok_or_else(|| Error::Invalid("the method is invalid or unsupported".into()))
}

/// One header as it would be sent.
pub fn field(name: &str, value: &[u8]) -> Result<(HeaderName, HeaderValue), Error> {
    let known = HeaderName::from_bytes(name.as_bytes());
    let known = known.map_err(|_| Error::Invalid("the name of a header is invalid".into()))?;
    if is_forbidden(&known) {
        let text =
            format!("the header {known} belongs to the connection and is set by the host alone");
        return Err(Error::Invalid(text));
    }
    // Neither a line end nor a zero gets through.
    let value = HeaderValue::from_bytes(value);
    let value =
        value.map_err(|_| Error::Invalid(format!("the value of the header {known} is invalid")))?;
    Ok((known, value))
}

/// Bounds the head, and adds what is missing in it.
pub fn complete(request: &mut Request<Body>, config: &Config) -> Result<(), Error> {
    let headers = request.headers_mut();
    check_size(headers, config)?;
    headers.entry(USER_AGENT).or_insert(OWN_NAME);
    Ok(())
}

pub fn check_size(headers: &HeaderMap, config: &Config) -> Result<(), Error> {
    let (count, bytes) = size(headers);
    if count > config.headers_max {
        let max = config.headers_max;
        let text = format!("it has more than {max} headers (outbound.headers_max)");
        return Err(Error::Invalid(text));
    }
    if bytes > config.header_bytes_max {
        let max = config.header_bytes_max;
        let text = format!("its headers have more than {max} bytes (outbound.header_bytes_max)");
        return Err(Error::Invalid(text));
    }
    Ok(())
}

fn size(headers: &HeaderMap) -> (usize, usize) {
    let bytes = headers
        .iter()
        .map(|(name, value)| name.as_str().len().saturating_add(value.len()));
    (headers.len(), bytes.sum())
}

/// An answer that is none to what was asked.
pub fn check_status(status: StatusCode) -> Result<(), Error> {
    match status {
        StatusCode::SWITCHING_PROTOCOLS => {
            Err(Error::Protocol("it switched protocols unasked".into()))
        }
        _ => Ok(()),
    }
}

/// Whether an answer has more headers than a guest takes: more were read, or their
/// status would not be known.
pub fn is_too_large(headers: &HeaderMap, config: &Config) -> bool {
    let (count, bytes) = size(headers);
    count > config.headers_max || bytes > config.header_bytes_max
}

/// What the guest gets of an answer.
pub fn response(head: &response::Parts, body: Vec<u8>) -> GuestResponse {
    GuestResponse {
        status: head.status.as_u16(),
        headers: fields(&head.headers).collect(),
        body,
    }
}

/// What the guest gets of an answer that need not be whole: as many of its headers as
/// a guest takes.
pub fn response_within(head: &response::Parts, body: Vec<u8>, config: &Config) -> GuestResponse {
    let mut bytes = 0_usize;
    let fits = |(name, value): &(String, Vec<u8>)| {
        bytes = bytes.saturating_add(name.len()).saturating_add(value.len());
        bytes <= config.header_bytes_max
    };
    let fields = fields(&head.headers).take(config.headers_max);
    GuestResponse {
        status: head.status.as_u16(),
        headers: fields.take_while(fits).collect(),
        body,
    }
}

/// The headers that are of the message and not of its connection.
fn fields(headers: &HeaderMap) -> impl Iterator<Item = (String, Vec<u8>)> {
    let kept = headers
        .iter()
        .filter(|(name, _)| !HOP_BY_HOP.contains(name));
    kept.map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
}

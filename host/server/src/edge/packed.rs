//! Files of the binary that lie in it compressed, and are sent as they lie there to
//! whoever takes gzip, which every browser does.

use std::sync::OnceLock;

use async_compression::tokio::write::GzipDecoder;
use bytes::Bytes;
use futures_util::FutureExt as _;
use http::header::{CONTENT_ENCODING, VARY};
use http::{HeaderMap, Response};
use http_body_util::Full;
use tokio::io::AsyncWriteExt as _;

use super::fixed::Fixed;

/// Each representation has a tag of its own, as strong tags name bytes (RFC 9110, 8.8.3.3).
pub struct Packed {
    gzip: Fixed,
    plain: OnceLock<Fixed>,
    body: &'static [u8],
    content_type: &'static str,
    headers: &'static [(&'static str, &'static str)],
}

impl Packed {
    /// A body that was compressed with gzip, and what is sent with it.
    pub fn new(
        content_type: &'static str,
        body: &'static [u8],
        headers: &'static [(&'static str, &'static str)],
    ) -> Packed {
        let gzip = Fixed::new(content_type, Bytes::from_static(body)).with_all(headers);
        Packed {
            gzip: gzip
                .with(VARY, "accept-encoding")
                .with(CONTENT_ENCODING, "gzip"),
            plain: OnceLock::new(),
            body,
            content_type,
            headers,
        }
    }

    /// The file, or 304 where the client has it.
    pub fn answer(&self, request: &HeaderMap, takes_gzip: bool) -> Response<Full<Bytes>> {
        match takes_gzip {
            true => self.gzip.answer(request),
            false => self.plain().answer(request),
        }
    }

    /// Unpacked for the first client that wants it so, and kept.
    fn plain(&self) -> &Fixed {
        self.plain.get_or_init(|| {
            // What is part of the binary is whole: a test unpacks each of them.
            let body = unpack(self.body).unwrap_or_default();
            let plain = Fixed::new(self.content_type, Bytes::from(body));
            plain.with_all(self.headers).with(VARY, "accept-encoding")
        })
    }
}

/// A vector takes everything at once, so that this never waits.
fn unpack(body: &[u8]) -> Option<Vec<u8>> {
    let mut decoder = GzipDecoder::new(Vec::new());
    let unpacking = async {
        decoder.write_all(body).await?;
        decoder.shutdown().await
    };
    let unpacked: std::io::Result<()> = unpacking.now_or_never()?;
    unpacked.ok().map(|()| decoder.into_inner())
}

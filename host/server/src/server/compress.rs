//! Compression of answers: gzip, brotli or zstd, as the client prefers (RFC 9110,
//! section 12.5.3).
//!
//! The length of a compressed answer shows what secret and chosen text have in common
//! (BREACH). The attack needs a page that repeats what an attacker sends next to a
//! secret, in requests that a victim's browser makes with its own credentials. Here
//! credentials are headers that browsers do not add by themselves; besides, an answer
//! with `Cache-Control: no-store` or a cookie is never compressed, and a plugin that
//! answers with a secret sets `no-store` anyway.

mod accept;
mod tags;

use std::sync::Arc;

use async_compression::Level;
use async_compression::tokio::write::{BrotliEncoder, GzipEncoder, ZstdEncoder};
use bytes::Bytes;
use futures_util::FutureExt;
use http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue,
    SET_COOKIE, VARY,
};
use http::{Method, StatusCode};
use serde::Deserialize;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::Semaphore;

pub use self::accept::{Coding, accepts, wanted};
pub use self::tags::CodedTags;
use super::Answer;
use hearth_base::bounds;
use hearth_base::section::{GIB, MIB, Mistakes, Section};

/// Brotli's own scale; 4 takes about as long as gzip's 6 and comes out smaller.
const BROTLI_QUALITY: i32 = 4;
const GZIP_QUALITY: i32 = 6;
const ZSTD_QUALITY: i32 = 3;

/// Section `[compression]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub enabled: bool,
    /// Smaller bodies go as they are.
    pub body_bytes_min: usize,
    /// Larger ones are compressed on a thread that serves no requests.
    pub inline_bytes_max: usize,
    /// Bodies that are compressed at the same time on such threads. One more is sent
    /// uncompressed: no answer waits for compression.
    pub concurrency_max: usize,
    /// Media types: `text/html`, `text/*`, or `*+json`.
    pub types: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        let types = [
            "text/*",
            "application/json",
            "*+json",
            "application/x-ndjson",
            "application/javascript",
            "application/xml",
            "*+xml",
        ];
        Self {
            enabled: true,
            body_bytes_min: 1_024,
            inline_bytes_max: 16 << 10,
            concurrency_max: 2,
            types: types.map(str::to_owned).to_vec(),
        }
    }
}

impl Section for Config {
    fn validate(&self, mistakes: &mut Mistakes) {
        bounds! { self, mistakes =>
            body_bytes_min in 1..=GIB,
            inline_bytes_max in 0..=MIB,
            concurrency_max in 1..=256,
        }
    }
}

/// Compresses answers, within its share of the machine.
pub struct Compressor {
    config: Config,
    turns: Arc<Semaphore>,
}

impl Compressor {
    pub fn new(config: Config) -> Compressor {
        Compressor {
            turns: Arc::new(Semaphore::new(config.concurrency_max)),
            config,
        }
    }

    /// The answer, compressed where both sides want it.
    pub async fn apply(&self, method: &Method, coding: Option<Coding>, answer: Answer) -> Answer {
        if !self.config.enabled || !self.may(&answer) {
            return answer;
        }
        let (mut parts, mut body) = answer.into_parts();
        // Caches must know of the choice, whatever it was this time.
        parts
            .headers
            .append(VARY, HeaderValue::from_static("accept-encoding"));
        if let (Some(coding), true) = (coding, *method != Method::HEAD)
            && let Some(whole) = body.take_whole()
        {
            let smaller = self.smaller(coding, whole.clone()).await;
            if smaller.is_some() {
                note(&mut parts.headers, coding);
            }
            body = body.with_bytes(smaller.unwrap_or(whole));
        }
        Answer::from_parts(parts, body)
    }

    /// Whether this answer is one that compression helps and does not harm.
    fn may(&self, answer: &Answer) -> bool {
        let headers = answer.headers();
        let kept = [CONTENT_ENCODING, CONTENT_RANGE, SET_COOKIE]
            .iter()
            .any(|name| headers.contains_key(name));
        let whole = !matches!(
            answer.status(),
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED | StatusCode::PARTIAL_CONTENT
        );
        let length = answer.body().length().unwrap_or(0);
        whole
            && !kept
            && length >= self.config.body_bytes_min as u64
            && !is_private(headers)
            && self.is_compressible(headers)
    }

    fn is_compressible(&self, headers: &HeaderMap) -> bool {
        let Some(kind) = headers
            .get(CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok())
        else {
            return false;
        };
        let kind = kind.split(';').next().unwrap_or_default().trim();
        let kind = kind.to_ascii_lowercase();
        // Events must reach the client one by one.
        let listed = |pattern: &String| match pattern.split_once('*') {
            Some((start, end)) => {
                kind.len() >= pattern.len() - 1 && kind.starts_with(start) && kind.ends_with(end)
            }
            None => kind == *pattern,
        };
        kind != "text/event-stream" && self.config.types.iter().any(listed)
    }

    /// Nothing where there is no turn, or nothing to be won.
    async fn smaller(&self, coding: Coding, whole: Bytes) -> Option<Bytes> {
        let before = whole.len();
        let after = if before <= self.config.inline_bytes_max {
            encode(coding, &whole)
        } else {
            let turn = self.turns.clone().try_acquire_owned().ok()?;
            let encoding = tokio::task::spawn_blocking(move || {
                let encoded = encode(coding, &whole);
                drop(turn);
                encoded
            });
            encoding.await.ok()?
        };
        after.filter(|after| after.len() < before).map(Bytes::from)
    }
}

/// `no-transform` forbids it (RFC 9111, section 5.2.2.6); `no-store` is a secret.
fn is_private(headers: &HeaderMap) -> bool {
    let values = headers.get_all(CACHE_CONTROL).iter();
    let mut directives = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim);
    directives.any(|directive| {
        directive.eq_ignore_ascii_case("no-transform") || directive.eq_ignore_ascii_case("no-store")
    })
}

fn note(headers: &mut HeaderMap, coding: Coding) {
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
    let own = headers.get(ETAG);
    if let Some(tag) = own.and_then(|tag| tags::coded(tag, coding)) {
        headers.insert(ETAG, tag);
    }
}

fn encode(coding: Coding, whole: &[u8]) -> Option<Vec<u8>> {
    let into = Vec::with_capacity(whole.len() / 4);
    match coding {
        Coding::Gzip => {
            let encoder = GzipEncoder::with_quality(into, Level::Precise(GZIP_QUALITY));
            fill(encoder, whole).map(GzipEncoder::into_inner)
        }
        Coding::Brotli => {
            let encoder = BrotliEncoder::with_quality(into, Level::Precise(BROTLI_QUALITY));
            fill(encoder, whole).map(BrotliEncoder::into_inner)
        }
        Coding::Zstd => {
            let encoder = ZstdEncoder::with_quality(into, Level::Precise(ZSTD_QUALITY));
            fill(encoder, whole).map(ZstdEncoder::into_inner)
        }
    }
}

/// A vector takes everything at once, so that this never waits.
fn fill<E: AsyncWrite + Unpin>(mut encoder: E, whole: &[u8]) -> Option<E> {
    let filling = async {
        encoder.write_all(whole).await?;
        encoder.shutdown().await
    };
    let filled: std::io::Result<()> = filling.now_or_never()?;
    filled.ok().map(|()| encoder)
}

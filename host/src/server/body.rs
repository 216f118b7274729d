//! Reading a request's body, bounded in bytes and in silence.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

/// Why a body was not read. The client is to blame for each.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    #[error("no byte of the body came for {0:?}")]
    Idle(Duration),
    #[error("the body ended early or broke the protocol")]
    Broken,
}

/// The whole body, at most `bytes_max`, with no pause longer than `idle_max`.
pub async fn read(
    mut body: Incoming,
    bytes_max: usize,
    idle_max: Duration,
) -> Result<Bytes, BodyError> {
    let announced = body.size_hint().lower();
    if announced > u64::try_from(bytes_max).unwrap_or(u64::MAX) {
        return Err(BodyError::TooLarge(bytes_max));
    }
    let mut whole = BytesMut::new();
    loop {
        let frame = tokio::time::timeout(idle_max, body.frame())
            .await
            .map_err(|_| BodyError::Idle(idle_max))?;
        let Some(frame) = frame else {
            return Ok(whole.freeze());
        };
        let frame = frame.map_err(|_| BodyError::Broken)?;
        if let Ok(data) = frame.into_data() {
            if whole.len().saturating_add(data.len()) > bytes_max {
                return Err(BodyError::TooLarge(bytes_max));
            }
            whole.extend_from_slice(&data);
        }
    }
}

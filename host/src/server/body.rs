//! Reading a request's body, bounded in bytes, in silence and in time; and all of
//! them together in memory.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Server as Limits;

/// Memory for bodies is counted in blocks of this size.
const BLOCK_BYTES: usize = 4 << 10;

/// Why a body was not read. The client is to blame for each but the last.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    #[error("no byte of the body came for {0:?}")]
    Idle(Duration),
    #[error("the body took longer than {0:?}")]
    Slow(Duration),
    #[error("the body ended early or broke the protocol")]
    Broken,
    #[error("the bodies of all requests take all the memory they may have")]
    NoRoom,
}

/// All bodies that the public listener holds.
pub struct Bodies {
    room: Arc<Semaphore>,
    bytes_max: usize,
    idle_max: Duration,
    whole_max: Duration,
}

/// A body, and its part of the memory that bodies may have.
pub struct Held {
    bytes: Bytes,
    _room: Room,
}

impl Deref for Held {
    type Target = Bytes;

    fn deref(&self) -> &Bytes {
        &self.bytes
    }
}

impl Bodies {
    pub fn new(limits: &Limits) -> Bodies {
        Bodies {
            room: Arc::new(Semaphore::new(limits.bodies_bytes_max / BLOCK_BYTES)),
            bytes_max: limits.body_bytes_max,
            idle_max: Duration::from_millis(limits.body_idle_ms_max),
            whole_max: Duration::from_millis(limits.body_ms_max),
        }
    }

    /// The whole body: at most `bytes_max`, and no more than any may have.
    pub async fn read(&self, body: Incoming, bytes_max: usize) -> Result<Held, BodyError> {
        let mut room = Room::of(Some(&self.room));
        let bytes_max = bytes_max.min(self.bytes_max);
        let reading = whole(body, bytes_max, self.idle_max, &mut room);
        let bytes = tokio::time::timeout(self.whole_max, reading)
            .await
            .map_err(|_| BodyError::Slow(self.whole_max))??;
        Ok(Held { bytes, _room: room })
    }
}

/// The whole body, at most `bytes_max`, with no pause longer than `idle_max`.
pub async fn read(
    body: Incoming,
    bytes_max: usize,
    idle_max: Duration,
) -> Result<Bytes, BodyError> {
    whole(body, bytes_max, idle_max, &mut Room::of(None)).await
}

async fn whole(
    mut body: Incoming,
    bytes_max: usize,
    idle_max: Duration,
    room: &mut Room,
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
            room.hold(whole.len().saturating_add(data.len()))?;
            whole.extend_from_slice(&data);
        }
    }
}

/// What one body has of the memory for all, where that is counted.
struct Room {
    of: Option<Arc<Semaphore>>,
    taken: Option<OwnedSemaphorePermit>,
}

impl Room {
    fn of(all: Option<&Arc<Semaphore>>) -> Room {
        Room {
            of: all.cloned(),
            taken: None,
        }
    }

    /// Makes it enough for so many bytes, or says that there is no room.
    fn hold(&mut self, bytes: usize) -> Result<(), BodyError> {
        let Some(all) = &self.of else { return Ok(()) };
        let held = self.taken.as_ref().map_or(0, |taken| taken.num_permits());
        let more = bytes.div_ceil(BLOCK_BYTES).saturating_sub(held);
        if more == 0 {
            return Ok(());
        }
        let more = u32::try_from(more).map_err(|_| BodyError::NoRoom)?;
        let more = all
            .clone()
            .try_acquire_many_owned(more)
            .map_err(|_| BodyError::NoRoom)?;
        match &mut self.taken {
            Some(taken) => taken.merge(more),
            none => *none = Some(more),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_share_their_memory_and_give_it_back() {
        let all = Arc::new(Semaphore::new(3));
        let (mut one, mut other) = (Room::of(Some(&all)), Room::of(Some(&all)));
        one.hold(1).unwrap();
        one.hold(BLOCK_BYTES + 1).unwrap();
        other.hold(BLOCK_BYTES).unwrap();
        assert!(matches!(
            one.hold(2 * BLOCK_BYTES + 1),
            Err(BodyError::NoRoom)
        ));
        drop(other);
        one.hold(3 * BLOCK_BYTES).unwrap();
        drop(one);
        assert_eq!(all.available_permits(), 3);
    }
}

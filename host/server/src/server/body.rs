//! Reading a request's body, bounded in bytes, in silence, in pace and in time; and
//! all of them together in memory, of which each customer has a share.
//!
//! Bytes count as they arrive, not as they are announced. Small bodies have memory of
//! their own, so that large ones, of however many customers, keep none of them out.

use std::ops::Deref;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame};
use tokio::time::{Instant, timeout, timeout_at};

use super::unread::RequestBody;
use crate::server::config::Config as Limits;
use hearth_base::budget::{Budget, Customer, Full, Part};
use hearth_base::telemetry::HostMetrics;

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
    #[error("fewer than {0} bytes a second of the body came")]
    TooSlow(u64),
    #[error("the body ended early or broke the protocol")]
    Broken,
    #[error("the bodies of this customer take all the memory that one customer's may")]
    ShareFull,
    #[error("the bodies of all requests take all the memory they may have")]
    NoRoom,
}

impl From<Full> for BodyError {
    fn from(full: Full) -> BodyError {
        match full {
            Full::Whole => BodyError::NoRoom,
            Full::Share => BodyError::ShareFull,
        }
    }
}

/// All bodies that the public listener holds.
pub struct Bodies {
    small: Budget<Customer>,
    large: Budget<Customer>,
    small_max: usize,
    bytes_max: usize,
    idle_max: Duration,
    whole_max: Duration,
    bytes_per_second_min: u64,
    rate_window: Duration,
}

/// A body, and its part of the memory that bodies may have.
pub struct BufferedBody {
    bytes: Bytes,
    _room: Room,
}

impl Deref for BufferedBody {
    type Target = Bytes;

    fn deref(&self) -> &Bytes {
        &self.bytes
    }
}

impl Bodies {
    pub fn new(limits: &Limits, metrics: &HostMetrics) -> Bodies {
        let percent = limits.customer_percent_max;
        let budget = |max, size| Budget::with_gauge(max, percent, metrics.bodies_bytes(size));
        Bodies {
            small: budget(limits.small_bodies_bytes_max, "small"),
            large: budget(limits.bodies_bytes_max, "large"),
            small_max: limits.small_body_bytes_max,
            bytes_max: limits.body_bytes_max,
            idle_max: Duration::from_millis(limits.body_idle_ms_max),
            whole_max: Duration::from_millis(limits.body_ms_max),
            bytes_per_second_min: limits.body_bytes_per_second_min,
            rate_window: Duration::from_millis(limits.body_rate_window_ms),
        }
    }

    /// The whole body of one of this customer's requests: at most `bytes_max`, and no
    /// more than any may have.
    pub async fn read(
        &self,
        body: RequestBody,
        bytes_max: usize,
        customer: Customer,
    ) -> Result<BufferedBody, BodyError> {
        let mut reading = Reading {
            bytes_max: bytes_max.min(self.bytes_max),
            idle_max: self.idle_max,
            room: Some(self.room(customer)),
            pace: None,
        };
        let bytes = timeout(self.whole_max, reading.whole(body))
            .await
            .map_err(|_| BodyError::Slow(self.whole_max))??;
        let room = reading.room.ok_or(BodyError::Broken)?;
        Ok(BufferedBody { bytes, _room: room })
    }

    fn room(&self, customer: Customer) -> Room {
        Room {
            small: self.small.part(customer.clone()),
            large: self.large.part(customer),
            small_max: self.small_max,
            bytes_per_second_min: self.bytes_per_second_min,
            rate_window: self.rate_window,
        }
    }
}

/// The whole body, at most `bytes_max`, with no pause longer than `idle_max`.
pub async fn read(
    body: RequestBody,
    bytes_max: usize,
    idle_max: Duration,
) -> Result<Bytes, BodyError> {
    let mut reading = Reading {
        bytes_max,
        idle_max,
        room: None,
        pace: None,
    };
    reading.whole(body).await
}

/// One body on its way in.
struct Reading {
    bytes_max: usize,
    idle_max: Duration,
    room: Option<Room>,
    /// Of a large body.
    pace: Option<Pace>,
}

impl Reading {
    async fn whole(&mut self, mut body: RequestBody) -> Result<Bytes, BodyError> {
        let announced = body.size_hint().lower();
        if announced > u64::try_from(self.bytes_max).unwrap_or(u64::MAX) {
            return Err(BodyError::TooLarge(self.bytes_max));
        }
        let mut whole = BytesMut::new();
        while let Some(frame) = self.next(&mut body).await? {
            if let Ok(data) = frame.into_data() {
                self.make_room(whole.len().saturating_add(data.len()), data.len())?;
                whole.extend_from_slice(&data);
            }
        }
        Ok(whole.freeze())
    }

    async fn next(&mut self, body: &mut RequestBody) -> Result<Option<Frame<Bytes>>, BodyError> {
        let idle = Instant::now() + self.idle_max;
        loop {
            let look = self.pace.as_ref().map_or(idle, |pace| idle.min(pace.until));
            match timeout_at(look, body.frame()).await {
                Ok(frame) => return frame.transpose().map_err(|_| BodyError::Broken),
                Err(_) if look == idle => return Err(BodyError::Idle(self.idle_max)),
                Err(_) => self.pace.as_mut().map_or(Ok(()), Pace::turn)?,
            }
        }
    }

    /// Room for so many bytes in all, of which `came` are new.
    fn make_room(&mut self, bytes: usize, came: usize) -> Result<(), BodyError> {
        if bytes > self.bytes_max {
            return Err(BodyError::TooLarge(self.bytes_max));
        }
        let Some(room) = &mut self.room else {
            return Ok(());
        };
        room.grow_to(bytes)?;
        match &mut self.pace {
            Some(pace) => pace.came = pace.came.saturating_add(came as u64),
            none if bytes > room.small_max => *none = Some(room.pace()),
            _ => {}
        }
        Ok(())
    }
}

/// What one body has of the memory for all.
struct Room {
    small: Part<Customer>,
    large: Part<Customer>,
    small_max: usize,
    bytes_per_second_min: u64,
    rate_window: Duration,
}

impl Room {
    fn grow_to(&mut self, bytes: usize) -> Result<(), BodyError> {
        let blocks = bytes.div_ceil(BLOCK_BYTES).saturating_mul(BLOCK_BYTES);
        if bytes <= self.small_max {
            return Ok(self.small.grow_to(blocks)?);
        }
        self.large.grow_to(blocks)?;
        self.small.set(0);
        Ok(())
    }

    fn pace(&self) -> Pace {
        let window_ms = u64::try_from(self.rate_window.as_millis()).unwrap_or(u64::MAX);
        Pace {
            bytes_per_second_min: self.bytes_per_second_min,
            bytes_min: self.bytes_per_second_min.saturating_mul(window_ms) / 1_000,
            window: self.rate_window,
            until: Instant::now() + self.rate_window,
            came: 0,
        }
    }
}

/// Whoever holds much memory with a body has to bring it: so many bytes in each
/// window of time.
struct Pace {
    bytes_per_second_min: u64,
    bytes_min: u64,
    window: Duration,
    until: Instant,
    came: u64,
}

impl Pace {
    /// A window is over, and the next begins.
    fn turn(&mut self) -> Result<(), BodyError> {
        if self.came < self.bytes_min {
            return Err(BodyError::TooSlow(self.bytes_per_second_min));
        }
        self.came = 0;
        self.until += self.window;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hearth_base::telemetry::Metrics;

    /// 16 KiB for small bodies, 256 KiB for large ones; a customer has half of each.
    fn bodies() -> Bodies {
        let limits = Limits {
            small_body_bytes_max: 2 * BLOCK_BYTES,
            small_bodies_bytes_max: 4 * BLOCK_BYTES,
            bodies_bytes_max: 64 * BLOCK_BYTES,
            customer_percent_max: 50,
            ..Limits::default()
        };
        Bodies::new(
            &limits,
            &HostMetrics::new(&Metrics::new(&Default::default())),
        )
    }

    fn customer(name: &str) -> Customer {
        Some(name.into())
    }

    #[test]
    fn one_customer_has_its_share_of_memory_and_gives_it_back() {
        let bodies = bodies();
        let (mut one, mut two) = (bodies.room(customer("a")), bodies.room(customer("a")));
        one.grow_to(3 * BLOCK_BYTES).unwrap();
        one.grow_to(20 * BLOCK_BYTES).unwrap();
        assert!(matches!(
            two.grow_to(13 * BLOCK_BYTES),
            Err(BodyError::ShareFull)
        ));
        let (mut other, mut third) = (bodies.room(customer("b")), bodies.room(customer("c")));
        other.grow_to(32 * BLOCK_BYTES).unwrap();
        assert!(matches!(
            third.grow_to(13 * BLOCK_BYTES),
            Err(BodyError::NoRoom)
        ));
        drop(one);
        two.grow_to(13 * BLOCK_BYTES).unwrap();
    }

    #[test]
    fn small_bodies_find_room_whatever_large_ones_take() {
        let bodies = bodies();
        let large: Vec<Room> = ["a", "b"]
            .iter()
            .map(|name| {
                let mut room = bodies.room(customer(name));
                room.grow_to(32 * BLOCK_BYTES).unwrap();
                room
            })
            .collect();
        let mut small = bodies.room(customer("a"));
        small.grow_to(1).unwrap();
        small.grow_to(BLOCK_BYTES + 1).unwrap();
        assert!(matches!(
            bodies.room(customer("a")).grow_to(1),
            Err(BodyError::ShareFull)
        ));
        bodies.room(customer("c")).grow_to(1).unwrap();
        assert!(matches!(
            bodies.room(customer("c")).grow_to(3 * BLOCK_BYTES),
            Err(BodyError::NoRoom)
        ));
        drop(large);
    }

    #[test]
    fn large_body_brings_so_much_in_every_window() {
        let mut pace = bodies().room(None).pace();
        pace.came = pace.bytes_min;
        pace.turn().unwrap();
        pace.came = pace.bytes_min - 1;
        assert!(matches!(pace.turn(), Err(BodyError::TooSlow(8_192))));
    }
}

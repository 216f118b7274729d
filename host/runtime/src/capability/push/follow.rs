//! This host's part in the fleet: it publishes, follows the log, and sweeps it.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{sleep, timeout};
use tokio_postgres::Error;

use super::recent::RECENT_MAX;
use super::{PushInner, frame, publisher};
use hearth_backend::postgres::events::{News, Position, Retention, Tail};

/// What one look at the log may find.
const NEWS_MAX: usize = 10_000;
/// Events that are fetched at once.
const FETCH_MAX: usize = 64;
/// Listeners after whom others get their turn of this thread.
const AT_ONCE_MAX: usize = 100;
/// Between two attempts to connect.
const AGAIN: Duration = Duration::from_millis(200);

/// Why the log cannot be followed now: the backend's.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error("{0}")]
    Postgres(#[from] Error),
    #[error("timed out")]
    Slow,
    #[error("the connection was lost")]
    Ended,
}

pub async fn follow(shared: &PushInner) {
    tokio::join!(publisher::run(shared), tail(shared), sweep(shared));
}

/// Follows the log. What is published while the connection is lost is read once there
/// is another.
async fn tail(shared: &PushInner) {
    let mut away = false;
    loop {
        let Err(lost) = connected(shared, &mut away).await;
        if !away {
            tracing::warn!(error = %lost, "the log of push events cannot be read: open streams receive no events until it can");
        }
        away = true;
        sleep(AGAIN).await;
    }
}

async fn connected(
    shared: &PushInner,
    away: &mut bool,
) -> Result<std::convert::Infallible, FollowError> {
    let tail = within(shared, shared.log.tail(shared.told.clone())).await?;
    if shared.hub.position().is_none() {
        let newest = within(shared, tail.newest(RECENT_MAX)).await?;
        shared.hub.begin(&newest);
        shared.begun.send_replace(true);
    }
    let mut told = shared.told.subscribe();
    loop {
        read(shared, &tail).await?;
        *away = false;
        let read = shared.hub.position().unwrap_or_default();
        tokio::select! {
            _ = told.wait_for(|told| *told > read.0) => {}
            () = tail.ended() => return Err(FollowError::Ended),
            () = sleep(Duration::from_millis(shared.config.poll_ms)) => {}
        }
    }
}

async fn within<T>(
    shared: &PushInner,
    asked: impl Future<Output = Result<T, Error>>,
) -> Result<T, FollowError> {
    let patience = Duration::from_millis(shared.config.read_ms_max);
    Ok(timeout(patience, asked)
        .await
        .map_err(|_| FollowError::Slow)??)
}

/// Everything that there is.
async fn read(shared: &PushInner, tail: &Tail) -> Result<(), FollowError> {
    loop {
        let after = shared.hub.position().unwrap_or_default();
        let news = within(shared, tail.news(after, NEWS_MAX)).await?;
        hand_out(shared, tail, &news).await?;
        if !news.more {
            return Ok(());
        }
    }
}

/// Bit by bit, so that few events are in memory at once.
async fn hand_out(shared: &PushInner, tail: &Tail, news: &News) -> Result<(), FollowError> {
    shared.hub.lose(news);
    for events in news.events.chunks(FETCH_MAX) {
        let wanted = shared.hub.wanted(events);
        let frames = frames(shared, tail, &wanted).await?;
        for (position, channel) in events {
            let count = shared.hub.offer(*position, *channel, frames.get(position));
            if count > AT_ONCE_MAX {
                tokio::task::yield_now().await;
            }
        }
    }
    shared.hub.reach(news.reached);
    Ok(())
}

async fn frames(
    shared: &PushInner,
    tail: &Tail,
    wanted: &[Position],
) -> Result<HashMap<Position, Bytes>, FollowError> {
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let events = within(shared, tail.fetch(wanted)).await?;
    let framed = events
        .iter()
        .map(|event| (event.position, frame::event(event)));
    Ok(framed.collect())
}

async fn sweep(shared: &PushInner) {
    let every = Duration::from_millis(shared.config.sweep_ms);
    let kept = Retention {
        age: Duration::from_millis(shared.config.log_ms_max),
        events_max: shared.config.log_events_max,
        every,
    };
    loop {
        sleep(every).await;
        if let Err(error) = shared.log.sweep(&kept).await {
            tracing::debug!(%error, "old push events could not be deleted");
        }
    }
}

//! Between the hosts of a fleet: what one declares stale, all hear of.
//!
//! Telling happens beside the call, in as few statements as there is to tell, and
//! never within a plugin's transaction. A host that has not been able to listen
//! for a while serves nothing from its cache, since it would not know.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use super::invalidations::Declaration;
use super::share::Share;
use super::{Config, Shares};
use hearth_backend::postgres::Server;
use hearth_backend::postgres::invalidations::{
    EVERY_PLUGIN, Invalidation, InvalidationLog, LogError, LogNews, LogPosition,
    LoggedInvalidation, Lost, Tick,
};

/// What one read may find before a host takes everything for stale.
const READ_ROWS_MAX: usize = 10_000;
/// How often old rows are removed, by whichever host comes first.
const SWEEP: Duration = Duration::from_secs(60);
/// How long a host that ends tries to tell what it has not told yet.
const LAST_WORDS: Duration = Duration::from_secs(1);

pub(super) struct Fleet {
    config: Config,
    declared: Notify,
    /// How far this host has heard; `None` as long as nobody listens, and then
    /// there is no fleet.
    heard: Mutex<Option<Heard>>,
}

/// How far a host had heard, and what time it was for Postgres.
#[derive(Clone, Copy, Debug)]
pub(super) struct Heard {
    pub(super) position: LogPosition,
    asked: Instant,
    answered: Instant,
}

impl Heard {
    /// Microseconds since 1970 by Postgres's clock: it is no earlier now.
    pub(super) fn earliest(&self) -> i64 {
        self.micros_since(self.answered)
    }

    /// The same: it is no later.
    pub(super) fn latest(&self) -> i64 {
        self.micros_since(self.asked)
    }

    fn micros_since(&self, then: Instant) -> i64 {
        let passed = i64::try_from(then.elapsed().as_micros()).unwrap_or(i64::MAX);
        self.position.micros.saturating_add(passed)
    }
}

impl Fleet {
    pub(super) fn new(config: &Config) -> Fleet {
        Fleet {
            config: config.clone(),
            declared: Notify::new(),
            heard: Mutex::default(),
        }
    }

    pub(super) fn vouches(&self) -> bool {
        self.heard.lock().is_none_or(|heard| self.is_recent(&heard))
    }

    /// How far this host has heard, where that was of late.
    pub(super) fn heard(&self) -> Option<Heard> {
        self.heard.lock().filter(|heard| self.is_recent(heard))
    }

    fn is_recent(&self, heard: &Heard) -> bool {
        heard.asked.elapsed() <= Duration::from_millis(self.config.fleet_stale_ms_max)
    }

    /// From where on this host has heard of everything, for a plugin that is new.
    pub(super) fn tick(&self) -> Tick {
        self.heard.lock().map_or(0, |heard| heard.position.tick)
    }

    pub(super) fn tell_soon(&self) {
        self.declared.notify_one();
    }

    /// Whether there was something to tell. What could not be told waits on.
    async fn tell(&self, log: &InvalidationLog, shares: &Shares) -> Result<bool, LogError> {
        let shares: Vec<Arc<Share>> = shares.lock().values().cloned().collect();
        let unreported: Vec<(Arc<Share>, Vec<Declaration>)> = shares
            .into_iter()
            .map(|share| (share.clone(), share.invalidations.unreported()))
            .filter(|(_, declared)| !declared.is_empty())
            .collect();
        if unreported.is_empty() {
            return Ok(false);
        }
        let tick = log.append(&invalidations(&unreported)).await?;
        for (share, declared) in &unreported {
            share.invalidations.report(declared, tick);
        }
        Ok(true)
    }

    /// Reads what others have told. The question counts, not the answer: what is
    /// told in between may not be in it.
    async fn listen(&self, log: &mut InvalidationLog, shares: &Shares) -> Result<(), LogError> {
        let asked = Instant::now();
        let read = log.read().await?;
        // No plugin is lent a share in between: it would miss what is applied.
        let shares = shares.lock();
        match read.found {
            LogNews::New(told) => told.iter().for_each(|told| apply(&shares, told)),
            LogNews::Begun { told, lost } => {
                for (plugin, share) in shares.iter() {
                    share.begin(tick_lost(&lost, plugin, read.position.tick));
                }
                told.iter().for_each(|told| apply(&shares, told));
            }
        }
        *self.heard.lock() = Some(Heard {
            position: read.position,
            asked,
            answered: Instant::now(),
        });
        Ok(())
    }
}

fn invalidations(unreported: &[(Arc<Share>, Vec<Declaration>)]) -> Vec<Invalidation> {
    let of_share = |(share, declared): &(Arc<Share>, Vec<Declaration>)| {
        let invalidation = |declared: &Declaration| Invalidation {
            plugin: share.plugin.to_string(),
            customer: declared.customer.clone(),
            what: declared.what.clone(),
        };
        declared.iter().map(invalidation).collect::<Vec<_>>()
    };
    unreported.iter().flat_map(of_share).collect()
}

/// Up to where nothing is known of what was told of a plugin.
fn tick_lost(lost: &Lost, plugin: &str, now: Tick) -> Tick {
    match lost {
        Lost::All => now,
        Lost::Swept(ticks) => {
            let of = |name: &str| ticks.get(name).copied().unwrap_or(0);
            of(plugin).max(of(EVERY_PLUGIN))
        }
    }
}

/// A plugin that this host does not know has nothing cached here.
fn apply(shares: &super::SharesByPlugin, told: &LoggedInvalidation) {
    let stale = &told.stale;
    let hear = |share: &Arc<Share>| share.hear(stale.customer.as_deref(), &stale.what, told.tick);
    match &*stale.plugin {
        EVERY_PLUGIN => shares.values().for_each(hear),
        plugin => shares.get(plugin).into_iter().for_each(hear),
    }
}

pub(super) async fn follow(fleet: &Fleet, shares: &Shares, server: Server) {
    let mut log = InvalidationLog::new(server, READ_ROWS_MAX);
    let poll = Duration::from_millis(fleet.config.fleet_poll_ms);
    // Whatever hangs is given up before the host stops vouching for its cache.
    let patience = Duration::from_millis(fleet.config.fleet_stale_ms_max);
    let mut swept = Instant::now();
    let mut away = false;
    loop {
        let round = async {
            fleet.listen(&mut log, shares).await?;
            if fleet.tell(&log, shares).await? {
                // What is computed from here on is newer than what was told.
                fleet.listen(&mut log, shares).await?;
            }
            if swept.elapsed() >= SWEEP {
                swept = Instant::now();
                let kept = Duration::from_millis(fleet.config.fleet_kept_ms);
                log.sweep(kept).await?;
            }
            Ok::<(), LogError>(())
        };
        let failed = match timeout(patience, round).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("timed out".to_owned()),
        };
        if let (Some(error), false) = (&failed, away) {
            let stale_ms_max = fleet.config.fleet_stale_ms_max;
            tracing::warn!(
                stale_ms_max, %error,
                "cache invalidations cannot be exchanged with the other hosts: after stale_ms_max \
                 this host serves nothing from its cache"
            );
        }
        away = failed.is_some();
        pause(fleet, poll, away).await;
    }
}

/// Tells what is left to tell, for a host that ends.
pub(super) async fn tell_last(fleet: &Fleet, shares: &Shares, server: Server) {
    let log = InvalidationLog::new(server, READ_ROWS_MAX);
    match timeout(LAST_WORDS, fleet.tell(&log, shares)).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => {
            tracing::warn!(%error, "the last cache invalidations could not be sent to the other hosts")
        }
        Err(_) => tracing::warn!(
            "the last cache invalidations could not be sent to the other hosts in time"
        ),
    }
}

/// Until there is something to tell, or it is time to listen.
async fn pause(fleet: &Fleet, poll: Duration, away: bool) {
    match away {
        true => sleep(poll).await,
        false => {
            let _ = timeout(poll, fleet.declared.notified()).await;
        }
    }
}

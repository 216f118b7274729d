//! Between the hosts of a fleet: what one declares stale, all hear of.
//!
//! Telling happens beside the call, in as few statements as there is to tell, and
//! never within a plugin's transaction. A host that has not been able to listen
//! for a while serves nothing from its cache, since it would not know.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use super::{Config, Shares};
use crate::backend::postgres::Server;
use crate::backend::postgres::invalidations::{Invalidation, Log, LogError, Read, Stale};

/// What one read may find before a host takes everything for stale.
const READ_ROWS_MAX: usize = 10_000;
/// How often old rows are removed, by whichever host comes first.
const SWEEP: Duration = Duration::from_secs(60);

pub(super) struct Fleet {
    config: Config,
    /// By plugin, so that one cannot push out what another has to tell.
    waiting: Mutex<HashMap<String, HashSet<Invalidation>>>,
    told: Notify,
    /// When what others told was last known; `None` as long as nobody listens,
    /// and then there is no fleet.
    listened: Mutex<Option<Instant>>,
}

impl Fleet {
    pub(super) fn new(config: &Config) -> Fleet {
        Fleet {
            config: config.clone(),
            waiting: Mutex::default(),
            told: Notify::new(),
            listened: Mutex::default(),
        }
    }

    pub(super) fn vouches(&self) -> bool {
        let away_max = Duration::from_millis(self.config.fleet_away_ms_max);
        self.listened
            .lock()
            .is_none_or(|listened| listened.elapsed() <= away_max)
    }

    pub(super) fn tell(&self, stale: Invalidation) {
        self.wait_to_tell(stale);
        self.told.notify_one();
    }

    fn wait_to_tell(&self, stale: Invalidation) {
        let mut waiting = self.waiting.lock();
        let of_plugin = waiting.entry(stale.plugin.clone()).or_default();
        if of_plugin.len() < self.config.fleet_waiting_max {
            of_plugin.insert(stale);
            return;
        }
        of_plugin.clear();
        of_plugin.insert(Invalidation {
            plugin: stale.plugin,
            customer: None,
            what: Stale::Plugin,
        });
    }

    /// What could not be told waits on.
    async fn tell_waiting(&self, log: &Log) -> Result<(), LogError> {
        let mut batch = Batch::take(self);
        if !batch.stale.is_empty() {
            log.append(&batch.stale).await?;
            batch.stale.clear();
        }
        Ok(())
    }

    /// Reads what others have told. The question counts, not the answer: what is
    /// told in between may not be in it.
    async fn listen(&self, log: &mut Log, shares: &Shares) -> Result<(), LogError> {
        let asked = Instant::now();
        let last = *self.listened.lock();
        let kept = Duration::from_millis(self.config.fleet_kept_ms);
        if last.is_some_and(|last| last.elapsed() >= kept) {
            log.forget();
        }
        match log.read().await? {
            Read::New(stale) => stale.iter().for_each(|stale| apply(shares, stale)),
            Read::Begun => all_stale(shares),
        }
        *self.listened.lock() = Some(asked);
        Ok(())
    }
}

/// What is being told. Dropped, what was not told waits on.
struct Batch<'a> {
    fleet: &'a Fleet,
    stale: Vec<Invalidation>,
}

impl Batch<'_> {
    fn take(fleet: &Fleet) -> Batch<'_> {
        let mut waiting = fleet.waiting.lock();
        let stale = waiting.drain().flat_map(|(_, stale)| stale).collect();
        Batch { fleet, stale }
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        for stale in self.stale.drain(..) {
            self.fleet.wait_to_tell(stale);
        }
    }
}

fn apply(shares: &Shares, stale: &Invalidation) {
    // A plugin that this host does not know has nothing cached here.
    let share = shares.lock().get(&stale.plugin).cloned();
    if let Some(share) = share {
        share.apply(stale.customer.as_deref(), &stale.what);
    }
}

fn all_stale(shares: &Shares) {
    let shares: Vec<_> = shares.lock().values().cloned().collect();
    for share in shares {
        share.apply(None, &Stale::Plugin);
    }
}

pub(super) async fn follow(fleet: &Fleet, shares: &Shares, server: Server) {
    let mut log = Log::new(server, READ_ROWS_MAX);
    let poll = Duration::from_millis(fleet.config.fleet_poll_ms);
    // Whatever hangs is given up before the host stops vouching for its cache.
    let patience = Duration::from_millis(fleet.config.fleet_away_ms_max);
    let mut swept = Instant::now();
    let mut away = false;
    loop {
        let round = async {
            fleet.listen(&mut log, shares).await?;
            fleet.tell_waiting(&log).await?;
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
            Err(_) => Some("it took too long".to_owned()),
        };
        if let (Some(error), false) = (&failed, away) {
            let away_ms = fleet.config.fleet_away_ms_max;
            tracing::warn!(away_ms, %error, "invalidations cannot be exchanged: the cache serves for so long");
        }
        away = failed.is_some();
        pause(fleet, poll, away).await;
    }
}

/// Until there is something to tell, or it is time to listen.
async fn pause(fleet: &Fleet, poll: Duration, away: bool) {
    match away {
        true => sleep(poll).await,
        false => {
            let _ = timeout(poll, fleet.told.notified()).await;
        }
    }
}

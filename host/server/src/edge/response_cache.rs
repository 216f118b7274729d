//! The response cache: answers of plugins, by route.
//!
//! A plugin's manifest lists the routes. An answer is cached for one deployment, one
//! customer and one set of scopes, under the tags that the manifest and the answer's
//! own `Hearth-Cache-Tag` name; `cache.invalidate-tag` invalidates it at once. An
//! answer whose call began before an invalidation is never cached.
//!
//! `X-Cache` says what happened: `HIT`, with `Age`; `MISS`; or `BYPASS`, where the
//! client asked for a new answer. Answers are cached in memory only: hosts share the
//! values that plugins cache, not whole answers.

mod answers;
mod key;
mod route;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, RANGE, SET_COOKIE, VARY};
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method, Response, StatusCode};
use http_body_util::Full;
use metrics::{Counter, Gauge};
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::sync::watch;

use self::answers::{Answers, CachedAnswer};
use self::key::Key;
use self::route::Matched;
use super::conditional::whole;
use super::keys::Caller;
use super::x_cache::tell_response;
use hearth_base::bounds;
use hearth_base::section::{GIB, HOUR_MS, MIB, Mistakes, Section};
use hearth_base::telemetry::HostMetrics;
use hearth_runtime::capability::cache::{Moment, TagHash};
use hearth_runtime::plugin::deployment::Deployment;

type WholeAnswer = Response<Full<Bytes>>;

/// Tags of one answer, separated by commas. Clients never see it.
const HEARTH_CACHE_TAG: HeaderName = HeaderName::from_static("hearth-cache-tag");
/// The most tags of one answer, of the manifest and of the answer together.
const TAGS_MAX: usize = 32;

/// Section `[response_cache]`. Times are milliseconds.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Of this host's memory, for all plugins.
    pub bytes_max: usize,
    /// What one customer may have of it, in percent.
    pub customer_percent_max: u64,
    /// The body of one answer.
    pub entry_bytes_max: usize,
    /// How long others wait for an answer that is being made before they ask the
    /// plugin as well.
    pub wait_ms_max: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bytes_max: 64 << 20,
            customer_percent_max: 50,
            entry_bytes_max: 1 << 20,
            wait_ms_max: 1_000,
        }
    }
}

impl Section for Config {
    fn validate(&self, mistakes: &mut Mistakes) {
        bounds! { self, mistakes =>
            bytes_max in 0..=64 * GIB,
            entry_bytes_max in 0..=64 * MIB,
            customer_percent_max in 1..=100,
            wait_ms_max in 0..=HOUR_MS,
        }
    }
}

/// The answers of all plugins. One per process.
pub struct ResponseCache {
    config: Config,
    answers: Answers,
    under_way: Mutex<HashMap<Arc<Key>, watch::Receiver<()>>>,
    hits: Counter,
    misses: Counter,
    bypassed: Counter,
    coalesced: Counter,
    bytes: Gauge,
}

/// What to do with a request.
pub enum Begun<'a> {
    /// Answer with this.
    Hit(WholeAnswer),
    /// Ask the plugin, and [`Pending::finish`] its answer.
    Ask(Pending<'a>),
}

/// A request that the plugin is answering. When it is dropped, requests that wait for
/// it continue.
pub struct Pending<'a> {
    cache: &'a ResponseCache,
    /// `None` where the route is none that is kept.
    route: Option<CachedRequest<'a>>,
}

struct CachedRequest<'a> {
    deployment: &'a Deployment,
    key: Arc<Key>,
    matched: Matched<'a>,
    customer: Option<Arc<str>>,
    began: Moment,
    bypass: bool,
    leads: Option<watch::Sender<()>>,
}

impl ResponseCache {
    pub fn open(config: &Config, metrics: &HostMetrics) -> ResponseCache {
        let outcome = |outcome| metrics.response_cache(outcome);
        ResponseCache {
            config: config.clone(),
            answers: Answers::new(config),
            under_way: Mutex::default(),
            hits: outcome("hit"),
            misses: outcome("miss"),
            bypassed: outcome("bypass"),
            coalesced: outcome("coalesced"),
            bytes: metrics.response_cache_bytes(),
        }
    }

    /// Looks for an answer that was kept; waits for one that is being made.
    pub async fn begin<'a>(
        &'a self,
        deployment: &'a Deployment,
        parts: &Parts,
        caller: Option<&Caller>,
    ) -> Begun<'a> {
        let Some(matched) = self.route(deployment, parts) else {
            let (cache, route) = (self, None);
            return Begun::Ask(Pending { cache, route });
        };
        let mut asked = CachedRequest {
            key: Arc::new(Key::of(deployment, parts, caller, &matched.route.vary)),
            customer: caller.map(|caller| caller.customer_id.clone()),
            began: deployment.lents.cache.share.invalidations.now(),
            bypass: bypasses(&parts.headers),
            leads: None,
            deployment,
            matched,
        };
        if !asked.bypass
            && let Some(kept) = self.find(&mut asked).await
        {
            self.hits.increment(1);
            return Begun::Hit(kept.answer());
        }
        let route = Some(asked);
        Begun::Ask(Pending { cache: self, route })
    }

    fn route<'a>(&self, deployment: &'a Deployment, parts: &Parts) -> Option<Matched<'a>> {
        let reads = parts.method == Method::GET || parts.method == Method::HEAD;
        match reads && self.config.bytes_max > 0 {
            true => route::find(deployment, parts.uri.path()),
            false => None,
        }
    }

    async fn find(&self, asked: &mut CachedRequest<'_>) -> Option<Arc<CachedAnswer>> {
        if let Some(kept) = self.look_up(asked) {
            return Some(kept);
        }
        let mut followed = self.lead(asked)?;
        self.coalesced.increment(1);
        let wait_max = Duration::from_millis(self.config.wait_ms_max);
        // It ends with an error when whoever leads is done.
        let _ = tokio::time::timeout(wait_max, followed.changed()).await;
        asked.began = asked.deployment.lents.cache.share.invalidations.now();
        self.look_up(asked)
    }

    /// Whom to wait for; `None` where this request is the first.
    fn lead(&self, asked: &mut CachedRequest<'_>) -> Option<watch::Receiver<()>> {
        let mut under_way = self.under_way.lock();
        if let Some(leader) = under_way.get(&asked.key) {
            return Some(leader.clone());
        }
        let (sender, receiver) = watch::channel(());
        under_way.insert(asked.key.clone(), receiver);
        asked.leads = Some(sender);
        None
    }

    fn look_up(&self, asked: &CachedRequest<'_>) -> Option<Arc<CachedAnswer>> {
        let share = &asked.deployment.lents.cache.share;
        let kept = self.answers.get(&asked.key)?;
        let fresh = kept.at.elapsed() < kept.ttl;
        let holds = fresh && share.vouches() && share.invalidations.holds(kept.began, &kept.tags);
        holds.then_some(kept)
    }
}

impl Pending<'_> {
    /// Whether the answer may be kept: then HEAD is asked as GET.
    pub fn keeps(&self) -> bool {
        self.route.is_some()
    }

    /// Takes out what is not for clients, says what the cache did, and keeps the
    /// answer if it may be kept.
    pub async fn finish(mut self, mut answer: WholeAnswer) -> WholeAnswer {
        let named = tags(answer.headers_mut());
        let Some(asked) = &self.route else {
            return answer;
        };
        let counter = match asked.bypass {
            true => &self.cache.bypassed,
            false => &self.cache.misses,
        };
        counter.increment(1);
        let (parts, body) = answer.into_parts();
        let body = whole(body).await;
        if self.may_keep(asked, parts.status, &parts.headers, &body) {
            self.keep(asked, parts.status, &parts.headers, &body, &named);
        }
        let did = if asked.bypass { "BYPASS" } else { "MISS" };
        self.end();
        let mut answer = Response::from_parts(parts, Full::new(body));
        tell_response(did, answer.headers_mut());
        answer
    }

    fn may_keep(
        &self,
        asked: &CachedRequest<'_>,
        status: StatusCode,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> bool {
        let route = asked.matched.route;
        let good = status == StatusCode::OK || status == StatusCode::NOT_FOUND && route.not_found;
        let varies = headers.get_all(VARY).iter().all(|line| {
            let names = line.to_str().unwrap_or("*").split(',');
            let known = |name: &str| route.vary.iter().any(|own| own.eq_ignore_ascii_case(name));
            names
                .map(str::trim)
                .all(|name| name.is_empty() || known(name))
        });
        good && varies
            && !headers.contains_key(SET_COOKIE)
            && !says(headers, &["no-store"])
            && body.len() <= self.cache.config.entry_bytes_max
    }

    /// What was declared stale while the plugin was asked is not kept.
    fn keep(
        &self,
        asked: &CachedRequest<'_>,
        status: StatusCode,
        headers: &HeaderMap,
        body: &Bytes,
        named: &[String],
    ) {
        let invalidations = &asked.deployment.lents.cache.share.invalidations;
        let customer = asked.customer.as_deref();
        let declared = asked.matched.tags();
        let tags: Vec<TagHash> = declared
            .iter()
            .chain(named)
            .map(|tag| invalidations.tag(customer, tag))
            .collect();
        if tags.len() > TAGS_MAX || !invalidations.holds(asked.began, &tags) {
            return;
        }
        let kept = CachedAnswer {
            status,
            headers: headers.clone(),
            body: body.clone(),
            at: Instant::now(),
            ttl: Duration::from_millis(asked.matched.route.ttl_ms),
            began: asked.began,
            tags,
        };
        self.cache.answers.insert(&asked.key, kept);
        self.cache.bytes.set(self.cache.answers.bytes() as f64);
    }

    fn end(&mut self) {
        if let Some(asked) = &mut self.route
            && asked.leads.is_some()
        {
            self.cache.under_way.lock().remove(&asked.key);
            asked.leads = None;
        }
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.end();
    }
}

/// The client wants an answer of its own, or a part of one.
fn bypasses(headers: &HeaderMap) -> bool {
    headers.contains_key(RANGE) || says(headers, &["no-cache", "no-store", "max-age=0"])
}

fn says(headers: &HeaderMap, directives: &[&str]) -> bool {
    let lines = headers.get_all(CACHE_CONTROL).iter();
    let mut said = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','));
    said.any(|said| {
        directives
            .iter()
            .any(|own| said.trim().eq_ignore_ascii_case(own))
    })
}

/// The tags that the answer names, which leave it with this.
fn tags(headers: &mut HeaderMap) -> Vec<String> {
    let lines: Vec<String> = headers
        .get_all(HEARTH_CACHE_TAG)
        .iter()
        .filter_map(|line| line.to_str().ok().map(str::to_owned))
        .collect();
    headers.remove(HEARTH_CACHE_TAG);
    let names = lines.iter().flat_map(|line| line.split(','));
    let named = names.map(str::trim).filter(|tag| !tag.is_empty());
    named.map(str::to_owned).collect()
}

//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): a POST or PATCH
//! that is sent again has one effect, and is answered as it was the first time.
//!
//! Before the plugin runs, a row, the claim, says which request works on the key. The
//! plugin's first transaction that writes marks the claim as applied, in the same
//! commit. Before the client gets the answer, the answer is stored. So after a crash at
//! any instant:
//!
//! - before the commit, nothing was done: a retry takes the claim over and runs;
//! - between commit and kept answer, the mark says so: a retry gets 409
//!   `already-applied`, never a second effect;
//! - after it, a retry gets the answer, with `Idempotency-Replayed: true`.
//!
//! An answer of 4xx without a mark had no effect. It is not stored, and its key can be
//! used again, for this request or another: a client that corrects what a 412 or a 422
//! names sends it with the same key (as at Stripe: failed validation saves no result).
//! The same holds for a successful answer that the plugin says had none (`hearth-effect:
//! none`): a 207 in which every item failed.
//!
//! Taking over is safe at any time: a mark for a claim that is no longer in the row
//! fails its transaction. Whether the holder is alive only decides how soon a retry may
//! try: each host updates its own row every `beat_ms`.
//!
//! An effect outside Postgres has no such mark. A plugin makes it idempotent with the
//! key and the time at which the key was first used. The host passes both to the guest,
//! and they stay the same when a request is run again.

mod answer;
mod claims;
mod heartbeat;
mod holdings;
mod keyed_request;

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, Method};
use serde::Deserialize;

use super::problem::Problem;
use hearth_backend::postgres::Server;
use hearth_base::budget::{Room, Seat};
use hearth_base::clock::Clock;
use hearth_base::secret::RootSecret;
use hearth_base::telemetry::{HostMetrics, SpanKind};
use hearth_runtime::capability::Claim;
use hearth_runtime::plugin::instance::Response;

use answer::Seal;
use claims::{ClaimResult, Claims, OtherRequest};
use hearth_base::bounds;
use hearth_base::section::{DAY_MS, GIB, HOUR_MS, KIB, MIB, Mistakes, Section};

pub use heartbeat::Heartbeat;
pub use keyed_request::KeyedRequest;

/// The `[idempotency]` table of hearth.toml.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How long a key is kept. Milliseconds; source: Stripe keeps them for 24 h.
    pub kept_ms_max: u64,
    /// Bytes of a key.
    pub key_bytes_max: usize,
    /// Largest size of a stored answer, in bytes. A larger one is sent, and a retry
    /// gets the answer that the request was applied.
    pub answer_bytes_max: usize,
    /// Keys of one customer that are kept. Counted every `sweep_ms`, so about; with
    /// more a request with a new key is refused.
    pub customer_keys_max: u64,
    /// Bytes of the answers of one customer that are kept. Beyond it they are sent,
    /// and not kept.
    pub customer_answers_bytes_max: u64,
    /// Keys that are looked up in Postgres at once, of all and of one customer; more
    /// wait.
    pub look_ups_max: usize,
    pub customer_look_ups_max: usize,
    /// How often a host says that it is alive. Milliseconds.
    pub beat_ms: u64,
    /// After which silence a host counts as gone. Milliseconds.
    pub silence_ms_max: u64,
    /// How often old keys are swept. Milliseconds.
    pub sweep_ms: u64,
    /// For finding a key, and again for keeping its answer, where Postgres does
    /// not answer at all. Milliseconds.
    pub look_up_ms_max: u64,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            kept_ms_max: 24 * 3_600_000,
            key_bytes_max: 255,
            answer_bytes_max: 1 << 20,
            customer_keys_max: 1_000_000,
            customer_answers_bytes_max: 1 << 30,
            look_ups_max: 16,
            customer_look_ups_max: 2,
            beat_ms: 1_000,
            silence_ms_max: 4_000,
            sweep_ms: 60_000,
            look_up_ms_max: 5_000,
        }
    }
}

impl Section for Config {
    fn validate(&self, mistakes: &mut Mistakes) {
        // A host that beats less often than this would count as gone while it lives.
        let silence = self.beat_ms.saturating_mul(2)..=HOUR_MS;
        bounds! { self, mistakes =>
            kept_ms_max in 1_000..=30 * DAY_MS,
            key_bytes_max in 1..=4 * KIB,
            answer_bytes_max in 0..=64 * MIB,
            customer_keys_max in 1..=1_000_000_000,
            customer_answers_bytes_max in 0..=1_024 * GIB,
            look_ups_max in 1..=1_000,
            customer_look_ups_max in 1..=1_000,
            beat_ms in 10..=HOUR_MS,
            silence_ms_max in silence,
            sweep_ms in 10..=HOUR_MS,
        }
    }
}

const HEADER: &str = "idempotency-key";

/// By which a guest says to the host that the request changed nothing.
pub const EFFECT: &str = "hearth-effect";

/// Said on an answer that was given before.
pub const REPLAYED: (&str, &str) = ("idempotency-replayed", "true");

/// When a request that still runs may well have an answer.
const COME_AGAIN: Duration = Duration::from_secs(1);

/// How much longer than its request's deadline a claim is held: the answer has to
/// be kept after the guest has ended.
const KEEPING: Duration = Duration::from_secs(5);

/// Sweeping and counting take a twentieth of one connection at most.
const REST: u32 = 20;

/// Everything that knows about idempotency keys.
pub struct Idempotency {
    claims: Claims,
    seal: Seal,
    look_ups: Room<Arc<str>>,
    config: Config,
    clock: Clock,
    metrics: HostMetrics,
}

/// What is to be done with a request.
pub enum Decision {
    /// It carries no key: run it.
    Plain,
    /// It is the first with its key, or takes over from one that had no effect.
    Run(Arc<Claim>),
    /// It was answered before.
    Replay(Response),
}

impl Idempotency {
    pub fn open(
        server: Server,
        secret: &RootSecret,
        config: Config,
        alive: &Heartbeat,
        clock: Clock,
        metrics: HostMetrics,
    ) -> Idempotency {
        Idempotency {
            claims: Claims::new(server, alive.id(), &config),
            seal: Seal::new(secret),
            look_ups: Room::new(config.look_ups_max, config.customer_look_ups_max),
            config,
            clock,
            metrics,
        }
    }

    /// Decides before the plugin runs. Without Postgres no request with a key runs, as
    /// it is unknown whether it ran before.
    pub async fn begin(&self, asked: &KeyedRequest<'_>) -> Result<Decision, Problem> {
        let Some(customer) = asked.customer else {
            return Ok(Decision::Plain);
        };
        let Some(key) = self.key(&asked.parts.method, &asked.parts.headers)? else {
            return Ok(Decision::Plain);
        };
        let _span = asked
            .trace
            .span("claim idempotency key", SpanKind::Internal);
        let _seat = self.seat(customer).await?;
        let found = self
            .claims
            .take(&claims::KeyClaim {
                customer,
                plugin: asked.plugin,
                key,
                fingerprint: asked.fingerprint(),
                scopes: asked.scope_set(),
                held: asked.wall_max + KEEPING,
                now: self.clock.now(),
            })
            .await
            .map_err(|error| {
                tracing::warn!(%error, blame = "backend", "an idempotency key could not be looked up");
                Problem::unavailable(COME_AGAIN)
            })?;
        self.turn(found)
    }

    /// A seat among the requests that query Postgres: requests of one customer wait for
    /// each other, and not for those of other customers.
    async fn seat(&self, customer: &str) -> Result<Seat<Arc<str>>, Problem> {
        let patience = Duration::from_millis(self.config.look_up_ms_max);
        let seat = self.look_ups.enter(Arc::from(customer));
        // All that one may send at once is looked up within this time, if Postgres answers.
        tokio::time::timeout(patience, seat)
            .await
            .map_err(|_| Problem::unavailable(COME_AGAIN))
    }

    fn turn(&self, found: ClaimResult) -> Result<Decision, Problem> {
        let (claim, standing) = match found {
            ClaimResult::NoRoom => {
                self.metrics.count_idempotent("no_room");
                let kept = Duration::from_millis(self.config.kept_ms_max);
                let again = Duration::from_millis(self.config.sweep_ms);
                return Err(Problem::too_many_idempotency_keys(kept, again));
            }
            ClaimResult::Taken(claim, since) => {
                return Ok(Decision::Run(Arc::new(Claim::new(claim, since))));
            }
            ClaimResult::Other { claim, standing } => (claim, standing),
        };
        let (told, turn) = match standing {
            OtherRequest::OtherPayload => ("mismatch", Err(Problem::idempotency_mismatch())),
            OtherRequest::OtherScopes => ("other_scopes", Err(Problem::idempotency_scopes())),
            OtherRequest::Running => ("running", Err(Problem::idempotency_running(COME_AGAIN))),
            OtherRequest::Applied => ("already_applied", Err(Problem::already_applied())),
            OtherRequest::Answered(sealed) => match self.seal.open(claim, &sealed) {
                Some(answer) => ("replayed", Ok(Decision::Replay(answer))),
                // Sealed by a version of the root secret that was deleted since.
                None => ("already_applied", Err(Problem::already_applied())),
            },
        };
        self.metrics.count_idempotent(told);
        turn
    }

    /// Stores the answer before it is sent, or releases a claim that had no effect.
    /// `None` if the call failed. If the answer cannot be stored, the request does not
    /// fail: a retry gets the answer that it was applied.
    pub async fn finish(&self, customer: &str, claim: &Claim, answer: Option<&Response>) {
        let kept = match answer {
            Some(answer) if claim.is_applied() || is_effect(answer) => {
                let sealed = self
                    .seal
                    .close(claim.id(), answer, self.config.answer_bytes_max);
                self.claims.keep(customer, claim.id(), sealed).await
            }
            Some(refusal) if refusal.status < 500 => self.claims.free(customer, claim.id()).await,
            _ => self.claims.let_go(claim.id()).await,
        };
        if let Err(error) = kept {
            tracing::warn!(%error, blame = "backend", "the answer to an idempotency key could not be stored");
        }
    }

    /// Drops old keys, for as long as it is polled.
    pub async fn sweep(self: Arc<Self>) {
        loop {
            tokio::time::sleep(Duration::from_millis(self.config.sweep_ms)).await;
            let began = Instant::now();
            if let Err(error) = self.claims.sweep().await {
                tracing::debug!(%error, "expired idempotency keys could not be deleted");
            }
            // It reads the whole table, so it rests the longer the larger that is.
            tokio::time::sleep(began.elapsed().saturating_mul(REST)).await;
        }
    }

    fn key<'h>(&self, method: &Method, headers: &'h HeaderMap) -> Result<Option<&'h str>, Problem> {
        if *method != Method::POST && *method != Method::PATCH {
            return Ok(None);
        }
        let mut values = headers.get_all(HEADER).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return match headers.contains_key(HEADER) {
                true => Err(Problem::idempotency_key(self.config.key_bytes_max)),
                false => Ok(None),
            };
        };
        let plain = |key: &&str| (1..=self.config.key_bytes_max).contains(&key.len());
        let key = value.to_str().ok().map(unquoted).filter(plain);
        key.map(Some)
            .ok_or_else(|| Problem::idempotency_key(self.config.key_bytes_max))
    }
}

/// Whether an answer tells of an effect, which may be one that no mark shows.
fn is_effect(answer: &Response) -> bool {
    let says_none =
        |(name, value): &(String, Vec<u8>)| name.eq_ignore_ascii_case(EFFECT) && value == b"none";
    answer.status < 400 && !answer.headers.iter().any(says_none)
}

/// The draft's key is a structured-field string, in quotes; nearly all clients
/// send it bare. Both mean the same key.
fn unquoted(value: &str) -> &str {
    let value = value.trim();
    value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_means_the_same_with_and_without_quotes() {
        assert_eq!(unquoted("\"k-1\""), unquoted(" k-1 "));
        assert_eq!(unquoted("\"k"), "\"k");
    }
}

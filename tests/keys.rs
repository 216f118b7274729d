//! API keys, and the secret that they derive from.

mod command;
mod secret;

use std::time::{Duration, SystemTime};

use hearth::backend::postgres::Server;
use hearth::edge::keys::register::{Ensured, NewKey, Register, Revoked};
use hearth::edge::keys::{AuthError, Config, Keys, Tier};
use hearth::secret::RootSecret;

use crate::harness::postgres::{Cluster, until};

/// Longer than any test runs.
const FOREVER_MS: u64 = 3_600_000;

struct Parts {
    cluster: Cluster,
    server: Server,
    secret: RootSecret,
}

impl Parts {
    async fn start() -> Parts {
        let cluster = Cluster::start().await;
        let server = cluster.server().await;
        let secret = RootSecret::open(&cluster.folder.path().join("secret")).unwrap();
        Parts {
            cluster,
            server,
            secret,
        }
    }

    fn keys(&self, config: Config) -> Keys {
        Keys::open(self.server.clone(), &self.secret, config)
    }

    fn register(&self) -> Register<'_> {
        Register::new(&self.server, &self.secret)
    }

    async fn make(&self, name: &str, tier: Tier, expires_at: Option<SystemTime>) -> NewKey {
        let register = self.register();
        let ensured = register.ensure_customer(name, tier).await.unwrap();
        let scopes = ["customer".to_owned()];
        register
            .create_key(&ensured.customer().id, &scopes, expires_at)
            .await
            .unwrap()
    }
}

#[tokio::test]
async fn key_tells_customer_scopes_and_tier() {
    let parts = Parts::start().await;
    let keys = parts.keys(Config::default());
    let register = parts.register();
    let ensured = register
        .ensure_customer("acme", Tier::Premium)
        .await
        .unwrap();
    assert!(matches!(ensured, Ensured::Created(_)));
    let customer = ensured.customer();
    let scopes = ["customer".to_owned(), "agent".to_owned()];
    let one = register
        .create_key(&customer.id, &scopes, None)
        .await
        .unwrap();
    let two = parts.make("acme", Tier::Premium, None).await;
    let caller = keys.authenticate(&one.text).await.unwrap();
    assert_eq!(*caller.customer_id, customer.id);
    assert_eq!(*caller.key_id, one.id);
    assert_eq!(*caller.scopes, scopes);
    assert_eq!(caller.tier, Tier::Premium);
    let other = keys.authenticate(&two.text).await.unwrap();
    assert_eq!(
        (other.customer_id, &*other.key_id),
        (caller.customer_id, &*two.id)
    );
}

#[tokio::test]
async fn key_itself_is_stored_nowhere() {
    let parts = Parts::start().await;
    let key = parts.make("acme", Tier::Free, None).await;
    let client = parts.server.host().get().await.unwrap();
    let row = client
        .query_one("SELECT k::text, prefix FROM hearth.keys k", &[])
        .await
        .unwrap();
    let (stored, prefix): (String, String) = (row.get(0), row.get(1));
    assert!(key.text.starts_with(&prefix) && prefix.len() == 11);
    assert!(!stored.contains(&key.text[prefix.len()..]));
    assert!(!stored.contains(&hex::encode(&key.text[prefix.len()..])));
}

#[tokio::test]
async fn texts_that_are_no_keys_of_ours_never_reach_postgres() {
    let mut parts = Parts::start().await;
    let keys = parts.keys(Config::default());
    let key = parts.make("acme", Tier::Free, None).await;
    parts.cluster.pause().await;
    assert_eq!(keys.authenticate("").await.unwrap_err(), AuthError::Missing);
    let forged = format!("hk_{}", "a".repeat(51));
    let cut = &key.text[..key.text.len() - 1];
    let long = "k".repeat(1_000_000);
    for text in [forged.as_str(), cut, "hk_", "Bearer", "\0", &long] {
        assert_eq!(keys.authenticate(text).await.unwrap_err(), AuthError::Bad);
    }
    // While one that may be a key cannot be judged.
    assert_eq!(
        keys.authenticate(&key.text).await.unwrap_err(),
        AuthError::Unavailable
    );
}

#[tokio::test]
async fn key_of_a_deleted_customer_is_bad() {
    let parts = Parts::start().await;
    let keys = parts.keys(Config::default());
    let key = parts.make("acme", Tier::Free, None).await;
    keys.authenticate(&key.text).await.unwrap();
    let client = parts.server.host().get().await.unwrap();
    client
        .execute("DELETE FROM hearth.customers", &[])
        .await
        .unwrap();
    until(async || keys.authenticate(&key.text).await.is_err()).await;
    assert_eq!(
        keys.authenticate(&key.text).await.unwrap_err(),
        AuthError::Bad
    );
}

#[tokio::test]
async fn revocation_is_seen_by_every_host() {
    let parts = Parts::start().await;
    let hosts = [parts.keys(Config::default()), parts.keys(Config::default())];
    let key = parts.make("acme", Tier::Free, None).await;
    let neighbour = parts.make("acme", Tier::Free, None).await;
    for host in &hosts {
        host.authenticate(&key.text).await.unwrap();
    }
    assert_eq!(
        parts.register().revoke(&key.id).await.unwrap(),
        Revoked::Now
    );
    assert_eq!(
        parts.register().revoke(&key.id).await.unwrap(),
        Revoked::Before
    );
    for host in &hosts {
        until(async || host.authenticate(&key.text).await.is_err()).await;
        assert_eq!(
            host.authenticate(&key.text).await.unwrap_err(),
            AuthError::Revoked
        );
        host.authenticate(&neighbour.text).await.unwrap();
    }
    assert!(parts.register().revoke("key_none").await.is_err());
}

#[tokio::test]
async fn host_that_knows_nothing_fresh_asks_before_it_answers() {
    let parts = Parts::start().await;
    let keys = parts.keys(Config {
        fresh_ms_max: 0,
        ..Config::default()
    });
    let key = parts.make("acme", Tier::Free, None).await;
    keys.authenticate(&key.text).await.unwrap();
    parts.register().revoke(&key.id).await.unwrap();
    assert_eq!(
        keys.authenticate(&key.text).await.unwrap_err(),
        AuthError::Revoked
    );
}

#[tokio::test]
async fn new_tier_is_seen() {
    let parts = Parts::start().await;
    let keys = parts.keys(Config::default());
    let key = parts.make("acme", Tier::Free, None).await;
    assert_eq!(keys.authenticate(&key.text).await.unwrap().tier, Tier::Free);
    let changed = parts
        .register()
        .ensure_customer("acme", Tier::Premium)
        .await
        .unwrap();
    assert!(matches!(
        changed,
        Ensured::Changed {
            from: Tier::Free,
            ..
        }
    ));
    until(async || keys.authenticate(&key.text).await.unwrap().tier == Tier::Premium).await;
}

#[tokio::test]
async fn expired_key_is_refused_and_a_remembered_one_once_its_time_comes() {
    let parts = Parts::start().await;
    let keys = parts.keys(Config {
        fresh_ms_max: FOREVER_MS,
        ..Config::default()
    });
    let past = SystemTime::now() - Duration::from_secs(1);
    let dead = parts.make("acme", Tier::Free, Some(past)).await;
    assert_eq!(
        keys.authenticate(&dead.text).await.unwrap_err(),
        AuthError::Expired
    );
    let soon = SystemTime::now() + Duration::from_secs(3);
    let alive = parts.make("acme", Tier::Free, Some(soon)).await;
    keys.authenticate(&alive.text).await.unwrap();
    until(async || keys.authenticate(&alive.text).await.is_err()).await;
    assert_eq!(
        keys.authenticate(&alive.text).await.unwrap_err(),
        AuthError::Expired
    );
}

#[tokio::test]
async fn hot_key_costs_no_query() {
    let mut parts = Parts::start().await;
    let config = Config {
        fresh_ms_max: FOREVER_MS,
        stale_ms_max: 0,
        ..Config::default()
    };
    let keys = parts.keys(config);
    let key = parts.make("acme", Tier::Free, None).await;
    keys.authenticate(&key.text).await.unwrap();
    parts.cluster.pause().await;
    for _ in 0..1000 {
        keys.authenticate(&key.text).await.unwrap();
    }
}

#[tokio::test]
async fn remembered_key_serves_while_postgres_is_away_and_only_then() {
    let mut parts = Parts::start().await;
    let config = Config {
        fresh_ms_max: 20,
        stale_ms_max: FOREVER_MS,
        ..Config::default()
    };
    let keys = parts.keys(config);
    let strict = parts.keys(Config {
        fresh_ms_max: 20,
        stale_ms_max: 0,
        ..Config::default()
    });
    let key = parts.make("acme", Tier::Free, None).await;
    let unseen = parts.make("acme", Tier::Free, None).await;
    keys.authenticate(&key.text).await.unwrap();
    strict.authenticate(&key.text).await.unwrap();
    parts.cluster.pause().await;
    for _ in 0..20 {
        keys.authenticate(&key.text).await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(
        strict.authenticate(&key.text).await.unwrap_err(),
        AuthError::Unavailable
    );
    assert_eq!(
        keys.authenticate(&unseen.text).await.unwrap_err(),
        AuthError::Unavailable
    );

    parts.cluster.resume().await;
    parts.register().revoke(&key.id).await.unwrap();
    until(async || keys.authenticate(&key.text).await.is_err()).await;
    assert_eq!(
        keys.authenticate(&key.text).await.unwrap_err(),
        AuthError::Revoked
    );
    until(async || keys.authenticate(&unseen.text).await.is_ok()).await;
}

#[tokio::test]
async fn crowd_with_one_new_key_is_served_by_four_connections() {
    let parts = Parts::start().await;
    let keys = parts.keys(Config::default());
    let key = parts.make("acme", Tier::Free, None).await;
    let crowd = (0..1000).map(|_| keys.authenticate(&key.text));
    for answer in futures_util::future::join_all(crowd).await {
        answer.unwrap();
    }
}

#[tokio::test]
async fn senseless_scopes_and_names_are_refused() {
    let parts = Parts::start().await;
    let register = parts.register();
    let id = register
        .ensure_customer("acme", Tier::Free)
        .await
        .unwrap()
        .customer()
        .id
        .clone();
    for scopes in [
        vec![],
        vec![String::new()],
        vec!["Agent".to_owned()],
        vec!["a".to_owned(); 17],
    ] {
        assert!(register.create_key(&id, &scopes, None).await.is_err());
    }
    assert!(
        register
            .create_key("cus_none", &["customer".to_owned()], None)
            .await
            .is_err()
    );
    for name in ["", "a\0b", &"n".repeat(256)] {
        assert!(register.ensure_customer(name, Tier::Free).await.is_err());
    }
}

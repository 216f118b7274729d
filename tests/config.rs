//! The capability `config`, without a component.

use std::collections::BTreeMap;
use std::sync::Arc;

use hearth::capability::Call;
use hearth::capability::config::generated::Host;
use hearth::capability::config::{CURSOR_KEY, Client, SEAL_KEY, Secret, View};
use hearth::secret::RootSecret;
use tempfile::TempDir;

/// The capability, on a root secret of its own.
fn client() -> (TempDir, Client) {
    let folder = tempfile::tempdir().unwrap();
    let secret = RootSecret::open(&folder.path().join("secret")).unwrap();
    (folder, Client::open(Arc::new(secret)))
}

fn pair(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

#[test]
fn a_plugin_reads_what_was_set_and_nothing_else() {
    let settings = BTreeMap::from([pair("page_size", "50"), pair("empty", "")]);
    let lent = client().1.lend("tickets", 1, settings, BTreeMap::new());
    let call = Call::of("tickets", None);
    let mut view = View {
        call: &call,
        lent: &lent,
    };
    assert_eq!(
        view.get("page_size".to_owned()).unwrap().as_deref(),
        Some("50")
    );
    assert_eq!(view.get("empty".to_owned()).unwrap().as_deref(), Some(""));
    for other in ["", "PATH", "HOME", "page-size"] {
        assert_eq!(view.get(other.to_owned()).unwrap(), None, "{other}");
    }
}

#[test]
fn settings_and_secrets_are_apart() {
    let settings = BTreeMap::from([pair("a", "setting")]);
    let secrets = BTreeMap::from([("b".to_owned(), Secret::new("hunter2"))]);
    let lent = client().1.lend("tickets", 1, settings, secrets);
    let call = Call::of("tickets", None);
    let mut view = View {
        call: &call,
        lent: &lent,
    };
    assert_eq!(
        view.secret("b".to_owned()).unwrap().as_deref(),
        Some("hunter2")
    );
    assert_eq!(view.secret("a".to_owned()).unwrap(), None);
    assert_eq!(view.get("b".to_owned()).unwrap(), None);
}

#[test]
fn two_deployments_do_not_share_secrets() {
    let secrets = BTreeMap::from([("b".to_owned(), Secret::new("hunter2"))]);
    let (_folder, client) = client();
    let _one = client.lend("tickets", 1, BTreeMap::new(), secrets);
    let other = client.lend("webhooks", 1, BTreeMap::new(), BTreeMap::new());
    assert_eq!(
        View {
            call: &Call::of("webhooks", None),
            lent: &other
        }
        .secret("b".to_owned())
        .unwrap(),
        None
    );
}

#[test]
fn printing_for_debugging_shows_no_secret() {
    let secrets = BTreeMap::from([("b".to_owned(), Secret::new("hunter2"))]);
    let lent = client().1.lend("tickets", 1, BTreeMap::new(), secrets);
    assert!(!format!("{lent:?}").contains("hunter2"));
}

#[test]
fn each_plugin_gets_keys_of_its_own_for_each_purpose_newest_first() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    let keys = |secret: RootSecret, plugin: &str| {
        let own = Client::open(Arc::new(secret)).own_secrets(plugin);
        [CURSOR_KEY, SEAL_KEY].map(|name| own[name].expose().to_owned())
    };
    let first = keys(RootSecret::open(&file).unwrap(), "tickets");
    assert_ne!(first[0], first[1], "a key has one purpose");
    assert_eq!(first, keys(RootSecret::open(&file).unwrap(), "tickets"));
    let foreign = keys(RootSecret::open(&file).unwrap(), "webhooks");
    let rotated = keys(RootSecret::rotate(&file).unwrap(), "tickets");
    for (index, first) in first.iter().enumerate() {
        assert_eq!(first.len(), 43, "32 bytes in base64");
        assert_ne!(*first, foreign[index]);
        let (newest, older) = rotated[index].split_once(',').unwrap();
        assert_eq!(older, first, "what the old version made stays valid");
        assert_ne!(newest, first);
    }
}

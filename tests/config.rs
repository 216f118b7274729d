//! The capability `config`, without a component.

use std::collections::BTreeMap;

use hearth::capability::Call;
use hearth::capability::config::generated::Host;
use hearth::capability::config::{Client, Secret, View};

fn pair(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

#[test]
fn a_plugin_reads_what_was_set_and_nothing_else() {
    let settings = BTreeMap::from([pair("page_size", "50"), pair("empty", "")]);
    let lent = Client::open().lend("tickets", 1, settings, BTreeMap::new());
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
    let lent = Client::open().lend("tickets", 1, settings, secrets);
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
    let client = Client::open();
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
    let lent = Client::open().lend("tickets", 1, BTreeMap::new(), secrets);
    assert!(!format!("{lent:?}").contains("hunter2"));
}

//! `hearth keys`: what it makes, shows and revokes.

use hearth::cli::keys::{Command, Create, run};
use hearth::edge::keys::{AuthError, Config, Tier};

use super::Parts;

#[tokio::test]
async fn command_prints_the_key_alone_on_its_last_line_and_never_again() {
    let parts = Parts::start().await;
    let command = async |command: Command| {
        let mut out = Vec::new();
        run(command, &parts.server, &parts.secret, &mut out)
            .await
            .unwrap();
        String::from_utf8(out).unwrap()
    };
    let create = |tier| {
        let scopes = vec!["agent".to_owned()];
        let customer = "acme".to_owned();
        Command::Create(Create {
            customer,
            tier,
            scopes,
            expires_in_days: Some(1),
        })
    };
    command(create(Tier::Free)).await;
    let said = command(create(Tier::Standard)).await;
    let key = said.lines().last().unwrap();
    let caller = parts
        .keys(Config::default())
        .authenticate(key)
        .await
        .unwrap();
    assert_eq!(
        (caller.tier, &caller.scopes[..]),
        (Tier::Standard, &["agent".to_owned()][..])
    );

    let list = |json| Command::List {
        customer: Some("acme".to_owned()),
        json,
    };
    let listed: serde_json::Value = serde_json::from_str(&command(list(true)).await).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 2);
    assert_eq!(listed[0]["id"], *caller.key_id);
    assert_eq!(
        listed[0]["expires_at"].as_str().unwrap().len(),
        "2026-01-01T00:00:00Z".len()
    );
    assert!(!listed.to_string().contains(key));
    assert!(!command(list(false)).await.contains(key));
    let other = Command::List {
        customer: Some("other".to_owned()),
        json: false,
    };
    assert_eq!(command(other).await, "");

    command(Command::Revoke {
        key: caller.key_id.to_string(),
    })
    .await;
    let revoked = parts
        .keys(Config::default())
        .authenticate(key)
        .await
        .unwrap_err();
    assert_eq!(revoked, AuthError::Revoked);
}

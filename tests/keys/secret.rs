//! The root secret: its file, the database that was written with it, and keys that were
//! made before it was rotated.

use std::os::unix::fs::PermissionsExt;

use hearth::edge::keys::{Config, Tier};
use hearth::secret::{RootSecret, SecretError};

use super::Parts;
use crate::harness::fleet::Fleet;
use crate::harness::host::{Host, Setup};

#[tokio::test]
async fn key_moves_to_a_rotated_secret_when_it_is_used() {
    let mut parts = Parts::start().await;
    let key = parts.make("acme", Tier::Free, None).await;
    let unused = parts.make("acme", Tier::Free, None).await;
    let file = parts.cluster.folder.path().join("secret");
    parts.secret = RootSecret::rotate(&file).unwrap();
    let caller = parts
        .keys(Config::default())
        .authenticate(&key.text)
        .await
        .unwrap();
    assert_eq!(*caller.key_id, key.id);
    let client = parts.server.host().get().await.unwrap();
    let version = async |id: &str| -> i32 {
        let read = "SELECT hmac_version FROM hearth.keys WHERE id = $1";
        client.query_one(read, &[&id]).await.unwrap().get(0)
    };
    assert_eq!((version(&key.id).await, version(&unused.id).await), (2, 1));
    parts
        .keys(Config::default())
        .authenticate(&key.text)
        .await
        .unwrap();
}

#[test]
fn secret_file_is_made_private_and_stays_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("data/secret");
    let made = RootSecret::open(&file).unwrap();
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(
        RootSecret::open(&file).unwrap().derive("x"),
        made.derive("x")
    );
}

#[test]
fn secret_file_that_others_can_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    RootSecret::open(&file).unwrap();
    for mode in [0o604, 0o640, 0o602] {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        let refused = RootSecret::open(&file).unwrap_err();
        assert!(matches!(refused, SecretError::Readable { .. }), "{refused}");
        assert!(refused.to_string().contains("chmod 600"), "{refused}");
    }
}

#[test]
fn hosts_that_start_together_share_one_secret() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    let start = || RootSecret::open(&file).unwrap().derive("x");
    let secrets: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(secrets.iter().all(|secret| *secret == secrets[0]));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

fn version(number: u32, byte: u8) -> String {
    format!("{number} {}\n", hex::encode([byte; 32]))
}

/// Why a host does not start.
fn refusal(setup: Setup) -> String {
    let output = setup.refused();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test]
async fn host_with_another_secret_than_the_databases_does_not_start_and_says_what_to_do() {
    let fleet = Fleet::start().await;
    let host = fleet.host(|setup| setup.secret(&version(1, 1)));
    host.key("acme", &[]);
    let told = refusal(fleet.setup().secret(&version(1, 2)));
    for part in [
        "data/secret (version 1) is not the root secret",
        "written with (version 1)",
        "Copy the file `secret`",
        "HEARTH_SECRET_FILE",
        "hearth secret adopt",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    for byte in [1, 2] {
        assert!(!told.contains(&hex::encode([byte; 4])), "{told}");
    }
}

#[tokio::test]
async fn host_without_its_secret_file_makes_none_beside_a_database_that_has_one() {
    let fleet = Fleet::start().await;
    drop(fleet.host(|setup| setup));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    let elsewhere = |setup: Setup| setup.env("HEARTH_SECRET_FILE", file.to_str().unwrap());
    let told = refusal(elsewhere(fleet.setup()));
    assert!(
        told.contains("does not exist") && told.contains("Copy the file"),
        "{told}"
    );
    assert!(!file.exists());
    // Whereas a new database takes the first that comes.
    let other = Fleet::start().await;
    drop(other.host(elsewhere));
    assert!(file.exists());
}

#[tokio::test]
async fn database_follows_a_rotation_and_does_not_go_back() {
    let fleet = Fleet::start().await;
    let (old, new) = (version(1, 1), version(2, 2));
    let start = |secret: &str| fleet.host(|setup| setup.secret(secret));
    drop(start(&old));
    // Both hosts of a fleet, one of which has not heard of the rotation yet.
    drop(start(&format!("{new}{old}")));
    let told = refusal(fleet.setup().secret(&old));
    assert!(
        told.contains("(version 1) is not") && told.contains("written with (version 2)"),
        "{told}"
    );
    drop(start(&format!("{new}{old}")));
    drop(start(&new));
    let told = refusal(fleet.setup().secret(&version(3, 3)));
    assert!(told.contains("(version 3) is not"), "{told}");
    let newer = format!("{}{new}", version(3, 3));
    drop(start(&newer));
}

/// A host's own commands, with another file in its folder.
fn exchange(host: &Host, text: &str) {
    std::fs::write(host.data_dir().join("secret"), text).unwrap();
}

#[tokio::test]
async fn commands_refuse_another_secret_until_it_is_adopted() {
    let fleet = Fleet::start().await;
    let mut host = fleet.host(|setup| setup.guest("echo", &[], ""));
    let lost = host.key("acme", &[]);
    assert!(host.stop().success());
    exchange(&host, &version(1, 2));
    let create = ["keys", "create", "--customer", "acme", "--tier", "free"];
    let refused = host.cli(&create);
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(
        !refused.status.success() && told.contains("is not the root secret"),
        "{told}"
    );
    for said in [
        "from now on. What was made with another one is lost",
        "is this database's",
    ] {
        let adopted = host.cli(&["secret", "adopt"]);
        let text = String::from_utf8(adopted.stdout).unwrap();
        assert!(adopted.status.success() && text.contains(said), "{text}");
    }
    let key = host.key("acme", &[]);
    host.restart();
    let status = async |key: &str| {
        host.get("/echo", key)
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    assert_eq!((status(&lost).await, status(&key).await), (401, 200));
}

//! The root secret: its file, and keys that were made before it was rotated.

use std::os::unix::fs::PermissionsExt;

use hearth::edge::keys::{Config, Tier};
use hearth::secret::{RootSecret, SecretError};

use super::Parts;

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

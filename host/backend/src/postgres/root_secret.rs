//! Which root secret a database was written with, in one row of `hearth.root_secret`.

use super::{OpenError, Server};
use hearth_base::secret::RootSecret;

/// What the fingerprint is derived for, and nothing else.
const PURPOSE: &str = "fingerprint";

/// Whether a root secret is the database's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// It holds the version that the database was written with last, and perhaps newer
    /// ones: the newest is the database's from now on.
    Same,
    /// It does not hold this version of the database's.
    Other { version: i64 },
}

impl Server {
    /// The version of the root secret that this database was written with; `None` where
    /// no host has served it yet.
    pub async fn secret_version(&self) -> Result<Option<i64>, OpenError> {
        let client = self.host().get().await?;
        let read = "SELECT version FROM hearth.root_secret";
        let row = client.query_opt(read, &[]).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    /// Compares the secret with the database's; a database that has none takes this one.
    pub async fn match_secret(&self, secret: &RootSecret) -> Result<Match, OpenError> {
        let client = self.host().get().await?;
        let versions = secret.derive_all(PURPOSE);
        let newest = (secret.newest_version(), secret.derive(PURPOSE));
        let first = "INSERT INTO hearth.root_secret (version, fingerprint) VALUES ($1, $2)
                     ON CONFLICT (only_row) DO NOTHING";
        let (version, fingerprint) = (i64::from(newest.0), &newest.1[..]);
        client.execute(first, &[&version, &fingerprint]).await?;
        let read = "SELECT version, fingerprint FROM hearth.root_secret";
        let row = client.query_one(read, &[]).await?;
        let (recorded, found): (i64, Vec<u8>) = (row.try_get(0)?, row.try_get(1)?);
        if !versions.iter().any(|(_, known)| known[..] == found) {
            return Ok(Match::Other { version: recorded });
        }
        // Where another host has just recorded a newer one, that stays.
        let newer = "UPDATE hearth.root_secret SET version = $1, fingerprint = $2
                     WHERE fingerprint = $3 AND fingerprint <> $2";
        client
            .execute(newer, &[&version, &fingerprint, &found])
            .await?;
        Ok(Match::Same)
    }

    /// Makes this secret the database's, whichever was.
    pub async fn adopt_secret(&self, secret: &RootSecret) -> Result<(), OpenError> {
        let client = self.host().get().await?;
        let version = i64::from(secret.newest_version());
        let fingerprint = secret.derive(PURPOSE);
        let adopt = "INSERT INTO hearth.root_secret (version, fingerprint) VALUES ($1, $2)
                     ON CONFLICT (only_row) DO UPDATE
                     SET version = excluded.version, fingerprint = excluded.fingerprint";
        client
            .execute(adopt, &[&version, &&fingerprint[..]])
            .await?;
        Ok(())
    }
}

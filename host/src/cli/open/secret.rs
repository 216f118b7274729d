//! The fleet's root secret, and whether it is the database's.

use std::path::{Path, PathBuf};

use anyhow::Context;

use super::environment;
use hearth_backend::postgres::{Match, Server};
use hearth_base::secret::RootSecret;
use hearth_server::config::Config;

/// Another secret than the one that the database was written with. For the operator to
/// mend, so it says how.
#[derive(Debug, thiserror::Error)]
pub enum SecretMismatch {
    #[error("{} does not exist, and this database was written with a root secret (version {version}): {}", file.display(), hint(file))]
    Missing { file: PathBuf, version: i64 },
    #[error("{} (version {newest}) is not the root secret that this database was written with (version {version}): {}", file.display(), hint(file))]
    Other {
        file: PathBuf,
        newest: u32,
        version: i64,
    },
}

fn hint(file: &Path) -> String {
    format!(
        "API keys would not be known and what is sealed could not be opened. Copy the file \
         `secret` from the data folder of a host that served this database to {}, or name it in \
         HEARTH_SECRET_FILE; all hosts of a fleet have the same. If it is lost for good, `hearth \
         secret adopt` says what is lost with it and goes on without",
        file.display()
    )
}

/// Where the secret lies: `HEARTH_SECRET_FILE`, or `secret` in the data folder.
pub fn file(config: &Config) -> PathBuf {
    environment("HEARTH_SECRET_FILE").map_or_else(|| config.data_dir.join("secret"), PathBuf::from)
}

/// The secret of the file. It is made where there is none and the database has none
/// either: that of a database which was served before is nowhere but in its file.
pub async fn open(config: &Config, server: &Server) -> anyhow::Result<RootSecret> {
    let file = file(config);
    if !file.exists()
        && let Some(version) = server.secret_version().await?
    {
        return Err(SecretMismatch::Missing { file, version }.into());
    }
    let secret = RootSecret::open(&file).context("the root secret")?;
    match server.match_secret(&secret).await? {
        Match::Same => Ok(secret),
        Match::Other { version } => {
            let newest = secret.newest_version();
            Err(SecretMismatch::Other {
                file,
                newest,
                version,
            }
            .into())
        }
    }
}

//! Which Postgres of the machine to run.

use std::path::{Path, PathBuf};

use super::StartError;

/// Where Debian and its kin put each major version in a folder of its own.
const INSTALLED: &str = "/usr/lib/postgresql";
const MAJOR_MIN: u32 = 14;

/// The folder that holds `postgres` and `initdb`.
pub(super) struct Binaries(PathBuf);

impl Binaries {
    /// A folder that somebody named is taken as it is. Otherwise, a cluster
    /// that exists wants the major version that made it; a new one gets the
    /// newest.
    pub(super) fn find(named: Option<PathBuf>, data: &Path) -> Result<Binaries, StartError> {
        if let Some(folder) = named {
            return match holds_postgres(&folder) {
                true => Ok(Binaries(folder)),
                false => Err(StartError::NotBinaries(folder)),
            };
        }
        let made_by = std::fs::read_to_string(data.join("PG_VERSION")).ok();
        match made_by.as_deref().map(str::trim) {
            Some(major) => of_major(major, data),
            None => newest().or_else(on_path).ok_or(StartError::NoBinaries),
        }
    }

    pub(super) fn postgres(&self) -> PathBuf {
        self.0.join("postgres")
    }

    pub(super) fn initdb(&self) -> PathBuf {
        self.0.join("initdb")
    }
}

fn of_major(major: &str, data: &Path) -> Result<Binaries, StartError> {
    let folder = Path::new(INSTALLED).join(major).join("bin");
    if holds_postgres(&folder) {
        return Ok(Binaries(folder));
    }
    // What PATH has may be of the right version: Postgres itself will tell.
    on_path().ok_or_else(|| StartError::OtherVersion {
        folder: data.to_owned(),
        made_by: major.to_owned(),
    })
}

fn newest() -> Option<Binaries> {
    let versions = std::fs::read_dir(INSTALLED).ok()?.flatten();
    let (_, folder) = versions
        .filter_map(|entry| {
            let major: u32 = entry.file_name().to_str()?.parse().ok()?;
            let folder = entry.path().join("bin");
            (major >= MAJOR_MIN && holds_postgres(&folder)).then_some((major, folder))
        })
        .max()?;
    Some(Binaries(folder))
}

fn on_path() -> Option<Binaries> {
    let path = std::env::var_os("PATH")?;
    let folder = std::env::split_paths(&path).find(|folder| holds_postgres(folder))?;
    Some(Binaries(folder))
}

fn holds_postgres(folder: &Path) -> bool {
    folder.join("postgres").is_file() && folder.join("initdb").is_file()
}

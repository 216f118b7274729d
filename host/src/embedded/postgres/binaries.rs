//! Which Postgres of the machine to run.

use std::cmp::Reverse;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::StartError;

/// Where Debian and its kin put each major version into a folder of its own.
const DEBIAN: &str = "/usr/lib/postgresql";
/// Where Postgres's own packages for Red Hat and its kin do: `/usr/pgsql-16`.
const RED_HAT: (&str, &str) = ("/usr", "pgsql-");
/// Where Postgres's own build installs it.
const BUILT: &str = "/usr/local/pgsql/bin";
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
        let found = installed(&places());
        let folder = match made_by.as_deref().map(str::trim) {
            Some(made_by) => of_major(found, made_by, data)?,
            None => newest(found)?,
        };
        Ok(Binaries(folder))
    }

    pub(super) fn folder(self) -> PathBuf {
        self.0
    }

    pub(super) fn postgres(&self) -> PathBuf {
        self.0.join("postgres")
    }

    pub(super) fn initdb(&self) -> PathBuf {
        self.0.join("initdb")
    }
}

/// A folder of programs, and the major version that they are of.
type Installed = (u32, PathBuf);

/// Where to look, in this order among those of one version.
fn places() -> Vec<PathBuf> {
    let (usr, prefix) = RED_HAT;
    let of_red_hat = folders(usr).filter(|folder| {
        let name = folder.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with(prefix))
    });
    let versions = folders(DEBIAN).chain(of_red_hat);
    let bins = versions.map(|folder| folder.join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path: Vec<PathBuf> = std::env::split_paths(&path).collect();
    bins.chain([PathBuf::from(BUILT)]).chain(on_path).collect()
}

fn folders(below: &str) -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(below).into_iter().flatten();
    entries.flatten().map(|entry| entry.path())
}

/// What of these places holds Postgres, the newest first.
fn installed(places: &[PathBuf]) -> Vec<Installed> {
    let holding = places.iter().filter(|folder| holds_postgres(folder));
    let mut found: Vec<Installed> = holding
        .filter_map(|folder| Some((major(folder)?, folder.clone())))
        .collect();
    found.sort_by_key(|(major, _)| Reverse(*major));
    found
}

fn of_major(found: Vec<Installed>, made_by: &str, data: &Path) -> Result<PathBuf, StartError> {
    let same = |(major, _): &Installed| major.to_string() == made_by;
    match found.into_iter().find(same) {
        Some((_, folder)) => Ok(folder),
        None => Err(StartError::OtherVersion {
            folder: data.to_owned(),
            made_by: made_by.to_owned(),
        }),
    }
}

fn newest(found: Vec<Installed>) -> Result<PathBuf, StartError> {
    match found.into_iter().next() {
        Some((major, folder)) if major >= MAJOR_MIN => Ok(folder),
        _ => Err(StartError::NoBinaries),
    }
}

/// The program tells, for `/usr/local/pgsql` and PATH do not.
fn major(folder: &Path) -> Option<u32> {
    let mut command = Command::new(folder.join("postgres"));
    command.arg("--version").env_clear().stdin(Stdio::null());
    let told = command.stderr(Stdio::null()).output().ok()?;
    let told = String::from_utf8(told.stdout).ok()?;
    version(&told)
}

/// The major version in, for example, `postgres (PostgreSQL) 16.4 (Debian 16.4-1)`.
fn version(told: &str) -> Option<u32> {
    let (_, number) = told.split_once("(PostgreSQL) ")?;
    let digits = number.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

fn holds_postgres(folder: &Path) -> bool {
    folder.join("postgres").is_file() && folder.join("initdb").is_file()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A folder in which `postgres` tells that version, and nothing else works.
    fn place(root: &Path, name: &str, version: &str) -> PathBuf {
        let folder = root.join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let text = format!("#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n");
        for program in ["postgres", "initdb"] {
            let file = folder.join(program);
            std::fs::write(&file, &text).unwrap();
            std::fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap();
        }
        folder
    }

    #[test]
    fn newest_is_taken_wherever_it_is_installed_and_none_that_is_too_old() {
        let root = tempfile::tempdir().unwrap();
        let old = place(root.path(), "usr/lib/postgresql/9.6/bin", "9.6.24");
        let packaged = place(root.path(), "usr/pgsql-14/bin", "14.18");
        let built = place(root.path(), "usr/local/pgsql/bin", "17beta1");
        let empty = root.path().join("usr/bin");
        let all = [old.clone(), packaged, built.clone(), empty.clone()];
        assert_eq!(newest(installed(&all)).unwrap(), built);
        let none = newest(installed(&[old, empty])).unwrap_err();
        assert!(matches!(none, StartError::NoBinaries), "{none}");
    }

    #[test]
    fn cluster_is_served_by_the_version_that_made_it_or_by_none() {
        let root = tempfile::tempdir().unwrap();
        let built = place(root.path(), "usr/local/pgsql/bin", "15.13 (built here)");
        let all = [
            place(root.path(), "usr/pgsql-16/bin", "16.4"),
            built.clone(),
        ];
        let data = root.path();
        assert_eq!(of_major(installed(&all), "15", data).unwrap(), built);
        let none = of_major(installed(&all), "14", data).unwrap_err();
        assert!(none.to_string().contains("made by Postgres 14"), "{none}");
    }

    #[test]
    fn version_is_read_of_what_the_program_tells() {
        assert_eq!(version("postgres (PostgreSQL) 18.4\n"), Some(18));
        assert_eq!(version("postgres (PostgreSQL) 19devel\n"), Some(19));
        assert_eq!(version("postgres: not found"), None);
    }
}

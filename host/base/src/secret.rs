//! The root secret: one file per fleet, from which every other key derives.
//!
//! The file holds one line per version, newest first: a number and 32 bytes in
//! hexadecimal.
//!
//! ```text
//! 2 6f1c...
//! 1 a90b...
//! ```
//!
//! New things are signed with the newest version; what an older one signed is
//! still recognised until its line is deleted. Every host of a fleet has the
//! same file.
//!
//! ```no_run
//! # fn example() -> Result<(), hearth_base::secret::SecretError> {
//! let secret = hearth_base::secret::RootSecret::open(std::path::Path::new("data/secret"))?;
//! let key: [u8; 32] = secret.derive("api-key");
//! # Ok(())
//! # }
//! ```

use std::fs::{File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use hkdf::Hkdf;
use rand::TryRng;
use sha2::Sha256;
use zeroize::Zeroizing;

/// Separates our keys from whatever else may be derived from the same bytes.
const SALT: &[u8] = b"hearth root secret v1";
const BYTES: usize = 32;
/// Nobody needs a thousand versions; a larger file is another file.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Why there is no root secret. All of it is for the operator to mend; no text
/// holds a byte of the secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("the secret file {}: {source}", file.display())]
    Io { file: PathBuf, source: io::Error },
    #[error(
        "the secret file {} has mode {mode:04o}, so others can read it: `chmod 600` it, and if they may have read it, replace it",
        file.display()
    )]
    Readable { file: PathBuf, mode: u32 },
    #[error(
        "line {line} of the secret file {} is not a version and 64 hexadecimal digits, newest version first",
        file.display()
    )]
    Malformed { file: PathBuf, line: usize },
    #[error("the machine gave no random bytes: {0}")]
    Random(String),
}

/// The versions of the fleet's root secret. Its bytes are wiped from memory
/// when it is dropped, and are never shown.
pub struct RootSecret {
    newest: Version,
    older: Vec<Version>,
}

struct Version {
    number: u32,
    bytes: Zeroizing<[u8; BYTES]>,
}

impl RootSecret {
    /// Reads the file, or makes it with mode 0600 and one fresh version. Two
    /// hosts that start at once on one folder end up with the same secret.
    pub fn open(file: &Path) -> Result<RootSecret, SecretError> {
        match read(file) {
            Err(SecretError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                create(file)?;
                read(file)
            }
            other => other,
        }
    }

    /// Puts a fresh version in front of the others, atomically. Hosts read the
    /// file at start: copy it to the whole fleet, then restart the hosts.
    pub fn rotate(file: &Path) -> Result<RootSecret, SecretError> {
        let old = read(file)?;
        let number = old.newest.number.saturating_add(1);
        let secret = RootSecret {
            newest: Version {
                number,
                bytes: random()?,
            },
            older: std::iter::once(old.newest).chain(old.older).collect(),
        };
        let temporary = write_beside(file, &secret)?;
        temporary
            .persist(file)
            .map_err(|error| failed(file, error.error))?;
        Ok(secret)
    }

    /// The newest version's key for one purpose, by HKDF-SHA256 (RFC 5869).
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        self.newest.derive(purpose)
    }

    /// Each version's number and its key for one purpose, newest first: for
    /// recognising what an older version signed.
    pub fn derive_all(&self, purpose: &str) -> Vec<(u32, [u8; 32])> {
        self.versions()
            .map(|version| (version.number, version.derive(purpose)))
            .collect()
    }

    /// The number that goes beside whatever [`RootSecret::derive`] signs.
    pub fn newest_version(&self) -> u32 {
        self.newest.number
    }

    fn versions(&self) -> impl Iterator<Item = &Version> {
        std::iter::once(&self.newest).chain(&self.older)
    }
}

impl std::fmt::Debug for RootSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RootSecret(hidden)")
    }
}

impl Version {
    fn derive(&self, purpose: &str) -> [u8; 32] {
        let mut key = [0; 32];
        Hkdf::<Sha256>::new(Some(SALT), self.bytes.as_slice())
            .expand(purpose.as_bytes(), &mut key)
            .unwrap_or_else(|_| unreachable!("32 bytes are less than HKDF's 255 blocks"));
        key
    }
}

fn read(path: &Path) -> Result<RootSecret, SecretError> {
    let file = File::open(path).map_err(|error| failed(path, error))?;
    refuse_if_readable(path, &file)?;
    let mut text = Zeroizing::new(String::new());
    file.take(FILE_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(|error| failed(path, error))?;
    parse(&text).map_err(|line| SecretError::Malformed {
        file: path.to_owned(),
        line,
    })
}

/// Postgres's rule for its own key file: nobody but the owner, or, where the
/// file is root's (a mounted secret), the group may read it too. Asked of the
/// open file, so that it cannot be exchanged in between.
fn refuse_if_readable(path: &Path, file: &File) -> Result<(), SecretError> {
    let metadata = file.metadata().map_err(|error| failed(path, error))?;
    let foreign_root = metadata.uid() == 0 && !rustix::process::geteuid().is_root();
    let forbidden = if foreign_root { 0o037 } else { 0o077 };
    match metadata.mode() & forbidden {
        0 => Ok(()),
        _ => Err(SecretError::Readable {
            file: path.to_owned(),
            mode: metadata.mode() & 0o7777,
        }),
    }
}

/// The number of the line that is wrong is the error.
fn parse(text: &str) -> Result<RootSecret, usize> {
    let mut versions = Vec::new();
    let mut last = u32::MAX;
    for (index, line) in text.lines().enumerate() {
        let version = parse_line(line)
            .filter(|version| version.number < last)
            .ok_or(index + 1)?;
        last = version.number;
        versions.push(version);
    }
    let mut versions = versions.into_iter();
    let newest = versions.next().ok_or(1usize)?;
    Ok(RootSecret {
        newest,
        older: versions.collect(),
    })
}

fn parse_line(line: &str) -> Option<Version> {
    let (number, digits) = line.split_once(' ')?;
    let mut bytes = Zeroizing::new([0; BYTES]);
    hex::decode_to_slice(digits, bytes.as_mut_slice()).ok()?;
    Some(Version {
        number: number.parse().ok()?,
        bytes,
    })
}

/// Somebody else may make the file at the same moment; theirs then stays.
fn create(file: &Path) -> Result<(), SecretError> {
    let secret = RootSecret {
        newest: Version {
            number: 1,
            bytes: random()?,
        },
        older: Vec::new(),
    };
    let temporary = write_beside(file, &secret)?;
    match temporary.persist_noclobber(file) {
        Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => {
            Err(failed(file, error.error))
        }
        _ => Ok(()),
    }
}

fn write_beside(file: &Path, secret: &RootSecret) -> Result<tempfile::NamedTempFile, SecretError> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    write_into(folder, secret).map_err(|error| failed(file, error))
}

fn write_into(folder: &Path, secret: &RootSecret) -> io::Result<tempfile::NamedTempFile> {
    std::fs::create_dir_all(folder)?;
    let mut temporary = tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o600))
        .tempfile_in(folder)?;
    for version in secret.versions() {
        let digits = Zeroizing::new(hex::encode(version.bytes.as_slice()));
        writeln!(temporary, "{} {}", version.number, *digits)?;
    }
    temporary.as_file().sync_all()?;
    Ok(temporary)
}

fn random() -> Result<Zeroizing<[u8; BYTES]>, SecretError> {
    let mut bytes = Zeroizing::new([0; BYTES]);
    rand::rngs::SysRng
        .try_fill_bytes(bytes.as_mut_slice())
        .map_err(|error| SecretError::Random(error.to_string()))?;
    Ok(bytes)
}

fn failed(file: &Path, source: io::Error) -> SecretError {
    SecretError::Io {
        file: file.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purposes_and_versions_give_different_keys() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        let first = RootSecret::open(&file).unwrap();
        assert_ne!(first.derive("api-key"), first.derive("cursor"));
        let second = RootSecret::rotate(&file).unwrap();
        assert_ne!(first.derive("api-key"), second.derive("api-key"));
        let known = second.derive_all("api-key");
        assert_eq!(
            known,
            [(2, second.derive("api-key")), (1, first.derive("api-key"))]
        );
    }

    #[test]
    fn key_is_hkdf_sha256() {
        let secret = parse(&format!("7 {}", "0b".repeat(32))).unwrap();
        let mut expected = [0; 32];
        let (prk, _) = Hkdf::<Sha256>::extract(Some(SALT), &[0x0b; 32]);
        Hkdf::<Sha256>::from_prk(&prk)
            .unwrap()
            .expand(b"x", &mut expected)
            .unwrap();
        assert_eq!(secret.derive("x"), expected);
        assert_eq!(secret.newest_version(), 7);
    }

    #[test]
    fn malformed_file_names_its_line_and_shows_nothing() {
        let good = "ab".repeat(32);
        assert_eq!(parse("").unwrap_err(), 1);
        assert_eq!(parse(&format!("2 {good}\n3 {good}\n")).unwrap_err(), 2);
        assert_eq!(parse(&format!("2 {good}\n1 {good}00\n")).unwrap_err(), 2);
        assert_eq!(parse(&format!("2 {good}\n\n")).unwrap_err(), 2);
        assert!(!format!("{:?}", parse(&format!("1 {good}"))).contains("abab"));
    }
}

//! The tokens that admin requests carry.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The file that the host makes in its data folder where no other is named.
const FILE: &str = "admin-token";
const FILE_BYTES_MAX: usize = 4096;

/// Why there is no token: the operator's file is to blame.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("the token in {}: {source}", path.display())]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("the token in {} is empty or longer than {FILE_BYTES_MAX} bytes", .0.display())]
    Length(PathBuf),
}

/// The text that a request must show.
pub struct Token(Zeroizing<String>);

impl Token {
    /// Reads the operator's file, else the host's own, which it makes the first
    /// time, for its user alone.
    pub fn open(file: Option<&Path>, data_dir: &Path) -> Result<Token, TokenError> {
        match file {
            Some(file) => Token::read(file),
            None => {
                let path = data_dir.join(FILE);
                make(&path).map_err(|source| TokenError::File {
                    path: path.clone(),
                    source,
                })?;
                Token::read(&path)
            }
        }
    }

    /// Reads a file of the operator's.
    pub fn read(path: &Path) -> Result<Token, TokenError> {
        let text = std::fs::read_to_string(path);
        let text = Zeroizing::new(text.map_err(|source| TokenError::File {
            path: path.to_owned(),
            source,
        })?);
        let token = text.trim();
        if token.is_empty() || token.len() > FILE_BYTES_MAX {
            return Err(TokenError::Length(path.to_owned()));
        }
        Ok(Token(Zeroizing::new(token.to_string())))
    }

    /// Takes as long wherever a wrong text differs.
    pub fn is(&self, presented: &str) -> bool {
        self.0.as_bytes().ct_eq(presented.as_bytes()).into()
    }
}

/// A file that was begun and not finished must not be taken for a token, so it
/// is written beside and linked into its place, which keeps one that is there.
fn make(path: &Path) -> std::io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let begun = path.with_extension(format!("{}.new", std::process::id()));
    let secret: [u8; 32] = rand::random();
    let text = Zeroizing::new(format!("{}\n", hex::encode(secret)));
    let _ = std::fs::remove_file(&begun);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&begun)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    let linked = std::fs::hard_link(&begun, path);
    std::fs::remove_file(&begun)?;
    match linked {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

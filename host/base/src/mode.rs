//! Who may read what the host writes: its own user alone.
//!
//! Everything under the data folder is private, whatever the umask was and whoever
//! made the folder beforehand. What other users are meant to read, a packed plugin
//! for example, goes by the umask instead.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

const FOLDER: u32 = 0o700;
const FILE: u32 = 0o600;
/// A group that may walk through a folder sees nothing of what lies in it: the user
/// that the private Postgres runs as gets that where the host is root.
const OPEN: u32 = 0o067;

/// Makes a folder for this user alone, or closes one that is open to others.
///
/// # Errors
/// Where an open folder belongs to another user, who could open it again.
pub fn private_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(FOLDER)
        .create(folder)?;
    let metadata = std::fs::metadata(folder)?;
    let mode = metadata.mode() & 0o7777;
    if mode & OPEN == 0 {
        return Ok(());
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!(
                "it has mode {mode:04o} and belongs to another user (uid {}), so others could read \
                 what this host keeps: give it to the host's user, or close it with chmod 700",
                metadata.uid()
            ),
        ));
    }
    tracing::warn!(
        folder = %folder.display(),
        "a folder was open to other users (mode {mode:04o}) and is closed now (mode 0700)"
    );
    std::fs::set_permissions(folder, Permissions::from_mode(FOLDER))
}

/// Opens a file for writing, for this user alone, and makes it where there is none.
/// What is in it stays.
pub fn private_file(file: &Path) -> io::Result<File> {
    let opened = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(FILE)
        .open(file)?;
    close(&opened)?;
    Ok(opened)
}

/// Closes a file that is there, and does nothing where there is none.
pub fn close_file(file: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).open(file) {
        Ok(opened) => close(&opened),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn close(file: &File) -> io::Result<()> {
    match file.metadata()?.mode() & 0o077 {
        0 => Ok(()),
        _ => file.set_permissions(Permissions::from_mode(FILE)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn open_folder_is_closed_and_a_walkable_one_stays() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().join("a/b");
        private_folder(&folder).unwrap();
        assert_eq!(mode(&folder), 0o700);
        for (before, after) in [(0o755, 0o700), (0o711, 0o700), (0o710, 0o710)] {
            std::fs::set_permissions(&folder, Permissions::from_mode(before)).unwrap();
            private_folder(&folder).unwrap();
            assert_eq!(mode(&folder), after, "{before:o}");
        }
    }

    #[test]
    fn open_folder_of_another_user_is_refused() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path();
        std::os::unix::fs::chown(folder, Some(65534), None).unwrap();
        std::fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
        let refused = private_folder(folder).unwrap_err().to_string();
        assert!(refused.contains("mode 0755"), "{refused}");
        assert!(refused.contains("uid 65534"), "{refused}");
        assert_eq!(mode(folder), 0o755);
    }

    #[test]
    fn file_is_closed_and_keeps_what_is_in_it() {
        let temporary = tempfile::tempdir().unwrap();
        let file = temporary.path().join("file");
        close_file(&file).unwrap();
        assert!(!file.exists());
        private_file(&file).unwrap();
        assert_eq!(mode(&file), 0o600);
        std::fs::write(&file, "kept").unwrap();
        let ways: [fn(&Path) -> io::Result<()>; 2] =
            [|file| private_file(file).map(drop), close_file];
        for close in ways {
            std::fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
            close(&file).unwrap();
            assert_eq!(mode(&file), 0o600);
        }
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "kept");
    }
}

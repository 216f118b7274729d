//! The server's log: a file of bounded size, and its last lines in memory for
//! the message when it does not start.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

/// The file is then renamed to `.1`, over the one before it, so the two hold at
/// most twice as much.
const FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;
const TAIL_BYTES_MAX: usize = 4 * 1024;

/// Shared by the threads that copy what each server process says.
#[derive(Clone)]
pub(super) struct Log {
    shared: Arc<Mutex<LogFile>>,
}

struct LogFile {
    path: PathBuf,
    file: File,
    bytes: u64,
    tail: Vec<u8>,
}

impl Log {
    pub(super) fn open(path: &Path) -> io::Result<Log> {
        let file = append(path)?;
        let bytes = file.metadata()?.len();
        let shared = LogFile {
            path: path.to_owned(),
            file,
            bytes,
            tail: Vec::new(),
        };
        Ok(Log {
            shared: Arc::new(Mutex::new(shared)),
        })
    }

    /// Copies until the last process that holds the pipe has ended.
    pub(super) fn follow(&self, mut pipe: impl Read + Send + 'static) -> io::Result<()> {
        let log = self.clone();
        let copy = move || {
            let mut buffer = [0; 8 * 1024];
            while let Ok(read @ 1..) = pipe.read(&mut buffer) {
                log.shared
                    .lock()
                    .write(buffer.get(..read).unwrap_or_default());
            }
        };
        std::thread::Builder::new()
            .name("postgres-log".to_owned())
            .spawn(copy)?;
        Ok(())
    }

    /// What was said last, on one line.
    pub(super) fn tail(&self) -> String {
        let text = String::from_utf8_lossy(&self.shared.lock().tail).into_owned();
        text.lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect::<Vec<_>>()
            .join("; ")
    }

    /// What an earlier attempt said explains nothing about the next.
    pub(super) fn forget(&self) {
        self.shared.lock().tail.clear();
    }
}

impl LogFile {
    /// A full disk must not stop the server for its log, so failures to write
    /// are dropped.
    fn write(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
        let surplus = self.tail.len().saturating_sub(TAIL_BYTES_MAX);
        self.tail.drain(..surplus);
        if self.bytes > FILE_BYTES_MAX {
            self.turn();
        }
        if self.file.write_all(bytes).is_ok() {
            self.bytes += bytes.len() as u64;
        }
    }

    fn turn(&mut self) {
        let renamed = std::fs::rename(&self.path, self.path.with_extension("log.1"));
        if let (Ok(()), Ok(file)) = (renamed, append(&self.path)) {
            self.file = file;
        } else {
            let _ = self.file.set_len(0);
        }
        self.bytes = 0;
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_stays_within_its_bounds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("postgres.log");
        let log = Log::open(&path).unwrap();
        let chunk = vec![b'x'; 1024 * 1024];
        for _ in 0..30 {
            log.shared.lock().write(&chunk);
        }
        let size = |name: &str| std::fs::metadata(folder.path().join(name)).unwrap().len();
        assert!(size("postgres.log") <= FILE_BYTES_MAX + chunk.len() as u64);
        assert!(size("postgres.log.1") <= FILE_BYTES_MAX + chunk.len() as u64);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
        assert!(log.tail().len() <= TAIL_BYTES_MAX);
    }
}

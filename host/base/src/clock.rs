//! What time it is, for guests, queues and schedules.
//!
//! Tests may put the wall clock forward: a host that is started with
//! `HEARTH_CLOCK_FILE` adds the milliseconds that stand in that file. Everything
//! that waits for hours or days asks a [`Clock`]; whatever measures a call (its
//! deadline, its CPU) does not.
//!
//! ```
//! use hearth_base::clock::Clock;
//! let folder = tempfile::tempdir().unwrap();
//! let file = folder.path().join("clock");
//! let clock = Clock::of_file(&file);
//! assert_eq!(clock.offset().as_secs(), 0);
//! std::fs::write(&file, "86400000").unwrap();
//! assert_eq!(clock.offset().as_secs(), 86_400);
//! ```

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

/// The machine's wall clock, perhaps put forward. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    shift: Option<Arc<Shift>>,
}

#[derive(Debug)]
struct Shift {
    file: Box<Path>,
    /// The largest offset that was read: no clock goes back because a file is
    /// being written.
    largest_ms: AtomicU64,
}

impl Clock {
    /// The machine's own.
    pub fn system() -> Clock {
        Clock::default()
    }

    /// The machine's own, put forward by the milliseconds that stand in a file.
    /// The file is read each time, and need not be there. What is no number, or a
    /// smaller one than before, changes nothing.
    pub fn of_file(path: &Path) -> Clock {
        Clock {
            shift: Some(Arc::new(Shift {
                file: path.into(),
                largest_ms: AtomicU64::new(0),
            })),
        }
    }

    pub fn now(&self) -> SystemTime {
        SystemTime::now() + self.offset()
    }

    /// By how much it is put forward: what Postgres's own clock lacks.
    pub fn offset(&self) -> Duration {
        self.shift
            .as_ref()
            .map_or(Duration::ZERO, |shift| shift.read())
    }
}

/// A century. More would leave what Postgres and the machine can tell.
const OFFSET_MS_MAX: u64 = 100 * 366 * 86_400_000;

impl Shift {
    fn read(&self) -> Duration {
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        let read = text.trim().parse::<u64>().unwrap_or(0).min(OFFSET_MS_MAX);
        let before = self.largest_ms.fetch_max(read, Relaxed);
        Duration::from_millis(before.max(read))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_goes_forward_with_its_file_and_never_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("clock");
        let clock = Clock::of_file(&file);
        std::fs::write(&file, "5000\n").unwrap();
        assert_eq!(clock.offset(), Duration::from_secs(5));
        for text in ["", "1000", "later", "-3"] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(clock.clone().offset(), Duration::from_secs(5), "{text:?}");
        }
        assert!(clock.now() >= SystemTime::now() + Duration::from_secs(4));
    }

    #[test]
    fn enormous_offset_is_still_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("clock");
        std::fs::write(&file, u64::MAX.to_string()).unwrap();
        assert!(Clock::of_file(&file).now() > SystemTime::now());
    }
}

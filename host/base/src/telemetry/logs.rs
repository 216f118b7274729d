//! Logs on standard error, for people or as JSON.
//!
//! A line is put into a bounded queue, and redacted and written by a separate thread,
//! so that a reader who stops reading never stops a request, and many lines become one
//! write. A line that does not fit is dropped, and the next line that fits says how
//! many were. The latest lines are kept for who asks the running host.

mod json;
mod recent;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tracing::Dispatch;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use self::json::JsonFormat;
pub use self::recent::RecentLines;
use super::{Config, LogFormat, Redactor};

/// How long the end of the process waits for a writer that does not take lines.
const FLUSH_MS_MAX: u64 = 2_000;

/// Bytes of lines that are one write, about.
const WRITE_BYTES_MAX: usize = 64 << 10;

/// Between two writes. A thread that waits for each line is woken by each, which costs
/// the request more than the line does.
const PAUSE: Duration = Duration::from_millis(2);

/// Why logging did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operator is to blame.
    #[error("telemetry.log_filter: {0}")]
    Filter(String),
    /// The host is to blame: something started a subscriber before.
    #[error("a subscriber of logs was already set")]
    AlreadyStarted,
    /// The machine is to blame.
    #[error("cannot start the thread that writes the log: {0}")]
    Thread(#[from] std::io::Error),
}

/// Where lines go. Cloning shares it.
#[derive(Clone)]
pub struct Logs {
    dispatch: Dispatch,
    /// Whether every event of the process ends here anyway.
    is_global: bool,
    recent: RecentLines,
}

/// Writes what still waits when it is dropped. `main` keeps it to its end.
#[must_use = "dropping the guard ends the logs"]
pub struct Guard {
    queue: Queue,
    thread: Option<JoinHandle<()>>,
}

impl Logs {
    /// Starts the logs of this process on standard error, for everything that
    /// uses `tracing`. A process does this once.
    pub fn start(config: &Config, redactor: &Redactor) -> Result<(Self, Guard), Error> {
        let (mut logs, guard) = Self::to_writer(config, redactor, std::io::stderr())?;
        logs.is_global = true;
        let set = tracing::dispatcher::set_global_default(logs.dispatch.clone());
        set.map(|()| (logs, guard))
            .map_err(|_| Error::AlreadyStarted)
    }

    /// Logs that end in `writer`, for those only who hold the value.
    pub fn to_writer(
        config: &Config,
        redactor: &Redactor,
        writer: impl Write + Send + 'static,
    ) -> Result<(Self, Guard), Error> {
        let filter = config.filter().map_err(Error::Filter)?;
        let (sender, receiver) = channel();
        let queue = Queue {
            sender,
            waiting_bytes: Arc::new(AtomicUsize::new(0)),
            waiting_bytes_max: config.log_bytes_waiting_max,
            dropped: Arc::new(AtomicU64::new(0)),
        };
        let waiting = Arc::clone(&queue.waiting_bytes);
        let recent = RecentLines::new(config);
        let (redactor, kept) = (redactor.clone(), recent.clone());
        let thread = std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write_lines(&receiver, &waiting, &redactor, &kept, writer))?;
        let lines = QueueWriter {
            queue: queue.clone(),
        };
        let dispatch = dispatch(config.log_format, filter, lines);
        let logs = Self {
            dispatch,
            is_global: false,
            recent,
        };
        Ok((
            logs,
            Guard {
                queue,
                thread: Some(thread),
            },
        ))
    }

    /// The latest lines.
    pub fn recent(&self) -> &RecentLines {
        &self.recent
    }

    /// Runs `write` with this as the destination of every `tracing` event in it.
    pub fn with<R>(&self, write: impl FnOnce() -> R) -> R {
        if self.is_global {
            return write();
        }
        tracing::dispatcher::with_default(&self.dispatch, write)
    }
}

impl Drop for Guard {
    /// Waits for the writer, but not for one that takes nothing.
    fn drop(&mut self) {
        // Nobody is left to tell where the thread has ended.
        let _ = self.queue.sender.send(None);
        let end = Instant::now() + Duration::from_millis(FLUSH_MS_MAX);
        let Some(thread) = self.thread.take() else {
            return;
        };
        while !thread.is_finished() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Config {
    /// Says what is wrong with `log_filter`.
    pub fn check_filter(&self) -> Result<(), String> {
        self.filter().map(drop)
    }

    fn filter(&self) -> Result<EnvFilter, String> {
        let parsed = EnvFilter::builder().parse(&self.log_filter);
        parsed.map_err(|error| format!("expected a filter such as \"warn,hearth=debug\": {error}"))
    }
}

fn dispatch(format: LogFormat, filter: EnvFilter, lines: QueueWriter) -> Dispatch {
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(lines);
    match format {
        LogFormat::Human => Dispatch::new(subscriber.with_ansi(false).finish()),
        LogFormat::Json => Dispatch::new(subscriber.event_format(JsonFormat).finish()),
    }
}

/// The bound is in bytes: an unbounded channel carries the lines, and nothing is
/// sent that would go past it.
#[derive(Clone)]
struct Queue {
    sender: Sender<Option<Vec<u8>>>,
    waiting_bytes: Arc<AtomicUsize>,
    waiting_bytes_max: usize,
    dropped: Arc<AtomicU64>,
}

impl Queue {
    fn push(&self, mut line: Vec<u8>) {
        let bytes = line.len();
        let before = self.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > self.waiting_bytes_max {
            self.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            let note = format!("{dropped} lines of this log were dropped\n");
            self.waiting_bytes.fetch_add(note.len(), Ordering::Relaxed);
            line.splice(0..0, note.into_bytes());
        }
        // The thread ends with the process; lines after it are lost.
        let _ = self.sender.send(Some(line));
    }
}

fn write_lines(
    lines: &Receiver<Option<Vec<u8>>>,
    waiting: &AtomicUsize,
    redactor: &Redactor,
    recent: &RecentLines,
    mut writer: impl Write,
) {
    let mut next = lines.recv().ok().flatten();
    while let Some(line) = next {
        let mut text = String::new();
        let mut taken = append(&mut text, &line, redactor);
        let mut more = lines.try_iter();
        let mut is_over = false;
        while text.len() < WRITE_BYTES_MAX {
            match more.next() {
                Some(Some(line)) => taken += append(&mut text, &line, redactor),
                Some(None) => is_over = true,
                None => break,
            }
        }
        recent.add(&text);
        // A closed standard error is no reason to end; the lines are lost.
        let _ = writer.write_all(text.as_bytes());
        waiting.fetch_sub(taken, Ordering::Relaxed);
        if is_over {
            break;
        }
        std::thread::sleep(PAUSE);
        next = lines.recv().ok().flatten();
    }
    let _ = writer.flush();
}

/// Adds a line without its secrets; returns its size in bytes. Lines are redacted one
/// by one, as they are independent of each other.
fn append(text: &mut String, line: &[u8], redactor: &Redactor) -> usize {
    let readable = String::from_utf8_lossy(line);
    text.push_str(&redactor.redact(&readable));
    line.len()
}

#[derive(Clone)]
struct QueueWriter {
    queue: Queue,
}

impl<'a> MakeWriter<'a> for QueueWriter {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

/// `tracing_subscriber` writes each line with one call, so a secret is never cut
/// in two.
impl Write for &QueueWriter {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.queue.push(line.to_vec());
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

//! A guest's stdout and stderr, as lines of the host's log.
//!
//! The stream is our own because wasmtime-wasi's grows with empty writes, and
//! because a line belongs to a request.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::capability::Call;

/// The most that a guest writes at once, and the longest line.
const LINE_BYTES_MAX: usize = 8 * 1024;

/// Who is writing, shared between a store and its streams.
#[derive(Debug, Default)]
pub struct Writer {
    pub plugin: Arc<str>,
    deployment: u64,
    pub request_id: Arc<str>,
    trace_id: Option<String>,
    pub lines_left: u32,
    pending: Vec<u8>,
}

impl Writer {
    pub fn new(plugin: Arc<str>) -> Writer {
        Writer {
            plugin,
            ..Writer::default()
        }
    }

    /// Starts the lines of a request: at most `lines_max`, the rest is dropped.
    pub fn begin(&mut self, call: &Call, lines_max: u32) {
        self.pending.clear();
        self.deployment = call.deployment;
        self.request_id = call.request_id.clone();
        self.trace_id = call.trace.trace_id().map(|id| id.to_string());
        self.lines_left = lines_max;
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if byte == b'\n' || self.pending.len() >= LINE_BYTES_MAX {
                self.end_line();
            }
            if byte != b'\n' {
                self.pending.push(byte);
            }
        }
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.pending);
        if self.lines_left == 0 {
            return;
        }
        self.lines_left -= 1;
        let text = String::from_utf8_lossy(&line);
        let trace_id = self.trace_id.as_deref();
        tracing::info!(target: "guest", plugin = %self.plugin, deployment = self.deployment,
            request_id = %self.request_id, trace_id, "{}", text.escape_debug());
    }
}

/// One of the two streams.
#[derive(Clone)]
pub struct Lines(pub Arc<Mutex<Writer>>);

impl IsTerminal for Lines {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Lines {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for Lines {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.0.lock().write(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(LINE_BYTES_MAX)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Lines {
    async fn ready(&mut self) {}
}

impl AsyncWrite for Lines {
    fn poll_write(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.0.lock().write(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

//! Signals: those that end a host, and the one that has it read its certificates again.

use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::AbortHandle;

use hearth_server::server::tls::Tls;

/// SIGTERM from a supervisor, SIGINT from a terminal.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn open() -> std::io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    pub(super) async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// New certificates are taken by the clock, and at once on SIGHUP.
pub(super) fn keep_fresh(tls: Option<Arc<Tls>>) -> std::io::Result<AbortHandle> {
    let mut hangups = signal(SignalKind::hangup())?;
    let refreshing = tokio::spawn(async move {
        match tls {
            Some(tls) => tls.keep_fresh(hangups).await,
            // Nothing to read anew, and no reason to end either.
            None => while hangups.recv().await.is_some() {},
        }
    });
    Ok(refreshing.abort_handle())
}

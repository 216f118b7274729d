//! The traces of the host, and the task that exports them.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use hearth_base::telemetry::trace::Exporter;
use hearth_base::telemetry::{HostMetrics, Traces};
use hearth_server::config::Config;

/// How long the end waits for a collector that takes its time.
const STOP: Duration = Duration::from_secs(3);

/// Nothing, where no collector is configured.
pub(super) struct Export {
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

pub(super) fn open(config: &Config, metrics: &HostMetrics) -> anyhow::Result<(Traces, Export)> {
    let (traces, exporter) = Traces::open(&config.telemetry, metrics)?;
    let stop = CancellationToken::new();
    let run = |exporter: Exporter| tokio::spawn(exporter.run(stop.clone()));
    let task = exporter.map(run);
    Ok((traces, Export { stop, task }))
}

impl Export {
    /// Exports what is there.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        if let Some(task) = self.task {
            let _ = timeout(STOP, task).await;
        }
    }
}

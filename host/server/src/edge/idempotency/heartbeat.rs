//! The heartbeat of this process: a row of its own that shows the fleet that it runs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use uuid::Uuid;

use hearth_backend::postgres::Server;
use hearth_base::telemetry::{BackendCall, BackendWatch, HostMetrics};

/// This process, which no other one ever is: a host that starts again is another.
pub struct Heartbeat {
    id: Uuid,
    server: Server,
    beat: Duration,
    watch: Arc<BackendWatch>,
}

impl Heartbeat {
    pub fn new(server: &Server, beat_ms: u64, told: &HostMetrics) -> Heartbeat {
        Heartbeat {
            id: Uuid::new_v4(),
            server: server.clone(),
            beat: Duration::from_millis(beat_ms),
            watch: told.watches.postgres.clone(),
        }
    }

    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Updates the row for as long as it is polled, and deletes rows of processes that
    /// are long gone from time to time. By it a host without requests also notices that
    /// Postgres is unavailable, or available again.
    pub async fn beat(&self) {
        let asked = BackendCall {
            plugin: None,
            statement: Some("beat"),
        };
        loop {
            let began = Instant::now();
            match self.beat_once().await {
                Ok(()) => self.watch.answered(asked, began.elapsed()),
                Err(error) => self.watch.unavailable(asked, began.elapsed(), &error),
            }
            tokio::time::sleep(self.beat).await;
        }
    }

    async fn beat_once(&self) -> anyhow::Result<()> {
        let client = self.server.host().get().await?;
        let moved = client
            .prepare_cached(
                "INSERT INTO hearth.hosts (id) VALUES ($1)
                 ON CONFLICT (id) DO UPDATE SET seen_at = now() RETURNING xmax = 0",
            )
            .await?;
        let is_first: bool = client.query_one(&moved, &[&self.id]).await?.try_get(0)?;
        if is_first {
            let gone = "DELETE FROM hearth.hosts WHERE seen_at < now() - interval '1 hour'";
            client.execute(gone, &[]).await?;
        }
        Ok(())
    }
}

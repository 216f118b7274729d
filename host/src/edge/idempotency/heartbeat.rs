//! That this process lives, told to the fleet through a row of its own.

use std::time::Duration;

use uuid::Uuid;

use crate::backend::postgres::Server;

/// This process, which no other one ever is: a host that starts again is another.
pub struct Heartbeat {
    id: Uuid,
    server: Server,
    beat: Duration,
}

impl Heartbeat {
    pub fn new(server: Server, beat_ms: u64) -> Heartbeat {
        Heartbeat {
            id: Uuid::new_v4(),
            server,
            beat: Duration::from_millis(beat_ms),
        }
    }

    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Moves the row, for as long as it is polled, and now and then drops those of
    /// processes that are long gone.
    pub async fn beat(&self) {
        loop {
            if let Err(error) = self.once().await {
                tracing::debug!(%error, "the fleet was not told that this host lives");
            }
            tokio::time::sleep(self.beat).await;
        }
    }

    async fn once(&self) -> anyhow::Result<()> {
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

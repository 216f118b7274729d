//! A connection that hears what others tell by NOTIFY.

use futures_util::{Stream, StreamExt};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio_postgres::{AsyncMessage, Client, Error};
use tokio_util::sync::CancellationToken;

use super::Server;
use super::host::session_settings;

/// A connection of its own, beside the pools, for as long as it is held. Where a
/// pooler stands between that passes no notifications on, nothing is heard: so
/// whoever listens looks now and then all the same.
pub struct Listening {
    pub client: Client,
    driver: AbortHandle,
    ended: CancellationToken,
}

impl Listening {
    /// Connects and listens. What is heard goes to `told` where it is a number
    /// greater than the one there.
    pub async fn open(
        server: &Server,
        channel: &str,
        told: watch::Sender<i64>,
    ) -> Result<Listening, Error> {
        let (client, connection) = server.connect_config().connect(server.tls()).await?;
        let mut connection = Box::pin(connection);
        let messages = futures_util::stream::poll_fn(move |cx| connection.poll_message(cx));
        let ended = CancellationToken::new();
        let guard = ended.clone().drop_guard();
        let driving = tokio::spawn(async move {
            drive(messages, told).await;
            drop(guard);
        });
        let driver = driving.abort_handle();
        let listening = Listening {
            client,
            driver,
            ended,
        };
        let settings = session_settings(server.config());
        let listen = format!("{settings}; LISTEN {channel}");
        listening.client.batch_execute(&listen).await?;
        Ok(listening)
    }

    /// Ends when the connection does.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

async fn drive(
    mut messages: impl Stream<Item = Result<AsyncMessage, Error>> + Unpin,
    told: watch::Sender<i64>,
) {
    while let Some(Ok(message)) = messages.next().await {
        if let AsyncMessage::Notification(heard) = message
            && let Ok(number) = heard.payload().parse()
        {
            raise(&told, number);
        }
    }
}

/// Tells of a number that is greater than what was told before.
pub fn raise(told: &watch::Sender<i64>, number: i64) {
    told.send_if_modified(|known| {
        let more = number > *known;
        *known = (*known).max(number);
        more
    });
}

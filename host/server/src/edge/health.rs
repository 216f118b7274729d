//! Whether the process lives, and whether it should get traffic.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;
use serde_json::json;

use hearth_backend::postgres::Server;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// How long Postgres has to answer the question.
const POSTGRES_MS_MAX: u64 = 1_000;

const UNREADY: StatusCode = StatusCode::SERVICE_UNAVAILABLE;

/// How a plugin does, for who asks for more than the status.
#[derive(Debug, Serialize)]
pub struct PluginHealth {
    /// Its deployment, for example `tickets@3`.
    pub deployment: String,
    /// How many calls failed since the last one that did not, where these are too many.
    pub failing_calls: Option<u64>,
}

enum State {
    Draining,
    Ready,
    Unavailable,
}

/// Answers `/healthz` and `/readyz`.
pub struct Health {
    postgres: Server,
}

impl Health {
    pub fn new(postgres: Server) -> Health {
        Health { postgres }
    }

    /// The process answers; nothing else is asked.
    pub fn alive(&self) -> Response<Full<Bytes>> {
        answer(StatusCode::OK, r#"{"status":"ok"}"#)
    }

    /// 200 where a request could be served now, else 503 and what is missing.
    pub async fn ready(&self, draining: bool) -> Response<Full<Bytes>> {
        match self.state(draining).await {
            State::Draining => answer(UNREADY, r#"{"status":"draining"}"#),
            State::Ready => answer(StatusCode::OK, r#"{"status":"ready"}"#),
            State::Unavailable => answer(
                UNREADY,
                r#"{"status":"unavailable","waiting_for":["postgres"]}"#,
            ),
        }
    }

    /// The same, with what an operator wants to know beside it. A plugin that fails keeps
    /// the others from nothing: it does not change the status.
    pub async fn verbose(&self, draining: bool, plugins: &[PluginHealth]) -> Response<Full<Bytes>> {
        let state = self.state(draining).await;
        let (status, said) = match state {
            State::Draining => (UNREADY, "draining"),
            State::Ready => (StatusCode::OK, "ready"),
            State::Unavailable => (UNREADY, "unavailable"),
        };
        let postgres = match state {
            State::Draining => None,
            State::Ready => Some("answers"),
            State::Unavailable => Some("away"),
        };
        let text = json!({"status": said, "postgres": postgres, "plugins": plugins});
        answer(status, text.to_string())
    }

    async fn state(&self, draining: bool) -> State {
        match draining {
            true => State::Draining,
            false if self.postgres_answers().await => State::Ready,
            false => State::Unavailable,
        }
    }

    async fn postgres_answers(&self) -> bool {
        let ask = async {
            let client = self.postgres.host().get().await.ok()?;
            client.simple_query("SELECT 1").await.ok()
        };
        let limit = Duration::from_millis(POSTGRES_MS_MAX);
        matches!(tokio::time::timeout(limit, ask).await, Ok(Some(_)))
    }
}

fn answer(status: StatusCode, json: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(json.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, JSON);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        answer
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    answer
}

//! Whether the process lives, and whether it should get traffic.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use http_body_util::Full;

use crate::backend::postgres::Server;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// How long Postgres has to answer the question.
const POSTGRES_MS_MAX: u64 = 1_000;

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
        if draining {
            return answer(StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"draining"}"#);
        }
        match self.postgres_answers().await {
            true => answer(StatusCode::OK, r#"{"status":"ready"}"#),
            false => answer(
                StatusCode::SERVICE_UNAVAILABLE,
                r#"{"status":"unavailable","waiting_for":["postgres"]}"#,
            ),
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

fn answer(status: StatusCode, json: &'static str) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from_static(json.as_bytes())));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, JSON);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        answer
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    answer
}

//! The way from the SDK to the thread: a queue in this process, and no socket.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use aws_sdk_dynamodb::config::SharedHttpClient;
use aws_sdk_dynamodb::config::http::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use dynoxide::{Database, DynoxideError};
use tokio::sync::{mpsc, oneshot};

use super::operations;

/// Requests that wait for the thread; whoever asks more waits for room.
pub(super) const REQUESTS_MAX: usize = 64;

/// What DynamoDB's protocol has as the name of an operation:
/// `DynamoDB_20120810.PutItem`.
const TARGET: &str = "x-amz-target";

/// One operation on its way, and who waits for it.
pub(super) struct PendingOperation {
    operation: String,
    body: Bytes,
    answer: oneshot::Sender<OperationAnswer>,
}

/// What the database says of one operation, as DynamoDB would.
#[derive(Clone, Debug)]
pub struct OperationAnswer {
    pub status: u16,
    /// JSON.
    pub body: String,
}

/// A handle of a private DynamoDB. Cloning shares it; it keeps nothing running.
#[derive(Clone, Debug)]
pub struct Connector {
    requests: mpsc::Sender<PendingOperation>,
}

impl Connector {
    pub(super) fn new() -> (Connector, mpsc::Receiver<PendingOperation>) {
        let (requests, waiting) = mpsc::channel(REQUESTS_MAX);
        (Connector { requests }, waiting)
    }

    /// What the SDK sends its requests by.
    pub fn http_client(&self) -> SharedHttpClient {
        let connector = SharedHttpConnector::new(self.clone());
        http_client_fn(move |_, _| connector.clone())
    }

    /// Does one operation, `PutItem` for example.
    ///
    /// # Errors
    /// Where the private DynamoDB has stopped.
    pub async fn ask(&self, operation: &str, body: Bytes) -> io::Result<OperationAnswer> {
        let gone = || io::Error::new(io::ErrorKind::NotConnected, "the private DynamoDB stopped");
        let (answer, answered) = oneshot::channel();
        let asked = PendingOperation {
            operation: operation.to_owned(),
            body,
            answer,
        };
        self.requests.send(asked).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())
    }

    async fn carry(self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let malformed = |what: &str| ConnectorError::user(what.into());
        let target = request.headers().get(TARGET).unwrap_or_default();
        let (_, operation) = target
            .split_once('.')
            .ok_or_else(|| malformed("the request names no operation"))?;
        let operation = operation.to_owned();
        let body = request.body().bytes().map(Bytes::copy_from_slice);
        let body = body.ok_or_else(|| malformed("the request's body is a stream"))?;
        let answer = self.ask(&operation, body).await;
        let answer = answer.map_err(|error| ConnectorError::io(error.into()))?;
        let status = StatusCode::try_from(answer.status);
        let status = status.map_err(|error| ConnectorError::other(error.into(), None))?;
        Ok(HttpResponse::new(status, SdkBody::from(answer.body)))
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(self.clone().carry(request))
    }
}

impl PendingOperation {
    /// Does it, unless whoever asked has gone: then it counts as never received.
    pub(super) fn perform(self, database: &Database) {
        if self.answer.is_closed() {
            return;
        }
        // A mistake of the emulator's ends one request, and not the thread.
        let performed = catch_unwind(AssertUnwindSafe(|| {
            operations::perform(database, &self.operation, &self.body)
        }));
        let performed = performed
            .unwrap_or_else(|_| Err(DynoxideError::InternalServerError("it panicked".into())));
        let answer = match performed {
            Ok(body) => OperationAnswer { status: 200, body },
            Err(error) => OperationAnswer {
                status: error.status_code(),
                body: error.to_json(),
            },
        };
        let _ = self.answer.send(answer);
    }
}

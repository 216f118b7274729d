//! The stream that answers a deployment and a rollback: a JSON object a line as
//! things happen, and a last one that says how it ended.

use bytes::{Bytes, BytesMut};
use http::{Method, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde::Deserialize;
use tokio::time::timeout;

use super::progress::DeployProgress;
use super::{Client, Error, reason};
use hearth_runtime::capability::sql::Scan;

/// The longest line that is read.
const LINE_BYTES_MAX: usize = 1024 * 1024;

/// A step that is done.
#[derive(Clone, Debug, Deserialize)]
pub struct Step {
    pub step: String,
    pub ms: u64,
    pub note: Option<String>,
}

/// How it ended.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "result", rename_all = "lowercase")]
pub enum End {
    Serving(Serving),
    Refused(RefusedDeploy),
}

/// The deployment that serves from now on.
#[derive(Clone, Debug, Deserialize)]
pub struct Serving {
    pub plugin: String,
    pub label: String,
    pub version: String,
    pub digest: String,
}

/// Why nothing changed.
#[derive(Clone, Debug, Deserialize)]
pub struct RefusedDeploy {
    /// Empty where the file does not even tell its name.
    #[serde(default)]
    pub plugin: String,
    pub step: String,
    #[serde(default)]
    pub reasons: Vec<String>,
    /// What the plugin newly asks for and nobody has approved.
    #[serde(default)]
    pub asks: Vec<String>,
    /// The SQL functions among that.
    #[serde(default)]
    pub functions: Vec<Function>,
    /// The statements among that which read all rows of a customer.
    #[serde(default)]
    pub scans: Vec<Scan>,
}

/// An SQL function with its body.
#[derive(Clone, Debug, Deserialize)]
pub struct Function {
    pub approval: String,
    pub text: String,
}

/// How it ended, and the line that said so.
pub struct DeployOutcome {
    pub end: End,
    pub text: String,
}

enum Line {
    Step(Step),
    Last(DeployOutcome),
}

/// Sends a request and shows each step until the last line.
pub async fn follow(
    client: &mut Client,
    method: Method,
    target: &str,
    body: Bytes,
) -> Result<DeployOutcome, Error> {
    let progress = DeployProgress::start();
    let followed = match client.send(method, target, body).await {
        Ok(answer) => read(client, answer, &progress).await,
        Err(error) => Err(error),
    };
    progress.end();
    followed.map_err(Error::of_change)
}

async fn read(
    client: &Client,
    answer: Response<Incoming>,
    progress: &DeployProgress,
) -> Result<DeployOutcome, Error> {
    let mut lines = Lines {
        body: answer.into_body(),
        buffer: BytesMut::new(),
    };
    while let Some(line) = lines.next(client).await? {
        match parse(client, &line)? {
            Line::Step(step) => progress.step(&step),
            Line::Last(outcome) => return Ok(outcome),
        }
    }
    Err(client.cut("the stream ended without a result".into()))
}

fn parse(client: &Client, line: &[u8]) -> Result<Line, Error> {
    let text = std::str::from_utf8(line).map_err(|_| client.foreign("is not UTF-8"))?;
    if let Ok(step) = serde_json::from_str(text) {
        // A refusal names its step, too, but has no milliseconds.
        return Ok(Line::Step(step));
    }
    match serde_json::from_str(text) {
        Ok(end) => Ok(Line::Last(DeployOutcome {
            end,
            text: text.trim().to_owned(),
        })),
        Err(_) => Err(client.foreign("has a line that is neither a step nor a result")),
    }
}

/// The lines of a body as they arrive.
struct Lines {
    body: Incoming,
    buffer: BytesMut,
}

impl Lines {
    /// The next line that is not empty; the last may lack its line feed.
    async fn next(&mut self, client: &Client) -> Result<Option<Bytes>, Error> {
        loop {
            while let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(end + 1).freeze();
                if !line.trim_ascii().is_empty() {
                    return Ok(Some(line));
                }
            }
            if self.buffer.len() > LINE_BYTES_MAX {
                return Err(client.foreign(&format!("has a line of over {LINE_BYTES_MAX} bytes")));
            }
            let frame = timeout(client.silence(), self.body.frame()).await;
            match frame.map_err(|_| client.silent())? {
                Some(Ok(frame)) => {
                    let data = frame.into_data().unwrap_or_default();
                    self.buffer.extend_from_slice(&data);
                }
                Some(Err(error)) => return Err(client.cut(reason(&error))),
                None if self.buffer.trim_ascii().is_empty() => return Ok(None),
                None => return Ok(Some(self.buffer.split().freeze())),
            }
        }
    }
}

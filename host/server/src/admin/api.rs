//! Deploying, rolling back, undeploying, and looking at what serves.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use serde_json::{Value, json};
use tokio::sync::{OwnedMutexGuard, mpsc};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

use super::{Admin, AdminAnswer, whole};
use crate::deploy::steps::{DeployResult, LINES_MAX, Line, Rejected, Serving, Steps};
use crate::deploy::store::StoreError;
use crate::edge::problem::Problem;
use crate::server::RequestBody;
use crate::server::body::{self, BodyError};
use hearth_runtime::plugin::deployment::{Approved, Deployment};

/// How long a packed plugin may take to come in whole.
const UPLOAD_MAX: Duration = Duration::from_secs(120);
pub(super) const COME_AGAIN: Duration = Duration::from_secs(1);

impl Admin {
    pub(super) async fn api(&self, request: Request<RequestBody>) -> Result<AdminAnswer, Problem> {
        let path = request.uri().path().to_string();
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        let method = request.method().clone();
        match (method, parts.as_slice()) {
            (Method::POST, ["deployments"]) => self.deploy(request).await,
            (Method::POST, ["plans"]) => self.plans(request).await,
            (Method::GET, ["plugins"]) => self.status().await,
            (Method::GET, ["logs"]) => self.logs(request.uri().query().unwrap_or_default()),
            (_, ["queues", below @ ..]) => self.queues(&request, below).await,
            (Method::DELETE, ["plugins", plugin]) => self.undeploy(plugin).await,
            (Method::POST, ["plugins", plugin, "rollback"]) => {
                self.roll_back(plugin, request.uri().query()).await
            }
            (Method::GET, ["plugins", plugin, "deployments"]) => self.history(plugin).await,
            (Method::GET, ["plugins", plugin, "deployments", number, "artifact"]) => {
                self.artifact(plugin, number).await
            }
            (_, ["deployments"] | ["plans"] | ["plugins", _, "rollback"]) => {
                Err(Problem::method_not_allowed(&["POST"]))
            }
            (_, ["plugins"] | ["logs"] | ["plugins", _, "deployments"]) => {
                Err(Problem::method_not_allowed(&["GET"]))
            }
            (_, ["plugins", _]) => Err(Problem::method_not_allowed(&["DELETE"])),
            _ => Err(Problem::not_found()),
        }
    }

    /// The right to change something, before anything is read.
    fn turn(&self) -> Result<OwnedMutexGuard<()>, Problem> {
        self.rollout
            .turn
            .clone()
            .try_lock_owned()
            .map_err(|_| under_way())
    }

    async fn deploy(&self, request: Request<RequestBody>) -> Result<AdminAnswer, Problem> {
        let turn = self.turn()?;
        let query = request.uri().query().unwrap_or_default();
        let (approval, replace) = (approval(query), is_replacing(query));
        let bytes = self.upload(request).await?;
        let (sender, lines) = mpsc::channel(LINES_MAX);
        let rollout = self.rollout.clone();
        // Once begun it goes on, whether or not the client stays to hear of it.
        tokio::spawn(async move {
            let mut steps = Steps::reporting(sender);
            let outcome = rollout.deploy(bytes, &approval, replace, &mut steps).await;
            drop(turn);
            steps.end(ended(outcome));
        });
        Ok(stream(lines))
    }

    async fn upload(&self, request: Request<RequestBody>) -> Result<Bytes, Problem> {
        let bytes_max = self.rollout.deployer.engine.component_bytes_max;
        let idle = Duration::from_millis(self.edge.limits.body_idle_ms_max);
        let reading = body::read(request.into_body(), bytes_max, idle);
        tokio::time::timeout(UPLOAD_MAX, reading)
            .await
            .map_err(|_| Problem::request_timeout())?
            .map_err(unread)
    }

    /// What the statements of a file read, on the present tables. One at a time, as
    /// everything that a file begins here.
    async fn plans(&self, request: Request<RequestBody>) -> Result<AdminAnswer, Problem> {
        let _turn = self.turn()?;
        let deployer = &self.rollout.deployer;
        let package = deployer.read(self.upload(request).await?).await;
        let package = package.map_err(unreadable)?;
        let sql = &deployer.clients.sql;
        let outlook = sql
            .outlook(&package.manifest.name, &package.statements)
            .await;
        match outlook {
            Ok(outlook) => Ok(json_answer(&json!(outlook))),
            Err(error) => Err(away(StoreError::Backend(error.to_string()))),
        }
    }

    async fn roll_back(&self, plugin: &str, query: Option<&str>) -> Result<AdminAnswer, Problem> {
        let turn = self.turn()?;
        let wanted = form_urlencoded::parse(query.unwrap_or_default().as_bytes())
            .find(|(name, _)| name == "to");
        let number = match wanted {
            Some((_, number)) => number
                .parse()
                .map_err(|_| Problem::bad_request("`to` must be the number of a deployment."))?,
            None => {
                let previous = self.rollout.store.previous(plugin).await;
                previous.map_err(away)?.ok_or_else(Problem::not_found)?
            }
        };
        let (sender, lines) = mpsc::channel(LINES_MAX);
        let (rollout, plugin) = (self.rollout.clone(), plugin.to_string());
        tokio::spawn(async move {
            let mut steps = Steps::reporting(sender);
            let outcome = rollout.rollback(&plugin, number, &mut steps).await;
            drop(turn);
            steps.end(ended(outcome));
        });
        Ok(stream(lines))
    }

    async fn undeploy(&self, plugin: &str) -> Result<AdminAnswer, Problem> {
        let turn = self.turn()?;
        let (rollout, plugin) = (self.rollout.clone(), plugin.to_string());
        // A client that goes away must not leave a drain undone.
        let undeploying = tokio::spawn(async move {
            let gone = rollout.undeploy(&plugin).await;
            drop(turn);
            (plugin, gone)
        });
        let (plugin, gone) = undeploying.await.map_err(|_| Problem::internal())?;
        let number = gone.map_err(away)?.ok_or_else(Problem::not_found)?;
        let answer = json!({"result": "undeployed", "plugin": plugin, "number": number});
        Ok(json_answer(&answer))
    }

    async fn status(&self) -> Result<AdminAnswer, Problem> {
        let since: HashMap<String, String> = self
            .rollout
            .store
            .since()
            .await
            .map_err(away)?
            .into_iter()
            .collect();
        let draining = self.rollout.drains();
        let plugins: Vec<Value> = self
            .rollout
            .router
            .deployments()
            .iter()
            .map(|deployment| {
                let name: &str = &deployment.plugin;
                describe(deployment, since.get(name), &draining)
            })
            .collect();
        Ok(json_answer(&json!({ "plugins": plugins })))
    }

    async fn history(&self, plugin: &str) -> Result<AdminAnswer, Problem> {
        let deployments = self.rollout.store.history(plugin).await.map_err(away)?;
        if deployments.is_empty() {
            return Err(Problem::not_found());
        }
        let answer = json!({"plugin": plugin, "deployments": deployments});
        Ok(json_answer(&answer))
    }

    async fn artifact(&self, plugin: &str, number: &str) -> Result<AdminAnswer, Problem> {
        let number = number.parse().map_err(|_| Problem::not_found())?;
        let stored = self.rollout.store.load(plugin, number).await;
        let mut answer = Response::new(Full::new(stored.map_err(away)?.bytes));
        let kind = HeaderValue::from_static("application/wasm");
        answer.headers_mut().insert(CONTENT_TYPE, kind);
        Ok(whole(answer))
    }
}

fn describe(
    deployment: &Deployment,
    since: Option<&String>,
    draining: &[(Arc<str>, u64, usize)],
) -> Value {
    let of_plugin = |(plugin, _, _): &&(Arc<str>, u64, usize)| *plugin == deployment.plugin;
    let draining: Vec<Value> = draining
        .iter()
        .filter(of_plugin)
        .map(|(_, number, in_flight)| json!({"number": number, "in_flight": in_flight}))
        .collect();
    let manifest = &deployment.manifest;
    json!({
        "plugin": &*deployment.plugin,
        "number": deployment.number,
        "label": deployment.label(),
        "version": manifest.version.to_string(),
        "digest": deployment.digest.to_string(),
        "mount": &*deployment.mount,
        "since": since,
        "grants": deployment.approved.grants,
        "functions": deployment.approved.functions,
        "shared": deployment.approved.shared,
        "scans": deployment.approved.scans,
        "in_flight": deployment.gate.in_flight(),
        "requests": deployment.tally.requests(),
        "failures": deployment.tally.failures(),
        "failing_calls": deployment.failing.calls(),
        "consumes": texts(&manifest.queues),
        "schedules": texts(&manifest.schedules),
        "draining": draining,
    })
}

fn texts<T: ToString>(all: &[T]) -> Vec<String> {
    all.iter().map(T::to_string).collect()
}

fn approval(query: &str) -> Approved {
    let mut approved = Approved::default();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let texts = value.split(',').map(str::trim).filter(|t| !t.is_empty());
        let texts = texts.map(str::to_string);
        match &*name {
            "approve" => approved.grants.extend(texts),
            "approve-functions" => approved.functions.extend(texts),
            "approve-shared" => approved.shared.extend(texts),
            "approve-scans" => approved.scans.extend(texts),
            _ => {}
        }
    }
    approved
}

/// Whether what serves may lose something by the deploy.
fn is_replacing(query: &str) -> bool {
    form_urlencoded::parse(query.as_bytes())
        .any(|(name, value)| name == "replace" && value == "true")
}

fn ended(outcome: Result<Serving, Rejected>) -> DeployResult {
    match outcome {
        Ok(serving) => DeployResult::Serving(serving),
        Err(rejected) => {
            tracing::warn!(plugin = %rejected.plugin, step = rejected.step, reasons = ?rejected.reasons, "a deploy was rejected");
            DeployResult::Refused(rejected)
        }
    }
}

/// Each line as soon as it is there.
fn stream(lines: mpsc::Receiver<Line>) -> AdminAnswer {
    let frames = ReceiverStream::new(lines).map(|line| {
        // Texts and numbers always serialise.
        let mut text = serde_json::to_vec(&line).unwrap_or_default();
        text.push(b'\n');
        Ok::<_, Infallible>(Frame::data(Bytes::from(text)))
    });
    let mut answer = Response::new(StreamBody::new(frames).boxed_unsync());
    let headers = answer.headers_mut();
    let kind = HeaderValue::from_static("application/x-ndjson");
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

pub(super) fn json_answer(value: &Value) -> AdminAnswer {
    let mut answer = Response::new(Full::new(Bytes::from(value.to_string())));
    let headers = answer.headers_mut();
    let kind = HeaderValue::from_static("application/json");
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    whole(answer)
}

fn under_way() -> Problem {
    let mut problem = Problem::bad_request("another deployment is in progress");
    problem.kind = "deployment-under-way";
    problem.title = "Conflict";
    problem.status = StatusCode::CONFLICT;
    problem.retry_after = Some(COME_AGAIN);
    problem
}

fn unreadable(rejected: Rejected) -> Problem {
    let mut problem = Problem::bad_request("");
    problem.detail = rejected.reasons.join("\n");
    problem
}

fn unread(error: BodyError) -> Problem {
    match error {
        BodyError::TooLarge(bytes_max) => Problem::payload_too_large(bytes_max),
        BodyError::Idle(_) | BodyError::Slow(_) => Problem::request_timeout(),
        BodyError::Broken => {
            Problem::bad_request("The body is incomplete, or its framing is invalid.")
        }
        BodyError::TooSlow(least) => Problem::body_too_slow(least),
        BodyError::ShareFull | BodyError::NoRoom => Problem::overloaded(COME_AGAIN),
    }
}

fn away(error: StoreError) -> Problem {
    match error {
        StoreError::Locked => under_way(),
        StoreError::Missing(_) => Problem::not_found(),
        StoreError::Backend(reason) => {
            tracing::error!(reason, "the table of deployments is unavailable");
            Problem::unavailable(COME_AGAIN)
        }
    }
}

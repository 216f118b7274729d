//! Turns an answer into a stream. Its call has ended: a stream has no permit, no
//! instance and no body.

use http::request::Parts;
use http::{HeaderName, Method, StatusCode};

use super::super::outgoing::Outgoing;
use super::super::sse::{self, BadHold, Grip};
use super::super::{Answer, Whole};
use super::{COME_AGAIN, Edge, RequestContext};
use crate::edge::problem::Problem;
use hearth_backend::postgres::events::Position;
use hearth_runtime::capability::push::{Space, Start, StreamLimit, StreamRequest};
use hearth_runtime::plugin::deployment::Deployment;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const GRANT: &str = "push";

/// What a plugin said: whole, or the beginning of a stream.
pub(super) struct PluginAnswer {
    /// An empty one where there is a stream.
    pub answer: Whole,
    pub stream: Option<StreamStart>,
}

/// The beginning of a stream.
pub(super) struct StreamStart {
    answer: Whole,
    grip: Grip,
    /// Up to where the log was known when the handler was called.
    since: Option<Position>,
    /// What the client said that it saw last.
    last_event_id: Option<Vec<u8>>,
}

impl PluginAnswer {
    pub fn of(
        answer: Whole,
        grip: Option<Grip>,
        since: Option<Position>,
        parts: &Parts,
    ) -> PluginAnswer {
        let Some(grip) = grip else {
            return PluginAnswer {
                answer,
                stream: None,
            };
        };
        let last_event_id = parts.headers.get(LAST_EVENT_ID);
        let start = StreamStart {
            grip,
            since,
            last_event_id: last_event_id.map(|id| id.as_bytes().to_vec()),
            answer,
        };
        PluginAnswer {
            answer: Whole::default(),
            stream: Some(start),
        }
    }
}

impl Edge {
    pub(super) async fn open_stream(
        &self,
        context: RequestContext<'_>,
        method: &Method,
        start: StreamStart,
    ) -> Result<Answer, Problem> {
        let RequestContext {
            deployment,
            request_id,
            caller,
            ..
        } = context;
        let refused = |bad: BadHold| {
            tracing::error!(plugin = %deployment.plugin, deployment = deployment.number, %request_id, blame = "guest", "invalid stream: {bad}");
            Problem::guest_bad_hold()
        };
        check(deployment, method, &start).map_err(refused)?;
        let position = self.position(&start)?;
        let channels = start.grip.channels(self.push.config(), &position);
        let channels = channels.map_err(refused)?;
        let (head, opening) = sse::split(start.answer).await;
        if *method == Method::HEAD {
            return Ok(head.map(|()| Outgoing::whole("")));
        }
        let hold = StreamRequest {
            space: Space {
                plugin: deployment.plugin.clone(),
                customer: context.customer(),
            },
            key: caller.map(|caller| caller.key_id.clone()),
            channels,
        };
        let stream = self.push.hold(hold, opening).map_err(no_room)?;
        Ok(sse::answer(head, stream))
    }

    /// The start position of a stream if its handler named no id.
    fn position(&self, start: &StreamStart) -> Result<Start, Problem> {
        if let Some(id) = start.last_event_id.as_deref().filter(|id| !id.is_empty()) {
            let id = str::from_utf8(id).unwrap_or_default();
            return Ok(Start::of(id, self.push.config()));
        }
        let since = start.since.map(Start::After);
        since.ok_or_else(|| Problem::unavailable(COME_AGAIN))
    }
}

fn check(deployment: &Deployment, method: &Method, start: &StreamStart) -> Result<(), BadHold> {
    let granted = deployment
        .approved
        .grants
        .iter()
        .any(|grant| grant == GRANT);
    let status = start.answer.status();
    match () {
        () if !granted => Err(BadHold::NotGranted),
        () if *method != Method::GET && *method != Method::HEAD => {
            Err(BadHold::Method(method.to_string()))
        }
        () if status != StatusCode::OK => Err(BadHold::Status(status.as_u16())),
        () => Ok(()),
    }
}

fn no_room(refused: StreamLimit) -> Problem {
    match refused {
        StreamLimit::HostFull => Problem::overloaded(COME_AGAIN),
        StreamLimit::CustomerFull => Problem::too_many_streams(COME_AGAIN),
    }
}

//! The endpoint and the rules for its fields.

use hearth_plugin::etag;
use hearth_plugin::fields::Field;
use hearth_plugin::prelude::*;
use hearth_plugin::router::PathParameter;

use crate::destination;
use crate::topic;

/// Endpoints of a customer at most; the statement `insert_endpoint` has it too. One
/// event makes as many deliveries.
pub const COUNT_MAX: usize = 200;
/// Those of them that want their events in order: the messages of these are sent with
/// the event itself, and never behind those of a later one.
pub const ORDERED_MAX: i64 = 80;
/// Bytes of an endpoint's metadata at most, as JSON text.
const METADATA_BYTES_MAX: usize = 4 * 1024;
/// Event types that an endpoint names at most.
const EVENT_TYPES_MAX: usize = 50;

row! {
    /// An endpoint, without what it keeps secret.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Endpoint {
        id: String,
        version: i64,
        url: String,
        description: Option<String>,
        event_types: Vec<String>,
        ordered: bool,
        rate_per_second: Option<i64>,
        metadata: Json,
        signature: String,
        header_names: Vec<String>,
        enabled: bool,
        disabled_reason: Option<String>,
        disabled_at: Option<Timestamp>,
        created_at: Timestamp,
        updated_at: Timestamp,
    }
}

/// The id of an endpoint in a path; anything else there is 404.
pub struct EndpointId(pub String);

impl PathParameter for EndpointId {
    fn from_segment(text: &str) -> Option<Self> {
        id::is("ep", text).then(|| EndpointId(text.to_string()))
    }
}

/// Why an endpoint gets nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A client asked for it.
    Requested,
    /// It answered 410.
    Gone,
    /// For days no attempt succeeded.
    Failing,
}

impl Reason {
    pub fn name(self) -> &'static str {
        match self {
            Reason::Requested => "requested",
            Reason::Gone => "gone",
            Reason::Failing => "failing",
        }
    }
}

impl Endpoint {
    /// The endpoint as clients see it.
    pub fn to_json(&self) -> Map<String, Value> {
        let mut members = sql::to_json(self);
        let warnings = destination::warnings(&self.url, &self.header_names);
        members.insert("warnings".into(), warnings.into());
        members
    }

    /// The endpoint for the statements that write one.
    pub fn row(&self) -> Json {
        Json(Value::Object(sql::to_json(self)))
    }

    /// Counts a change.
    pub fn touch(&mut self, now: Timestamp) {
        self.version += 1;
        self.updated_at = now.max(self.updated_at);
    }

    /// The answer that shows it, with its version as the ETag.
    pub fn answer(&self, status: u16) -> Answer {
        let response = Response::json(status, &self.to_json())?;
        Ok(response.header("etag", &self.etag()))
    }

    /// The version as an entity tag.
    pub fn etag(&self) -> String {
        etag::of_version(self.version)
    }

    /// Enables it, or disables it for that reason.
    pub fn switch(&mut self, off: Option<Reason>, now: Timestamp) {
        self.enabled = off.is_none();
        self.disabled_reason = off.map(|reason| reason.name().to_string());
        self.disabled_at = off.map(|_| now);
    }

    /// 409 where it is disabled, for then nothing is sent.
    pub fn require_enabled(&self) -> Result<(), Problem> {
        let detail = "the endpoint is disabled; enable it first";
        match self.enabled {
            true => Ok(()),
            false => {
                Err(Problem::new(409, "endpoint-disabled", "Endpoint disabled").detail(detail))
            }
        }
    }
}

pub fn url(fields: &mut Fields) -> Field<'_, String> {
    let url = fields.text("url").length(1..=destination::URL_CHARS_MAX);
    url.check_with("invalid_url", |url| destination::unclear(url))
}

pub fn description(fields: &mut Fields) -> Field<'_, String> {
    fields.text("description").length(0..=1000)
}

/// Sorted and each once.
pub fn event_types(fields: &mut Fields) -> Field<'_, Vec<String>> {
    let wrong = "each must be the name of an event type, a prefix such as `invoice.*`, or `*`";
    let field = fields.texts("event_types").count(0..=EVENT_TYPES_MAX);
    field.convert("not_allowed", wrong, |mut patterns| {
        patterns.sort_unstable();
        patterns.dedup();
        patterns
            .iter()
            .all(|text| topic::is_pattern(text))
            .then_some(patterns)
    })
}

pub fn rate(fields: &mut Fields) -> Field<'_, i64> {
    fields.integer("rate_per_second").range(1..=1000)
}

pub fn metadata(fields: &mut Fields) -> Field<'_, Map<String, Value>> {
    let holds = |metadata: &Map<String, Value>| fits(&Value::Object(metadata.clone()));
    fields
        .object("metadata")
        .check("too_long", "this must be at most 4 KiB", holds)
}

/// Whether metadata is within its bound.
pub fn fits(metadata: &Value) -> bool {
    metadata.to_string().len() <= METADATA_BYTES_MAX
}

//! The ticket and the rules for its fields.

use hearth_plugin::etag;
use hearth_plugin::fields::Field;
use hearth_plugin::prelude::*;
use hearth_plugin::router::PathParameter;

use crate::sla::looks::Looks;
use crate::sla::tier;

/// The scope of keys that belong to support staff.
pub const AGENT: &str = "agent";

/// Bytes of a ticket's custom fields at most, as JSON text. With the other
/// bounds it keeps a page of a hundred tickets below the host's limits.
const CUSTOM_FIELDS_BYTES_MAX: usize = 16 * 1024;
/// Tags of a ticket at most.
pub const TAGS_MAX: usize = 50;

row! {
    /// A whole ticket.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Ticket {
        id: String,
        version: i64,
        status: String,
        priority: String,
        r#type: Option<String>,
        subject: String,
        description: String,
        assignee: Option<String>,
        external_id: Option<String>,
        requester: Option<Json>,
        tags: Vec<String>,
        custom_fields: Json,
        satisfaction: Option<String>,
        satisfaction_comment: Option<String>,
        merged_into: Option<String>,
        created_at: Timestamp,
        updated_at: Timestamp,
        solved_at: Option<Timestamp>,
    }

    /// A ticket in a list: without its description, of which a page could hold
    /// more than a response may.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Summary {
        id: String,
        version: i64,
        status: String,
        priority: String,
        r#type: Option<String>,
        subject: String,
        assignee: Option<String>,
        external_id: Option<String>,
        requester: Option<Json>,
        tags: Vec<String>,
        custom_fields: Json,
        satisfaction: Option<String>,
        satisfaction_comment: Option<String>,
        merged_into: Option<String>,
        created_at: Timestamp,
        updated_at: Timestamp,
        solved_at: Option<Timestamp>,
    }

    /// What a ticket has since it was written.
    pub struct Stamp {
        id: String,
        version: i64,
        created_at: Timestamp,
        updated_at: Timestamp,
        solved_at: Option<Timestamp>,
        /// Where it is short enough for an event.
        short_description: Option<String>,
    }
}

/// The id of a ticket in a path; anything else there is 404.
pub struct TicketId(pub String);

impl PathParameter for TicketId {
    fn from_segment(text: &str) -> Option<Self> {
        id::is("tkt", text).then(|| TicketId(text.to_string()))
    }
}

impl Ticket {
    /// What changes of a ticket, and its description, which never does.
    pub fn split(self) -> (Summary, String) {
        let summary = Summary {
            id: self.id,
            version: self.version,
            status: self.status,
            priority: self.priority,
            r#type: self.r#type,
            subject: self.subject,
            assignee: self.assignee,
            external_id: self.external_id,
            requester: self.requester,
            tags: self.tags,
            custom_fields: self.custom_fields,
            satisfaction: self.satisfaction,
            satisfaction_comment: self.satisfaction_comment,
            merged_into: self.merged_into,
            created_at: self.created_at,
            updated_at: self.updated_at,
            solved_at: self.solved_at,
        };
        (summary, self.description)
    }
}

impl Summary {
    /// The ticket in the answer of a list.
    pub fn to_json(&self) -> Value {
        with_ticket_id(sql::to_json(self))
    }

    /// The whole ticket; without its description where that was not read.
    pub fn whole(&self, description: Option<&str>) -> Value {
        with_ticket_id(self.members(description))
    }

    /// Its members, but for the id that old clients read.
    pub fn members(&self, description: Option<&str>) -> Map<String, Value> {
        let mut members = sql::to_json(self);
        if let Some(description) = description {
            members.insert("description".into(), description.into());
        }
        members
    }

    /// The answer that shows the whole ticket, with its version as the ETag.
    pub fn answer(&self, status: u16, description: &str) -> Answer {
        let response = Response::json(status, &self.whole(Some(description)))?;
        Ok(response.header("etag", &self.etag()))
    }

    /// The version as an entity tag.
    pub fn etag(&self) -> String {
        etag::of_version(self.version)
    }

    /// Takes over what Postgres wrote.
    pub fn stamp(&mut self, stamp: &Stamp) {
        self.version = stamp.version;
        self.created_at = stamp.created_at;
        self.updated_at = stamp.updated_at;
        self.solved_at = stamp.solved_at;
    }
}

/// Old clients read `ticket_id`.
pub fn with_ticket_id(mut ticket: Map<String, Value>) -> Value {
    let id = ticket.get("id").cloned().unwrap_or_default();
    ticket.insert("ticket_id".into(), id);
    Value::Object(ticket)
}

pub fn subject(fields: &mut Fields) -> Field<'_, String> {
    fields.text("subject").length(1..=255)
}

/// Every priority, the least first.
pub const PRIORITIES: [&str; 4] = ["low", "normal", "high", "urgent"];

/// Old clients say `medium`, which is stored and answered as `normal`.
pub fn known_priority(text: &str) -> Option<&'static str> {
    match text {
        "medium" => Some("normal"),
        text => PRIORITIES.into_iter().find(|known| *known == text),
    }
}

pub fn priority(field: Field<'_, String>) -> Field<'_, String> {
    field.convert(
        "not_allowed",
        "this must be one of low, normal, medium, high, urgent",
        |text| known_priority(&text).map(String::from),
    )
}

pub fn kind(fields: &mut Fields) -> Field<'_, String> {
    fields.text("type").length(1..=64)
}

pub fn external_id(fields: &mut Fields) -> Field<'_, String> {
    fields.text("external_id").length(1..=255)
}

pub fn assignee(fields: &mut Fields) -> Field<'_, String> {
    fields.text("assignee").length(1..=255)
}

/// Tags, sorted and each once.
pub fn tags(fields: &mut Fields) -> Field<'_, Vec<String>> {
    let field = fields.texts("tags").count(0..=TAGS_MAX).each_length(1..=64);
    field.convert("not_allowed", "these are not valid tags", |tags| {
        Some(sorted(tags))
    })
}

pub fn sorted(mut tags: Vec<String>) -> Vec<String> {
    tags.sort_unstable();
    tags.dedup();
    tags
}

pub fn custom_fields(fields: &mut Fields) -> Field<'_, Map<String, Value>> {
    fields
        .object("custom_fields")
        .check("too_long", "this must be at most 16 KiB", fits)
}

/// Whether custom fields are within their bound.
pub fn fits(custom_fields: &Map<String, Value>) -> bool {
    Value::Object(custom_fields.clone()).to_string().len() <= CUSTOM_FIELDS_BYTES_MAX
}

/// Who does something, as comments and audits remember it; the tier of its customer,
/// by which the clocks of tickets go; and when those are looked at.
pub struct Author<'r> {
    pub key_id: &'r str,
    pub is_agent: bool,
    pub tier: String,
    pub looks: Looks,
}

impl<'r> Author<'r> {
    /// To be called outside of transactions: it may wait for another request.
    pub fn of(request: &'r Request) -> Result<Self, Problem> {
        let caller = request.caller()?;
        let database = request.database();
        Ok(Author {
            key_id: &caller.key_id,
            is_agent: caller.has_scope(AGENT),
            tier: tier::of_caller(&database)?,
            looks: Looks::of_caller(&database)?,
        })
    }
}

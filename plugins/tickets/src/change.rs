//! Changes a ticket.

use hearth_plugin::prelude::*;

use crate::ticket::{self, AGENT, Summary, TicketId};
use crate::{requester, status, write};

/// `PATCH /tickets/{id}`: fields that are absent stay; `null` clears type, assignee,
/// external_id, requester and custom_fields. The last two are merged at every depth (RFC 7396), so that
/// `null` takes the member away that it stands for. The row is locked from reading to
/// commit, so that no concurrent change is lost or missing in the audits.
pub fn change(request: &Request, id: TicketId) -> Answer {
    let patch = Patch::read(request.fields()?)?;
    if patch.assignee != Change::Keep {
        request.require_scope(AGENT)?;
    }
    write::one(request, &id, |before| Ok(patch.apply(before)?.into()))
}

/// What a client wants changed.
#[derive(Debug)]
pub struct Patch {
    pub subject: Option<String>,
    pub status: Option<String>,
    pub priority: Option<String>,
    pub kind: Change<String>,
    pub assignee: Change<String>,
    pub external_id: Change<String>,
    pub requester: Change<Map<String, Value>>,
    pub tags: Option<Vec<String>>,
    pub custom_fields: Change<Map<String, Value>>,
}

impl Patch {
    /// Reads the changes that a client asks for, with any scopes.
    pub fn read(mut fields: Fields) -> Result<Self, Problem> {
        let patch = Patch {
            subject: ticket::subject(&mut fields).optional(),
            status: fields.text("status").one_of(&status::ALL).optional(),
            priority: ticket::priority(fields.text("priority")).optional(),
            kind: ticket::kind(&mut fields).change(),
            assignee: ticket::assignee(&mut fields).change(),
            external_id: ticket::external_id(&mut fields).change(),
            requester: requester::read(&mut fields),
            tags: ticket::tags(&mut fields).optional(),
            custom_fields: ticket::custom_fields(&mut fields).change(),
        };
        fields.finish()?;
        Ok(patch)
    }

    /// The ticket as it shall be; 409 where its status cannot become that.
    pub fn apply(&self, before: &Summary) -> Result<Summary, Problem> {
        let mut after = before.clone();
        set(&mut after.subject, &self.subject);
        set(&mut after.priority, &self.priority);
        set(&mut after.tags, &self.tags);
        replace(&mut after.r#type, &self.kind);
        replace(&mut after.assignee, &self.assignee);
        replace(&mut after.external_id, &self.external_id);
        match &self.requester {
            Change::Keep => {}
            Change::Clear => after.requester = None,
            Change::Set(members) => {
                after.requester = requester::merged(before.requester.as_ref(), members);
            }
        }
        match &self.custom_fields {
            Change::Keep => {}
            Change::Clear => after.custom_fields = Json(json!({})),
            Change::Set(patch) => after.custom_fields = merge(&before.custom_fields, patch)?,
        }
        if let Some(to) = &self.status {
            if !status::may_become(&before.status, to) {
                return Err(status::illegal(&before.status, to));
            }
            after.status.clone_from(to);
        }
        Ok(after)
    }
}

fn set<T: Clone>(field: &mut T, value: &Option<T>) {
    if let Some(value) = value {
        field.clone_from(value);
    }
}

fn replace(field: &mut Option<String>, change: &Change<String>) {
    match change {
        Change::Keep => {}
        Change::Clear => *field = None,
        Change::Set(value) => *field = Some(value.clone()),
    }
}

/// The custom fields with a patch merged into them; 422 where they are too many then.
fn merge(before: &Json, patch: &Map<String, Value>) -> Result<Json, Problem> {
    let mut merged = before.clone();
    hearth_plugin::json::merge(&mut merged.0, patch);
    if !merged.0.as_object().is_some_and(ticket::fits) {
        let detail = "the custom fields would be too large: at most 16 KiB are allowed";
        return Err(Problem::new(422, "too-large", "Too many custom fields").detail(detail));
    }
    Ok(merged)
}

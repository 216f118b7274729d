//! Adds and removes single tags. As in Zendesk, PUT adds tags to those of the ticket,
//! DELETE removes some, and a PATCH of the ticket sets all of them.

use hearth_plugin::prelude::*;

use crate::ticket::{self, Summary, TAGS_MAX, TicketId};
use crate::write;

/// `PUT /tickets/{id}/tags`: 409 where the ticket would have more than 50, for it is
/// what the ticket has already that is in the way (RFC 9110, section 15.5.10).
pub fn add(request: &Request, id: TicketId) -> Answer {
    let added = read(request)?;
    set(request, &id, |tags| {
        let all = ticket::sorted(tags.iter().chain(&added).cloned().collect());
        if all.len() > TAGS_MAX {
            let detail = format!(
                "the ticket would have {} tags; at most 50 are allowed",
                all.len()
            );
            return Err(Problem::new(409, "too-many-tags", "Too many tags").detail(detail));
        }
        Ok(all)
    })
}

/// `DELETE /tickets/{id}/tags`: tags that the ticket has not are no mistake.
pub fn remove(request: &Request, id: TicketId) -> Answer {
    let removed = read(request)?;
    set(request, &id, |tags| {
        let kept = tags.iter().filter(|tag| !removed.contains(tag));
        Ok(kept.cloned().collect())
    })
}

fn read(request: &Request) -> Result<Vec<String>, Problem> {
    let mut fields = request.fields()?;
    let tags = ticket::tags(&mut fields).required();
    fields.finish()?;
    Ok(tags)
}

fn set(
    request: &Request,
    id: &TicketId,
    wanted: impl Fn(&[String]) -> Result<Vec<String>, Problem>,
) -> Answer {
    let (edit, _) = write::locked(request, id, |before| {
        let tags = wanted(&before.tags)?;
        let after = Summary {
            tags,
            ..before.clone()
        };
        Ok(after.into())
    })?;
    let response = Response::json(200, &json!({"tags": edit.after.tags}))?;
    Ok(response.header("etag", &edit.after.etag()))
}

//! Ratings: a customer rates a solved ticket, or opens it again.

use hearth_plugin::prelude::*;

use crate::ticket::{AGENT, Summary, TicketId};
use crate::{status, write};

/// `POST /tickets/{id}/satisfaction`: by customers, of what is solved or closed.
/// A later rating replaces an earlier one; the audits keep both.
pub fn rate(request: &Request, id: TicketId) -> Answer {
    let mut fields = request.fields()?;
    let score = fields.text("score").one_of(&["good", "bad"]).required();
    let comment = fields.text("comment").length(1..=2000).optional();
    fields.finish()?;
    if request.has_scope(AGENT) {
        return Err(Problem::forbidden("an agent's key cannot rate a ticket"));
    }
    write::one(request, &id, |before| {
        if !matches!(before.status.as_str(), "solved" | "closed") {
            let detail = "only a solved or closed ticket can be rated";
            return Err(Problem::new(409, "not-solved", "The ticket is not solved").detail(detail));
        }
        let after = Summary {
            satisfaction: Some(score.clone()),
            satisfaction_comment: comment.clone(),
            ..before.clone()
        };
        Ok(write::TicketUpdate {
            closed_too: true,
            ..after.into()
        })
    })
}

/// `POST /tickets/{id}/reopen`: from solved to open. 409 from anything else.
pub fn reopen(request: &Request, id: TicketId) -> Answer {
    if !request.body().is_empty() {
        request.fields()?.finish()?;
    }
    write::one(request, &id, |before| {
        status::refuse_closed(&before.status)?;
        if before.status != "solved" {
            return Err(status::illegal(&before.status, "open")
                .detail("only a solved ticket can be opened again"));
        }
        let after = Summary {
            status: "open".into(),
            ..before.clone()
        };
        Ok(after.into())
    })
}

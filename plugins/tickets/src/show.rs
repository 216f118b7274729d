//! Reading one ticket.

use hearth_plugin::prelude::*;

use crate::include::{COMMENTS_BY_ITSELF, Include};
use crate::sql::ticket_by_id;
use crate::ticket::{Ticket, TicketId, with_ticket_id};

/// `GET /tickets/{id}`: with its comments too, where they are wanted.
pub fn show(request: &Request, id: TicketId) -> Answer {
    let mut query = request.query()?;
    let include = Include::read(&mut query);
    query.finish()?;
    let (ticket, description) = find(request, &id)?.split();
    let mut tickets = [ticket.members(Some(&description))];
    include.comments(request, &mut tickets, COMMENTS_BY_ITSELF)?;
    let [members] = tickets;
    let response = Response::json(200, &with_ticket_id(members))?;
    // An internal comment leaves the version as it is, so that is not the tag of an answer
    // which shows it: the host makes one of what there is in it.
    Ok(match include.comments {
        true => response,
        false => response.header("etag", &ticket.etag()),
    })
}

/// The ticket, or 404: it is not there, or it is another customer's.
pub fn find(request: &Request, TicketId(id): &TicketId) -> Result<Ticket, Problem> {
    ticket_by_id(&request.database(), id)?.ok_or_else(Problem::not_found)
}

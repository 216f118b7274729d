//! Reading one ticket.

use hearth_plugin::prelude::*;

use crate::sql::ticket_by_id;
use crate::ticket::{Ticket, TicketId};

/// `GET /tickets/{id}`.
pub fn show(request: &Request, id: TicketId) -> Answer {
    let (ticket, description) = find(request, &id)?.split();
    ticket.answer(200, &description)
}

/// The ticket, or 404: it is not there, or it is another customer's.
pub fn find(request: &Request, TicketId(id): &TicketId) -> Result<Ticket, Problem> {
    ticket_by_id(&request.database(), id)?.ok_or_else(Problem::not_found)
}

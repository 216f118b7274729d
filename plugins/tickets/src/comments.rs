//! Comments on a ticket: public ones, and internal ones which only agents write
//! and see.

use hearth_plugin::cursor::Binding;
use hearth_plugin::prelude::*;

use crate::sql::{comments_of, insert_audit, insert_comment, lock_ticket, touch_ticket};
use crate::ticket::{AGENT, Author, TicketId};
use crate::{audits, show, status};

row! {
    /// A comment.
    pub struct Comment {
        id: String,
        ticket_id: String,
        public: bool,
        body: String,
        author: String,
        by_agent: bool,
        created_at: Timestamp,
    }

    /// A comment of a page, and how many the page would have had if long ones did
    /// not shorten it.
    pub struct Listed {
        id: String,
        ticket_id: String,
        public: bool,
        body: String,
        author: String,
        by_agent: bool,
        created_at: Timestamp,
        fetched: i64,
    }
}

/// `POST /tickets/{id}/comments`: 201.
pub fn create(request: &Request, TicketId(id): TicketId) -> Answer {
    let mut fields = request.fields()?;
    let body = fields.text("body").length(1..=65_536).required();
    let public = fields.boolean("public").or(true);
    fields.finish()?;
    if !public {
        request.require_scope(AGENT)?;
    }
    let author = Author::of(request)?;
    request
        .database()
        .transaction(Isolation::ReadCommitted, |tx| {
            let ticket = lock_ticket(tx, &id)?.ok_or_else(Problem::not_found)?;
            status::refuse_closed(&ticket.status)?;
            let comment_id = id::new("cmt");
            let (key, is_agent) = (author.key_id, author.is_agent);
            let comment = insert_comment(tx, &comment_id, &id, public, &body, key, is_agent)?;
            let events = audits::commented(&comment_id, public);
            insert_audit(tx, &id::new("aud"), &id, public, &events, key, is_agent)?;
            touch_ticket(tx, &id)?;
            Response::json(201, &comment)
        })
}

/// `GET /tickets/{id}/comments`: the oldest first. A page ends early rather than
/// grow past what a response may hold.
pub fn list(request: &Request, id: TicketId) -> Answer {
    let mut query = request.query()?;
    let paging = Paging::read(&mut query);
    if paging.page().is_some() {
        query.refuse("page", "not_allowed", "comments have a cursor and no pages");
    }
    query.finish()?;
    let binding = Binding::new(&[&request.caller()?.customer_id, "comments", &id.0]);
    let [after] = paging.keys(binding)?.unwrap_or_default();
    show::find(request, &id)?;
    let is_agent = request.has_scope(AGENT);
    let mut comments = comments_of(&request.database(), &id.0, is_agent, &after, paging.fetch())?;
    let cut_by_bytes = comments.first().is_some_and(|first| {
        usize::try_from(first.fetched).is_ok_and(|fetched| fetched > comments.len())
    });
    let more = paging.cut(&mut comments) || cut_by_bytes;
    let next = comments
        .last()
        .filter(|_| more)
        .map(|comment| binding.encode(&[&comment.id]));
    let comments: Vec<_> = comments.iter().map(to_json).collect();
    let body = json!({"comments": comments, "has_more": more, "next_cursor": next});
    Ok(paging.link(request, next.as_deref(), Response::json(200, &body)?))
}

fn to_json(comment: &Listed) -> Map<String, Value> {
    let mut members = sql::to_json(comment);
    members.remove("fetched");
    members
}

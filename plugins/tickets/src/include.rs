//! What `include=` adds to tickets: their descriptions, and their comments.
//!
//! A page with descriptions ends early rather than exceed the limit of a response; of
//! its comments a ticket has the first, and the cursor of the others.

use std::collections::HashMap;

use hearth_plugin::cursor::Binding;
use hearth_plugin::prelude::*;

use crate::comments;
use crate::sql::descriptions;
use crate::sql::lists::ListedTicket;
use crate::sql::notes::{Commented, comments_of_all};
use crate::ticket::AGENT;

/// Comments of each ticket of a list at most.
pub const COMMENTS_IN_LIST: usize = 20;
/// Comments of a ticket by itself at most: a page of them.
pub const COMMENTS_BY_ITSELF: usize = 100;

/// What a client wants to have with tickets.
#[derive(Clone, Copy, Debug, Default)]
pub struct Include {
    pub descriptions: bool,
    pub comments: bool,
}

impl Include {
    pub fn read(query: &mut Query) -> Self {
        let known = |names: Vec<String>| {
            let mut include = Include::default();
            for name in names {
                match name.as_str() {
                    "description" => include.descriptions = true,
                    "comments" => include.comments = true,
                    _ => return None,
                }
            }
            Some(include)
        };
        let names = query.list("include");
        let include = names.convert(
            "not_allowed",
            "this must be one or more of description, comments",
            known,
        );
        include.or(Include::default())
    }

    /// Shortens a page to the tickets whose descriptions fit into a response, and
    /// answers those, and whether it is shorter.
    pub fn descriptions(
        self,
        database: &Database,
        tickets: &mut Vec<ListedTicket>,
    ) -> Result<(HashMap<String, String>, bool), sql::Error> {
        if !self.descriptions || tickets.is_empty() {
            return Ok((HashMap::new(), false));
        }
        let ids: Vec<String> = tickets.iter().map(|ticket| ticket.id.clone()).collect();
        let found = descriptions(database, &ids)?;
        let last = found.last().map(|last| last.id.clone());
        let fitting = ids.iter().position(|id| Some(id) == last.as_ref());
        let fitting = fitting.map_or(ids.len(), |place| place + 1);
        tickets.truncate(fitting);
        let found = found.into_iter().map(|one| (one.id, one.description));
        Ok((found.collect(), fitting < ids.len()))
    }

    /// Adds to tickets, as they are answered, the first of their comments.
    pub fn comments(
        self,
        request: &Request,
        tickets: &mut [Map<String, Value>],
        number: usize,
    ) -> Result<(), Problem> {
        if !self.comments || tickets.is_empty() {
            return Ok(());
        }
        let ids: Vec<String> = tickets.iter().map(id_of).collect();
        let (is_agent, limit) = (request.has_scope(AGENT), number + 1);
        let limit = i64::try_from(limit).unwrap_or_default();
        let found = comments_of_all(&request.database(), &ids, is_agent, limit)?;
        let is_cut = found
            .first()
            .is_some_and(|first| is_more(first.total, found.len()));
        let last = found.last().map(|last| last.ticket_id.clone());
        let mut is_behind = false;
        for (ticket, id) in tickets.iter_mut().zip(&ids) {
            let own = found.iter().filter(|comment| comment.ticket_id == *id);
            let own: Vec<&Commented> = own.collect();
            let shown: Vec<&Commented> = own.into_iter().take(number).collect();
            // Of those behind the last that fitted nobody knows whether they have any.
            let next = rest(&shown).or((is_cut && is_behind).then(String::new));
            is_behind |= last.as_ref() == Some(id);
            let binding = Binding::of(request, &["comments", id])?;
            let next = next.map(|after| binding.encode(&[&after]));
            let shown: Vec<_> = shown
                .iter()
                .map(|comment| comments::to_json(*comment))
                .collect();
            ticket.insert("comments".into(), json!(shown));
            ticket.insert("comments_next_cursor".into(), json!(next));
        }
        Ok(())
    }
}

fn id_of(ticket: &Map<String, Value>) -> String {
    let id = ticket.get("id").and_then(Value::as_str);
    id.unwrap_or_default().to_string()
}

fn is_more(number: i64, shown: usize) -> bool {
    usize::try_from(number).is_ok_and(|number| number > shown)
}

/// The id behind which a ticket has further comments.
fn rest(shown: &[&Commented]) -> Option<String> {
    let last = shown.last()?;
    is_more(last.fetched, shown.len()).then(|| last.id.clone())
}

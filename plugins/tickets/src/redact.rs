//! Redacts a text in all parts of a ticket: a card number, an address.

use hearth_plugin::prelude::*;

use crate::events::Event;
use crate::outbox::Outbox;
use crate::sql::erasure::{redact_audits, redact_comments, redact_ticket};
use crate::sql::feed::mark_changed;
use crate::sql::terms::{remove_terms, write_terms};
use crate::sql::{insert_audits, lock_ticket};
use crate::ticket::{AGENT, Author, Stamp, Summary, TicketId};
use crate::{audits, fold};

/// The replacement for each character (source: Zendesk, "Redacting ticket content").
const BLOCK: &str = "▇";

/// `POST /tickets/{id}/redact`: by agents, of closed tickets too. The text goes from
/// subject, description, requester, custom fields, the comment of the rating, all comments,
/// and from what the audits say of changes. 409 where none of them has it.
pub fn redact(request: &Request, TicketId(id): TicketId) -> Answer {
    request.require_scope(AGENT)?;
    let mut fields = request.fields()?;
    let text = fields.text("text").length(1..=1_000).required();
    fields.finish()?;
    let author = Author::of(request)?;
    let database = request.database();
    let redaction = Redaction::new(&text);
    let (ticket, description) = Outbox::run(|outbox| {
        database.transaction(Isolation::ReadCommitted, |tx| {
            let ticket = lock_ticket(tx, &id)?.ok_or_else(Problem::not_found)?;
            let (before, description) = ticket.split();
            request.check_preconditions(Some(&before.etag()))?;
            let mut redacted = redaction.of(&before, &description);
            let stamp = write(tx, &before, &redacted, &redaction, &author)?;
            redacted.ticket.stamp(&stamp);
            let event = Event::redacted(&redacted.ticket, stamp.short_description.as_deref());
            outbox.send(tx, &[event], &[])?;
            Ok::<_, Problem>((redacted.ticket, redacted.description))
        })
    })?;
    ticket.answer(200, &description)
}

/// A text and its replacement.
struct Redaction<'t> {
    text: &'t str,
    block: String,
}

/// A ticket without the text.
struct Redacted {
    ticket: Summary,
    description: String,
    /// Whether the ticket itself had it.
    is_changed: bool,
}

impl<'t> Redaction<'t> {
    fn new(text: &'t str) -> Self {
        let block = BLOCK.repeat(text.chars().count());
        Redaction { text, block }
    }

    fn of(&self, before: &Summary, description: &str) -> Redacted {
        let without = |text: &String| text.replace(self.text, &self.block);
        let ticket = Summary {
            subject: without(&before.subject),
            requester: before
                .requester
                .as_ref()
                .map(|requester| self.of_json(requester)),
            custom_fields: self.of_json(&before.custom_fields),
            satisfaction_comment: before.satisfaction_comment.as_ref().map(without),
            ..before.clone()
        };
        Redacted {
            is_changed: ticket != *before || description.contains(self.text),
            description: description.replace(self.text, &self.block),
            ticket,
        }
    }

    /// Within all texts of a value; names of members stay.
    fn of_json(&self, Json(value): &Json) -> Json {
        Json(self.of_value(value))
    }

    fn of_value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => text.replace(self.text, &self.block).into(),
            Value::Array(items) => items.iter().map(|item| self.of_value(item)).collect(),
            Value::Object(members) => {
                let members = members.iter();
                let members = members.map(|(name, value)| (name.clone(), self.of_value(value)));
                Value::Object(members.collect())
            }
            value => value.clone(),
        }
    }
}

/// Writes a ticket without the text, and its comments and audits.
fn write(
    tx: &Transaction,
    before: &Summary,
    redacted: &Redacted,
    redaction: &Redaction<'_>,
    author: &Author<'_>,
) -> Result<Stamp, Problem> {
    let (id, now) = (&before.id, Timestamp::now());
    let comments = redact_comments(tx, id, redaction.text, &redaction.block)?;
    let audits = redact_audits(tx, id, Some(&in_json(redaction.text)))?;
    if comments + audits == 0 && !redacted.is_changed {
        return Err(missing());
    }
    let (ticket, description) = (&redacted.ticket, &redacted.description);
    let stamp = redact_ticket(
        tx,
        id,
        &ticket.subject,
        description,
        ticket.requester.as_ref(),
        &ticket.custom_fields,
        ticket.satisfaction_comment.as_deref(),
        now,
    )?;
    if redacted.is_changed {
        remove_terms(tx, id)?;
        write_terms(tx, id, &fold::vector(&ticket.subject, description))?;
    }
    let audit = Json(json!([audits::new(id, true, audits::redacted())]));
    insert_audits(tx, &audit, author.key_id, author.is_agent, now)?;
    mark_changed(tx, std::slice::from_ref(id))?;
    Ok(stamp)
}

/// The text as it stands within a text of JSON, without the quotation marks.
fn in_json(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    let inner = quoted
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    inner.unwrap_or_default().to_string()
}

/// 409, as the state of the ticket prevents it (RFC 9110, section 15.5.10): a client
/// that mistyped the text must learn that it is still there.
fn missing() -> Problem {
    let detail = "this text was not found in the ticket, its comments or its audits";
    Problem::new(409, "text-not-found", "Text not found").detail(detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_goes_from_all_values_and_from_no_name() {
        let fields = json!({"Ada": ["Ada L.", {"by": "not Ada"}, 7], "n": null});
        let redacted = Redaction::new("Ada").of_json(&Json(fields));
        let expected = json!({"Ada": ["▇▇▇ L.", {"by": "not ▇▇▇"}, 7], "n": null});
        assert_eq!(redacted, Json(expected));
    }

    #[test]
    fn text_is_looked_for_as_json_writes_it() {
        assert_eq!(in_json("say \"hi\"\n\u{1}é"), r#"say \"hi\"\n\u0001é"#);
    }
}

//! Delayed messages of the plugin to itself, through the queue `ticket-clocks`.

use std::time::Duration;

use hearth_plugin::consumer;
use hearth_plugin::prelude::*;
use hearth_plugin::queue::Message;

pub const QUEUE: &str = "ticket-clocks";

const MICROS_PER_MINUTE: i64 = super::calendar::MICROS_PER_MINUTE;
/// How long after the minute of a changed policy all clocks are gone through: longer
/// than any call that may still go by the old one.
const SETTLING: Duration = Duration::from_secs(15);

/// An order.
#[derive(Clone, Debug, PartialEq)]
pub enum Order {
    /// To look at all clocks of the customer that are due at an instant.
    Look { at: Timestamp },
    /// To go through the clocks of all tickets with ids after this one.
    Review { after: String },
    /// The same from the first ticket on, when this minute is over: one for however
    /// many changes of policies there are in it.
    ReviewSoon,
    /// To fold the next tickets that are not folded.
    Refold,
}

/// An id behind all tickets'.
const BEHIND_ALL: &str = "~";

impl Order {
    pub fn message(&self) -> Message {
        let now = Timestamp::now();
        match self {
            // Versions before this one look at a ticket that the order names, and may
            // consume it during a swap: they find no ticket of that id.
            Order::Look { at } => {
                let body = json!({"check": {"ticket_id": "", "at": at}});
                Message::json(&body).after(span(now, *at))
            }
            Order::Review { after } => Message::json(&json!({"review": {"after": after}})),
            // Versions before this one may consume it during a swap too: they find nothing
            // to review.
            Order::Refold => {
                Message::json(&json!({"review": {"after": BEHIND_ALL}, "refold": true}))
            }
            Order::ReviewSoon => {
                let minute = now.micros() / MICROS_PER_MINUTE + 1;
                let begins = Timestamp::from_micros(minute * MICROS_PER_MINUTE).after(SETTLING);
                let message = Message::json(&json!({"review": {"after": ""}}));
                message
                    .after(span(now, begins))
                    .once(&format!("review-{minute}"))
            }
        }
    }

    /// The order of a message; `None` where it is none. One that names a ticket was
    /// sent by a version before this one: its clocks are due at that instant too.
    pub fn read(message: &consumer::Message) -> Option<Self> {
        let body: Value = message.json()?;
        let text = |order: &str, name: &str| body.get(order)?.get(name)?.as_str();
        if body.get("refold").is_some() {
            return Some(Order::Refold);
        }
        if let Some(after) = text("review", "after") {
            let after = after.into();
            return Some(Order::Review { after });
        }
        let at = Timestamp::parse(text("check", "at")?)?;
        Some(Order::Look { at })
    }
}

/// The duration from now until then; zero if that is past. It is never rounded down: a
/// message that comes too early has to wait again.
pub fn span(now: Timestamp, then: Timestamp) -> Duration {
    let micros = then.micros().saturating_sub(now.micros());
    let millis = u64::try_from(micros).map_or(0, |micros| micros.div_ceil(1_000));
    Duration::from_millis(millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &Value) -> Option<Order> {
        Order::read(&consumer::Message {
            id: "m".into(),
            queue: QUEUE.into(),
            body: body.to_string().into_bytes(),
            attributes: Vec::new(),
            attempt: 1,
            sent_at: Timestamp::default(),
        })
    }

    #[test]
    fn order_is_read_as_it_was_written_by_this_version_or_one_before_it() {
        let at = Timestamp::from_micros(1_795_419_000_123_456);
        for ticket_id in ["", "tkt_1"] {
            let check = json!({"check": {"ticket_id": ticket_id, "at": at}});
            assert_eq!(read(&check), Some(Order::Look { at }));
        }
        let review = json!({"review": {"after": ""}});
        let after = String::new();
        assert_eq!(read(&review), Some(Order::Review { after }));
        let refold = json!({"review": {"after": BEHIND_ALL}, "refold": true});
        assert_eq!(read(&refold), Some(Order::Refold));
        for other in [
            json!({}),
            json!([]),
            json!({"check": {"ticket_id": "t", "at": "soon"}}),
        ] {
            assert_eq!(read(&other), None, "{other}");
        }
    }

    #[test]
    fn span_ends_at_the_instant_or_just_after_it() {
        let at = Timestamp::from_micros;
        assert_eq!(span(at(0), at(1_001)), Duration::from_millis(2));
        assert_eq!(span(at(5), at(5)), Duration::ZERO);
        assert_eq!(span(at(i64::MAX), at(i64::MIN)), Duration::ZERO);
    }
}

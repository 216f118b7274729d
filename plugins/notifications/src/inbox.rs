//! An inbox: whose notifications it has, and in which partition they are stored.

use hearth_plugin::prelude::*;
use serde::{Deserialize, Serialize};

/// Characters of a recipient at most: with what stands before it, the name of a
/// channel (`push.name_bytes_max`).
const RECIPIENT_MAX: usize = 100;

/// A customer's own inbox, or that of one of the people whom it names.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Inbox(Option<String>);

impl Inbox {
    /// The inbox of a recipient; the customer's own without one.
    #[cfg(test)]
    pub fn of(recipient: Option<String>) -> Self {
        Inbox(recipient)
    }

    /// The inbox of a request: `?recipient=`.
    pub fn read(query: &mut Query) -> Self {
        let recipient = query.text("recipient");
        let recipient = recipient.check("not_allowed", WRONG, |text| is_recipient(text));
        Inbox(recipient.optional())
    }

    /// The inbox of `recipient` in a body.
    pub fn field(fields: &mut Fields) -> Self {
        let recipient = fields.text("recipient");
        let recipient = recipient.check("not_allowed", WRONG, |text| is_recipient(text));
        Inbox(recipient.optional())
    }

    /// A request's inbox where the query has nothing else.
    pub fn alone(request: &Request) -> Result<Self, Problem> {
        let mut query = request.query()?;
        let inbox = Inbox::read(&mut query);
        query.finish()?;
        Ok(inbox)
    }

    /// `None` for the customer itself.
    pub fn recipient(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// Empty for the customer itself, which no recipient is.
    pub fn name(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }

    /// Where the notifications lie with all that is said of them. Listeners hear of
    /// them by a channel of the same name.
    pub fn partition(&self) -> String {
        ["inbox/", self.name()].concat()
    }

    /// The partition of notifications that are sent later.
    pub fn deferred_partition(&self) -> String {
        ["later/", self.name()].concat()
    }
}

const WRONG: &str = "this must be 1 to 100 letters, digits and . _ : @ + -";

/// Whether a text can name a recipient.
pub fn is_recipient(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._:@+-".contains(&byte);
    (1..=RECIPIENT_MAX).contains(&text.len()) && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipient_is_a_name_that_channels_take() {
        for name in ["a", "user:1", "ada@example.com", "+49-30"] {
            assert!(is_recipient(name), "{name}");
        }
        let long = "x".repeat(101);
        for name in ["", "a b", "a,b", "a/b", "a;b", "\u{e4}", "a\"", &long] {
            assert!(!is_recipient(name), "{name}");
        }
    }
}

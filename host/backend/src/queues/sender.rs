//! What a deployment may send, and whether a message can be sent at all.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::Queues;
use crate::pgqueue::Entry;
use crate::queue::{Config, Outgoing, QueueError};
use hearth_base::telemetry::{Span, SpanKind, TraceScope};

/// Characters of a group's name and of a deduplication id. Source: SQS.
const NAME_CHARS_MAX: usize = 128;

/// A message as a guest wrote it.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    pub body: Vec<u8>,
    pub attributes: Vec<(String, String)>,
    pub delay_ms: u64,
    pub group: Option<String>,
    pub deduplication_id: Option<String>,
}

/// What the host says of a message that a guest sends: none of it is the guest's.
#[derive(Clone, Debug, Default)]
pub struct MessageOrigin<'o> {
    pub customer: Option<&'o Arc<str>>,
    pub traceparent: Option<String>,
}

/// The queues that a deployment was granted. It stamps its plugin and the call's
/// customer on what is sent.
#[derive(Clone)]
pub struct Sender {
    lent: Option<Lent>,
}

#[derive(Clone)]
struct Lent {
    queues: Queues,
    config: Arc<Config>,
    plugin: Arc<str>,
    granted: Arc<[Arc<str>]>,
}

impl Sender {
    /// For a plugin, to the queues of these names.
    pub fn new(
        queues: &Queues,
        config: &Arc<Config>,
        plugin: &str,
        granted: impl IntoIterator<Item = String>,
    ) -> Sender {
        Sender {
            lent: Some(Lent {
                queues: queues.clone(),
                config: config.clone(),
                plugin: Arc::from(plugin),
                granted: granted.into_iter().map(Arc::from).collect(),
            }),
        }
    }

    /// May send nowhere.
    pub fn nobody() -> Sender {
        Sender { lent: None }
    }

    /// By its granted name: what a guest says of a queue that it has not is in no trace.
    fn granted(&self, queue: &str) -> Option<&Arc<str>> {
        let granted = self.lent.iter().flat_map(|lent| lent.granted.iter());
        granted.into_iter().find(|granted| &***granted == queue)
    }

    /// The span of sending to a queue, which its consumer's follows.
    pub fn span(&self, trace: &TraceScope, queue: &str) -> Span {
        let Some(queue) = self.granted(queue) else {
            return Span::default();
        };
        let mut span = trace.span(format_args!("send {queue}"), SpanKind::Producer);
        span.text("messaging.operation.type", "send");
        span.text("messaging.destination.name", queue);
        span
    }

    /// The message, stamped and ready to be sent.
    ///
    /// # Errors
    /// `Denied` without a grant, and what is wrong with the message.
    pub fn outgoing(
        &self,
        queue: &str,
        origin: &MessageOrigin<'_>,
        draft: Draft,
    ) -> Result<Outgoing, QueueError> {
        let (Some(lent), Some(queue)) = (&self.lent, self.granted(queue)) else {
            let name: String = queue.chars().take(80).collect();
            return Err(QueueError::Denied(format!("no grant for queue {name}")));
        };
        lent.config.check(&draft)?;
        let outgoing = Outgoing {
            queue: queue.clone(),
            plugin: lent.plugin.clone(),
            customer: origin.customer.cloned(),
            body: Bytes::from(draft.body),
            attributes: draft.attributes,
            traceparent: origin.traceparent.clone(),
            delay: Duration::from_millis(draft.delay_ms),
            group: draft.group,
            deduplication_id: draft.deduplication_id,
        };
        Ok(outgoing)
    }

    /// The same as an entry of the outbox, for a transaction to enqueue.
    ///
    /// # Errors
    /// As [`Sender::outgoing`], and where the queue is full.
    pub fn entry(
        &self,
        queue: &str,
        origin: &MessageOrigin<'_>,
        draft: Draft,
    ) -> Result<Entry, QueueError> {
        let outgoing = self.outgoing(queue, origin, draft)?;
        if let Some(queues) = self.queues() {
            queues.check(&outgoing)?;
        }
        Ok(Entry::new(outgoing))
    }

    /// The queues themselves, where anything was granted.
    pub fn queues(&self) -> Option<&Queues> {
        self.lent.as_ref().map(|lent| &lent.queues)
    }

    /// Whether so many messages, of so many bytes, are more than those of one call,
    /// batch or transaction may be.
    pub fn is_too_much(&self, messages: usize, bytes: usize) -> bool {
        let fits = |lent: &Lent| {
            messages <= lent.config.call_messages_max && bytes <= lent.config.call_bytes_max
        };
        messages > 0 && !self.lent.as_ref().is_some_and(fits)
    }
}

impl Config {
    fn check(&self, draft: &Draft) -> Result<(), QueueError> {
        let attributes = draft.attributes.iter();
        let beside: usize = attributes
            .map(|(name, value)| name.len() + value.len())
            .sum();
        if draft.body.len().saturating_add(beside) > self.message_bytes_max {
            return Err(QueueError::TooLarge);
        }
        self.check_attributes(&draft.attributes)?;
        check_name("group", draft.group.as_deref())?;
        check_name("deduplication id", draft.deduplication_id.as_deref())?;
        match draft.delay_ms > self.delay_ms_max {
            true => Err(invalid(format!(
                "the delay is too long: {} ms, and at most {} ms are allowed (queue.delay_ms_max)",
                draft.delay_ms, self.delay_ms_max
            ))),
            false => Ok(()),
        }
    }

    fn check_attributes(&self, attributes: &[(String, String)]) -> Result<(), QueueError> {
        let max = self.attributes_max;
        if attributes.len() > max {
            let reason = format!(
                "too many attributes: a message may have at most {max} (queue.attributes_max)"
            );
            return Err(invalid(reason));
        }
        for (index, (name, _)) in attributes.iter().enumerate() {
            let before = attributes.iter().take(index);
            if !is_attribute(name, self.attribute_name_bytes_max) {
                return Err(invalid(
                    "the name of an attribute is invalid: it must have letters, digits, '-', '_' \
                     and '.', and no '.' at its ends or twice in a row"
                        .into(),
                ));
            }
            if before.into_iter().any(|(other, _)| other == name) {
                return Err(invalid("two attributes have the same name".into()));
            }
        }
        Ok(())
    }
}

/// Source: SQS, which also keeps names that begin with `AWS.` or `Amazon.`.
fn is_attribute(name: &str, bytes_max: usize) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let lower = name.to_ascii_lowercase();
    (1..=bytes_max).contains(&name.len())
        && name.chars().all(plain)
        && !name.starts_with('.')
        && !name.ends_with('.')
        && !name.contains("..")
        && !lower.starts_with("aws.")
        && !lower.starts_with("amazon.")
}

/// Source: SQS, for groups and deduplication ids alike.
fn check_name(what: &str, name: Option<&str>) -> Result<(), QueueError> {
    let Some(name) = name else { return Ok(()) };
    let fits = (1..=NAME_CHARS_MAX).contains(&name.len());
    if fits && name.chars().all(|c| c.is_ascii_graphic()) {
        return Ok(());
    }
    Err(invalid(format!(
        "the {what} is invalid: it must have 1 to {NAME_CHARS_MAX} letters, digits and punctuation \
         marks of ASCII"
    )))
}

fn invalid(reason: String) -> QueueError {
    QueueError::Invalid(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(draft: Draft) -> Result<(), QueueError> {
        Config::default().check(&draft)
    }

    fn with_attributes(names: &[&str]) -> Draft {
        Draft {
            attributes: names
                .iter()
                .map(|name| (name.to_string(), "v".into()))
                .collect(),
            ..Draft::default()
        }
    }

    #[test]
    fn names_are_those_that_sqs_takes() {
        let long = "n".repeat(257);
        for names in [&["a"][..], &["event-id", "Event_Type", "x.y"], &[]] {
            assert_eq!(checked(with_attributes(names)), Ok(()), "{names:?}");
        }
        for names in [
            &[""][..],
            &[".a"],
            &["a."],
            &["a..b"],
            &["AWS.x"],
            &["a b"],
            &["é"],
            &["a", "a"],
            &[&long],
        ] {
            let told = checked(with_attributes(names));
            assert!(matches!(told, Err(QueueError::Invalid(_))), "{names:?}");
        }
        let many: Vec<String> = (0..11).map(|n| format!("a{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(checked(with_attributes(&many)).is_err());
        assert!(checked(with_attributes(&many[..10])).is_ok());
    }

    #[test]
    fn groups_and_deduplication_ids_are_short_and_plain() {
        for name in ["", "a b", "é", "a\0", &"x".repeat(129)] {
            for draft in [
                Draft {
                    group: Some(name.into()),
                    ..Draft::default()
                },
                Draft {
                    deduplication_id: Some(name.into()),
                    ..Draft::default()
                },
            ] {
                assert!(
                    matches!(checked(draft), Err(QueueError::Invalid(_))),
                    "{name:?}"
                );
            }
        }
    }

    #[test]
    fn attributes_count_towards_the_size_and_delays_end_somewhere() {
        let body = vec![0; 256 << 10];
        let full = Draft {
            body,
            ..Draft::default()
        };
        assert_eq!(checked(full.clone()), Ok(()));
        let more = Draft {
            attributes: vec![("a".into(), String::new())],
            ..full
        };
        assert_eq!(checked(more), Err(QueueError::TooLarge));
        let later = Draft {
            delay_ms: u64::MAX,
            ..Draft::default()
        };
        assert!(matches!(checked(later), Err(QueueError::Invalid(_))));
    }
}

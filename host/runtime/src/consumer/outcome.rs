//! What becomes of a message, from what its call came to.

use std::time::Duration;

use crate::plugin::call::Failure;
use crate::plugin::instance::Disposition;
use crate::plugin::manifest::Consumed;
use hearth_backend::queue::Settlement;

/// How a call of the guest ended.
pub(super) enum Outcome {
    /// One disposition a message, in order.
    Answered(Vec<Disposition>),
    /// The guest is to blame, and this is why.
    Failed(String),
    /// The host ended it: nobody is to blame.
    Cut,
    /// The host had no room for it after all.
    NoRoom,
}

impl Outcome {
    /// Judges what a call came to that had so many messages.
    pub(super) fn of(answer: Result<Vec<Disposition>, Failure>, messages: usize) -> Outcome {
        match answer {
            Ok(answer) if answer.len() == messages => Outcome::Answered(answer),
            Ok(answer) => {
                let given = answer.len();
                let reason = format!("the guest answered {given} dispositions to {messages}");
                Outcome::Failed(reason)
            }
            Err(Failure::Shed(_) | Failure::Exhausted(_)) => Outcome::NoRoom,
            Err(failure) => Outcome::Failed(failure.to_string()),
        }
    }
}

/// What the guest said.
pub(super) fn settlement(disposition: Disposition, reason_bytes_max: usize) -> Settlement {
    match disposition {
        Disposition::Done => Settlement::Done,
        Disposition::RetryAfterMs(ms) => Settlement::RetryAfter(Duration::from_millis(ms)),
        Disposition::DeadLetter(reason) => {
            Settlement::DeadLetter(shortened(reason, reason_bytes_max))
        }
    }
}

/// A message that is to blame for a failure: it comes again, until it has failed
/// as often as it may.
pub(super) fn failed(
    consumed: &Consumed,
    attempt: u32,
    reason: &str,
    reason_bytes_max: usize,
) -> Settlement {
    let reason = shortened(reason.to_owned(), reason_bytes_max);
    match attempt >= consumed.attempts_max {
        true => Settlement::DeadLetter(reason),
        false => Settlement::Failed {
            reason,
            delay: consumed.backoff(attempt),
        },
    }
}

/// Cut between two characters.
fn shortened(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        let cut = (0..=bytes_max).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(cut.unwrap_or(0));
    }
    text
}

/// As the log calls it.
pub(super) fn name(settlement: &Settlement) -> &'static str {
    match settlement {
        Settlement::Done => "done",
        Settlement::RetryAfter(_) => "retry",
        Settlement::Failed { .. } => "failed",
        Settlement::GiveBack => "given-back",
        Settlement::DeadLetter(_) => "dead-letter",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reason_is_cut_between_characters() {
        assert_eq!(shortened("abc".into(), 3), "abc");
        assert_eq!(shortened("aéb".into(), 2), "a");
        assert_eq!(shortened("é".into(), 0), "");
    }
}

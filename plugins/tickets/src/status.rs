//! The status of a ticket and its transitions, which are Zendesk's.

use hearth_plugin::prelude::*;

/// Every status.
pub const ALL: [&str; 6] = ["new", "open", "pending", "hold", "solved", "closed"];

/// The status of that name.
pub fn parse(text: &str) -> Option<&'static str> {
    ALL.into_iter().find(|known| *known == text)
}

/// Whether a customer's answer opens a ticket of that status: one that waits, or that
/// was thought to be done (source: Zendesk, "Updating and solving tickets").
pub fn waits_for_answer(status: &str) -> bool {
    matches!(status, "pending" | "hold" | "solved")
}

/// Whether a ticket may go from one status to another. A ticket is new once; a
/// solved one can be taken up again, or closed; a closed one stays as it is.
pub fn may_become(from: &str, to: &str) -> bool {
    match (from, to) {
        (from, to) if from == to => true,
        ("closed", _) | (_, "new") => false,
        (from, "closed") => from == "solved",
        _ => true,
    }
}

/// 409 for a transition that there is not.
pub fn illegal(from: &str, to: &str) -> Problem {
    Problem::new(409, "illegal-transition", "Illegal status transition")
        .detail(format!("a ticket cannot go from {from} to {to}"))
}

/// 409 where the ticket is closed: nothing about it changes any more.
pub fn refuse_closed(status: &str) -> Result<(), Problem> {
    if status != "closed" {
        return Ok(());
    }
    let detail = "a closed ticket cannot be changed; open a new one";
    Err(Problem::new(409, "ticket-closed", "The ticket is closed").detail(detail))
}

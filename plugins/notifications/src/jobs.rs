//! Work that is due later: delayed messages of the plugin to itself.

use std::time::Duration;

use hearth_plugin::documents::{self, Key};
use hearth_plugin::prelude::*;
use hearth_plugin::queue::{self, Message};
use serde::{Deserialize, Serialize};

use crate::announce;
use crate::digest::{self, Due};
use crate::entry;
use crate::flag::Kind;
use crate::inbox::Inbox;
use crate::message;
use crate::summary;
use crate::watermarks::Lines;

/// The queue.
const QUEUE: &str = "notification-digests";
/// Notifications of a message at most: each is looked up, and they may be large.
pub const IDS_MAX: usize = 25;
/// Messages of a call at most: `queue.call_messages_max`.
const MESSAGES_MAX: usize = 1_000;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Job {
    /// Quiet hours end: listeners hear of these.
    Tell { inbox: Inbox, ids: Vec<String> },
    /// A snooze ends, where it was not changed since. In microseconds since 1970.
    Wake {
        inbox: Inbox,
        id: String,
        until: i64,
    },
    /// The window of a digest ends.
    Digest(Due),
}

/// Has it done after so long.
pub fn send(job: &Job, delay: Duration) -> Result<(), Problem> {
    queue::send(QUEUE, Message::json(job).after(delay))?;
    Ok(())
}

/// The same of many, each with a result of its own, in order.
pub fn send_all(jobs: &[(Job, Duration)]) -> Vec<Result<(), Problem>> {
    let sent = jobs.chunks(MESSAGES_MAX).flat_map(|jobs| {
        let messages = jobs
            .iter()
            .map(|(job, delay)| Message::json(job).after(*delay));
        queue::send_many(QUEUE, messages.collect())
    });
    sent.map(|sent| Ok(sent.map(|_| ())?)).collect()
}

/// Does it. It may be done again.
pub fn work(customer: &str, job: &Job, now: Timestamp) -> Result<(), Problem> {
    match job {
        Job::Tell { inbox, ids } => {
            let lines = summary::load(inbox)?.lines;
            let shown = ids
                .iter()
                .map(|id| Ok(unread(inbox, id, &lines, now)?.map(|it| (id, it))));
            let shown: Result<Vec<_>, documents::Error> = shown.collect();
            publish(inbox, shown?.into_iter().flatten())
        }
        Job::Wake { inbox, id, until } => {
            let Some(entry) = entry::look_up(inbox, id)? else {
                return Ok(());
            };
            let is_due = entry.snooze().is_some_and(|snooze| snooze.until == *until);
            let lines = summary::load(inbox)?.lines;
            let is_there = is_due && lines.since(Kind::Archived, &entry).is_none();
            let shown = entry.shown(inbox, &lines, now).filter(|_| is_there);
            publish(inbox, shown.map(|shown| (id, shown)))
        }
        Job::Digest(due) => digest::close(customer, due, now),
    }
}

fn publish<'i>(
    inbox: &Inbox,
    shown: impl IntoIterator<Item = (&'i String, Value)>,
) -> Result<(), Problem> {
    let shown = shown.into_iter();
    let told = shown.map(|(id, shown)| (inbox.partition(), id.as_str(), shown));
    announce::publish(&told.collect::<Vec<_>>())
}

/// A notification as listeners hear of it after quiet hours, unless it has been dealt
/// with.
fn unread(
    inbox: &Inbox,
    id: &str,
    lines: &Lines,
    now: Timestamp,
) -> Result<Option<Value>, documents::Error> {
    let Some(entry) = entry::look_up(inbox, id)? else {
        return find_outside_inbox(inbox, id);
    };
    let is_done = [Kind::Archived, Kind::Read]
        .into_iter()
        .any(|kind| lines.since(kind, &entry).is_some());
    let is_quiet = is_done || entry.snoozed_until(now).is_some();
    Ok(entry.shown(inbox, lines, now).filter(|_| !is_quiet))
}

/// One that is of no inbox.
fn find_outside_inbox(inbox: &Inbox, id: &str) -> Result<Option<Value>, documents::Error> {
    let key = Key {
        partition: inbox.deferred_partition(),
        sort: id.into(),
    };
    let item = documents::get(&key)?;
    let message = item.and_then(|item| serde_json::from_value(item.attributes).ok());
    Ok(message.map(|message: message::Message| message.to_json(inbox, id, None)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn job_is_read_as_it_was_written() {
        for inbox in [Inbox::default(), Inbox::of(Some("user:1".into()))] {
            let due = Due {
                inbox: inbox.clone(),
                category: "a".into(),
                key: String::new(),
                due: 7,
            };
            let id = "ntf_1".to_string();
            let ids = vec![id.clone()];
            for job in [
                Job::Tell {
                    inbox: inbox.clone(),
                    ids,
                },
                Job::Wake {
                    inbox,
                    id,
                    until: 9,
                },
                Job::Digest(due),
            ] {
                let text = serde_json::to_string(&job).unwrap();
                assert_eq!(serde_json::from_str::<Job>(&text).unwrap(), job, "{text}");
            }
        }
    }
}

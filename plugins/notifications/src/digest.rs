//! Digests: notifications with the same key are gathered for a while and then sent as
//! one.
//!
//! The first one opens a window, and a delayed message closes it. In the last seconds
//! of the window none is added, so that every one that was added has been written when
//! the window is read. What was gathered stays for a day, so a digest that is built
//! again is the same. A notification that is sent again while its window is open counts
//! once; after that it is gathered again.
//!
//! The item that says until when a window is open expires as late. Closing does not
//! delete it, for by then it may belong to the next window.

use std::collections::BTreeMap;
use std::time::Duration;

use hearth_plugin::documents::{self, Change, Condition, Error, Item, Key, Range, RawItem};
use hearth_plugin::prelude::*;
use serde::{Deserialize, Serialize};

use crate::deliver;
use crate::draft::{self, BODY_MAX, Draft};
use crate::inbox::Inbox;
use crate::jobs::{self, Job};
use crate::message::{Digest, Message};
use crate::render;

/// Longer than a request may take: what joins before it is written when the window ends.
const LAST_CALL: Duration = Duration::from_secs(30);
/// For how long what was gathered stays.
const KEPT: Duration = Duration::from_secs(86_400);
/// How often another call may open a window first.
const TRIES_MAX: usize = 8;
/// Titles that a digest has.
const TITLES_MAX: u32 = 10;
/// A digest counts no further: `documents.count_max`.
const COUNT_MAX: u32 = 10_000;

/// Time in which notifications are gathered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    id: String,
    pub due: Timestamp,
}

impl Window {
    fn new(category: &str, key: &str, due: Timestamp) -> Self {
        let due_text = due.micros().to_string();
        Window {
            id: id::derived("dgs", due, 0, &[category, key, &due_text]),
            due,
        }
    }

    /// A notification that waits in it.
    pub fn item(&self, draft: &Draft) -> Item {
        Item {
            partition: draft.inbox.deferred_partition(),
            sort: [&self.id, "/", &draft.id].concat(),
            attributes: serde_json::to_value(&draft.message).unwrap_or_default(),
            expires_at: Some(self.due.after(KEPT)),
        }
    }
}

/// Which digest, of which window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    pub inbox: Inbox,
    pub category: String,
    pub key: String,
    /// In microseconds since 1970.
    pub due: i64,
}

/// What is gathered together: of one inbox, category and key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    pub inbox: Inbox,
    pub category: String,
    pub key: String,
}

impl Group {
    /// Until when its window is open, in an item that is changed on a condition alone.
    fn window_key(&self) -> Key {
        let texts = [self.category.as_str(), &self.key];
        let name = id::derived("key", Timestamp::from_micros(0), 0, &texts);
        Key {
            partition: self.inbox.deferred_partition(),
            sort: ["window/", &name].concat(),
        }
    }

    fn window(&self, due: Timestamp) -> Window {
        Window::new(&self.category, &self.key, due)
    }

    /// The message that closes the window.
    fn job(&self, due: Timestamp) -> Job {
        Job::Digest(Due {
            inbox: self.inbox.clone(),
            category: self.category.clone(),
            key: self.key.clone(),
            due: due.micros(),
        })
    }

    /// The item of an open window, which goes by itself some time after it.
    fn item(&self, due: Timestamp) -> Item {
        let Key { partition, sort } = self.window_key();
        Item::new(&partition, &sort, &json!({"due": due.micros()})).until(due.after(KEPT))
    }

    /// Opens a window, unless another call did so first.
    fn open(&self, there: Option<i64>, due: Timestamp) -> Result<bool, Error> {
        let condition = there.map_or(Condition::Absent, |there| {
            Condition::Equals("due".into(), there.into())
        });
        let change = [Change::Set("due".into(), due.micros().into())];
        match documents::update(&self.window_key(), &change, &condition) {
            Ok(_) => Ok(true),
            Err(Error::ConditionFailed) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn due(item: Item) -> Option<i64> {
    item.attributes.get("due")?.as_i64()
}

/// For each group the open window, or a new one of so many seconds.
pub fn join(
    groups: &BTreeMap<Group, i64>,
    now: Timestamp,
) -> Result<BTreeMap<Group, Window>, Problem> {
    let mut windows = BTreeMap::new();
    for _ in 0..=TRIES_MAX {
        let missing = groups
            .iter()
            .filter(|(group, _)| !windows.contains_key(*group));
        let missing: Vec<(&Group, i64)> =
            missing.map(|(group, seconds)| (group, *seconds)).collect();
        if missing.is_empty() {
            return Ok(windows);
        }
        windows.extend(attempt(&missing, now)?);
    }
    let busy = Problem::new(503, "busy", "Too much contention");
    Err(busy.header("retry-after", "1"))
}

/// The windows that are open, and those that could be opened. The messages that close
/// these are sent first: one that closes nothing does no harm.
fn attempt(groups: &[(&Group, i64)], now: Timestamp) -> Result<Vec<(Group, Window)>, Problem> {
    let places: Vec<Key> = groups.iter().map(|(group, _)| group.window_key()).collect();
    let there = documents::get_many(&places)?.into_iter();
    let there = there.map(|item| item.and_then(due));
    let (mut joined, mut new) = (Vec::new(), Vec::new());
    for ((group, seconds), there) in groups.iter().zip(there) {
        let open = there.map(Timestamp::from_micros);
        match open.filter(|due| now.after(LAST_CALL) < *due) {
            Some(due) => joined.push(((*group).clone(), group.window(due))),
            None => new.push((*group, there, length(*seconds))),
        }
    }
    let jobs = new
        .iter()
        .map(|(group, _, length)| (group.job(now.after(*length)), *length));
    let sent = jobs::send_all(&jobs.collect::<Vec<_>>()).into_iter();
    sent.collect::<Result<Vec<()>, Problem>>()?;
    let mut opened = Vec::new();
    for (group, there, length) in new {
        let due = now.after(length);
        if group.open(there, due)? {
            opened.push(group.item(due));
            joined.push((group.clone(), group.window(due)));
        }
    }
    // An update leaves the expiry as it was, so the call that opened a window writes it.
    let written = documents::put_many(&opened).into_iter();
    written.collect::<Result<Vec<()>, Error>>()?;
    Ok(joined)
}

fn length(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
}

/// Closes a window: sends what was gathered in it as one.
pub fn close(customer: &str, due: &Due, now: Timestamp) -> Result<(), Problem> {
    let Due {
        inbox,
        category,
        key,
        due: micros,
    } = due;
    let at = Timestamp::from_micros(*micros);
    let window = Window::new(category, key, at);
    if let Some(message) = Gathered::read(inbox, &window)?.message(key, at) {
        let id = id::derived(
            "ntf",
            at,
            0,
            &[customer, "digest", inbox.name(), &window.id],
        );
        let draft = Draft {
            id,
            at,
            inbox: inbox.clone(),
            digest_key: key.clone(),
            message,
        };
        for delivery in deliver::deliver(vec![draft], now) {
            delivery?;
        }
    }
    Ok(())
}

fn message(item: &RawItem) -> Option<Message> {
    serde_json::from_str(&item.attributes).ok()
}

/// What was gathered, as far as a digest says it: neither all of it nor a part that grows
/// is read.
#[derive(Default)]
struct Gathered {
    count: u64,
    first: Option<Message>,
    /// The newest first.
    latest: Vec<Message>,
}

impl Gathered {
    fn read(inbox: &Inbox, window: &Window) -> Result<Self, Error> {
        let (partition, range) = (
            inbox.deferred_partition(),
            Range::BeginsWith([&window.id, "/"].concat()),
        );
        let some = |limit, descending| {
            let page = documents::query_raw(&partition, &range, limit, None, descending)?;
            let messages = page.items.iter().filter_map(message);
            Ok::<Vec<Message>, Error>(messages.collect())
        };
        let count = documents::count(&partition, &range, COUNT_MAX)?;
        Ok(Gathered {
            count: count.into(),
            first: some(1, false)?.pop(),
            latest: some(TITLES_MAX, true)?,
        })
    }

    /// The digest: the latest one, and how many there are beside it. A single one stays
    /// what it is.
    fn message(self, key: &str, at: Timestamp) -> Option<Message> {
        let first = self.first?.message.created_at;
        let titles = self.latest.iter().map(|one| one.message.title.clone());
        let titles: Vec<String> = titles.collect();
        let mut message = self.latest.into_iter().next()?;
        let content = &mut message.message;
        let digest = Digest {
            key: key.into(),
            count: self.count,
            from: first,
            to: content.created_at,
        };
        content.digest = Some(digest);
        content.created_at = at.micros();
        if self.count > 1 {
            let more = self.count - 1;
            let suffix = format!(" (and {more} more)");
            let kept = draft::TITLE_MAX - suffix.len();
            content.title = render::cut(std::mem::take(&mut content.title), kept) + &suffix;
            content.body = Some(render::cut(lines(&titles, self.count), BODY_MAX));
            (content.data, content.event) = (None, None);
        }
        Some(message)
    }
}

fn lines(titles: &[String], count: u64) -> String {
    let mut text = titles.join("\n");
    if count > titles.len() as u64 {
        text.push_str("\n\u{2026}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Content;

    fn message(number: i64) -> Message {
        Message {
            category: "a".into(),
            message: Content {
                title: format!("title {number}"),
                body: Some("body".into()),
                data: Some("{}".into()),
                created_at: number,
                ..Content::default()
            },
        }
    }

    /// The digest of so many, of which the latest have been read.
    fn digest(count: i64, read: i64) -> Option<Message> {
        let gathered = Gathered {
            count: count.unsigned_abs(),
            first: (count > 0).then(|| message(1)),
            latest: (count - read..count)
                .rev()
                .map(|number| message(number + 1))
                .collect(),
        };
        gathered.message("k", Timestamp::from_micros(99))
    }

    #[test]
    fn digest_is_the_latest_and_says_how_many_there_are() {
        let message = digest(15, 10).unwrap().message;
        assert_eq!(message.title, "title 15 (and 14 more)");
        let body = message.body.unwrap();
        assert!(body.starts_with("title 15\ntitle 14\n"), "{body}");
        assert!(body.ends_with("title 6\n\u{2026}"), "{body}");
        assert_eq!((message.data, message.created_at), (None, 99));
        let expected = Digest {
            key: "k".into(),
            count: 15,
            from: 1,
            to: 15,
        };
        assert_eq!(message.digest, Some(expected));
    }

    #[test]
    fn digest_of_one_is_that_one() {
        let message = digest(1, 1).unwrap().message;
        assert_eq!(message.title, "title 1");
        assert_eq!(message.body.as_deref(), Some("body"));
        assert!(message.data.is_some());
        assert_eq!(message.digest.map(|digest| digest.count), Some(1));
    }

    #[test]
    fn digest_of_nothing_is_none() {
        assert_eq!(digest(0, 0), None);
    }

    #[test]
    fn windows_of_another_key_or_time_are_other_windows() {
        let at = Timestamp::from_micros;
        let window = Window::new("a", "k", at(1_000));
        assert_eq!(window, Window::new("a", "k", at(1_000)));
        for other in [
            Window::new("a", "l", at(1_000)),
            Window::new("b", "k", at(1_000)),
            Window::new("a", "k", at(1_001)),
        ] {
            assert_ne!(window.id, other.id);
        }
    }
}

//! The summary of an inbox: one item with the watermarks and the posting lists. It has
//! a number that increases with each change, and is only changed on the condition that
//! it is still the version that was read.

use hearth_plugin::documents::{self, Change, Condition, Error, Item, Key};
use hearth_plugin::log;
use hearth_plugin::prelude::*;
use serde::{Deserialize, Serialize};

use crate::inbox::Inbox;
use crate::postings::Index;
use crate::watermarks::Lines;

/// The sort key of the item, behind all notifications.
const SORT: &str = "summary";
/// How often another call may come first.
const TRIES_MAX: usize = 8;

/// As it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Summary {
    version: i64,
    pub lines: Lines,
    pub index: Index,
}

impl Summary {
    fn of(item: Option<Item>) -> Self {
        let read = item.map(|item| serde_json::from_value(item.attributes));
        read.and_then(Result::ok).unwrap_or_default()
    }

    /// Writes one part of it anew.
    fn write(&self, inbox: &Inbox, name: &str, part: &impl Serialize) -> Result<(), Error> {
        let condition = match self.version {
            0 => Condition::Absent,
            version => Condition::Equals("version".into(), version.into()),
        };
        let changes = [
            Change::Set("version".into(), (self.version + 1).into()),
            Change::Set(name.into(), serde_json::to_value(part).unwrap_or_default()),
        ];
        documents::update(&key(inbox), &changes, &condition).map(|_| ())
    }

    /// Keeps what a request found out, unless anything was changed since it began.
    pub fn keep(&self, inbox: &Inbox) {
        if let Err(error) = self.write(inbox, "index", &self.index)
            && error != Error::ConditionFailed
        {
            // The next request finds it out again.
            log::warn!("the index of an inbox could not be stored");
        }
    }
}

fn key(inbox: &Inbox) -> Key {
    Key {
        partition: inbox.partition(),
        sort: SORT.into(),
    }
}

pub fn load(inbox: &Inbox) -> Result<Summary, Error> {
    Ok(Summary::of(documents::get(&key(inbox))?))
}

/// Those of many inboxes, in order.
pub fn load_all(inboxes: &[&Inbox]) -> Result<Vec<Summary>, Error> {
    let keys: Vec<Key> = inboxes.iter().map(|inbox| key(inbox)).collect();
    let items = documents::get_many(&keys)?;
    Ok(items.into_iter().map(Summary::of).collect())
}

/// Changes the watermarks, unless `change` answers that there is nothing to change.
/// Where others come first, it is asked again on what they left.
pub fn change(
    inbox: &Inbox,
    mut change: impl FnMut(&mut Lines) -> Result<bool, Problem>,
) -> Result<Lines, Problem> {
    for _ in 0..TRIES_MAX {
        let mut summary = load(inbox)?;
        if !change(&mut summary.lines)? {
            return Ok(summary.lines);
        }
        match summary.write(inbox, "lines", &summary.lines) {
            Ok(()) => return Ok(summary.lines),
            Err(Error::ConditionFailed) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(busy())
}

/// Enters notifications, each with its category, that may now match a filter. Call it
/// after the write that made them match, and before it is acknowledged: a request that
/// built a list meanwhile without them finds the number increased and does not store
/// that list; and in a list that was stored before they are entered.
pub fn enter<'n>(
    inbox: &Inbox,
    them: impl IntoIterator<Item = (&'n str, &'n str)> + Clone,
) -> Result<(), Problem> {
    let rise = [Change::Add("version".into(), 1)];
    let item = documents::update(&key(inbox), &rise, &Condition::None)?;
    let mut summary = Summary::of(Some(item));
    for _ in 0..TRIES_MAX {
        if !summary.index.enter(them.clone()) {
            return Ok(());
        }
        match summary.write(inbox, "index", &summary.index) {
            Ok(()) => return Ok(()),
            Err(Error::ConditionFailed) => summary = load(inbox)?,
            Err(error) => return Err(error.into()),
        }
    }
    Err(busy())
}

fn busy() -> Problem {
    let detail = "others changed this inbox at the same time; try again";
    let busy = Problem::new(503, "busy", "Too much contention").detail(detail);
    busy.header("retry-after", "1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn item_of_an_older_form_is_read_as_far_as_it_goes() {
        let item = |attributes| Some(Item::new("inbox/", SORT, &attributes));
        assert_eq!(Summary::of(None), Summary::default());
        let risen = Summary::of(item(json!({"version": 3})));
        assert_eq!((risen.version, risen.lines), (3, Lines::default()));
        let whole = Summary::of(item(json!({"version": 4, "lines": {}, "index": {}})));
        assert_eq!((whole.version, whole.index), (4, Index::default()));
    }
}

//! Going through an inbox, from the newest on.

use std::ops::ControlFlow;

use hearth_plugin::documents::{self, Error, Range, RawItem};

use crate::entry::{self, Entry, ID_LENGTH};
use crate::inbox::Inbox;

/// Items of a query at most.
pub const PAGE_MAX: u32 = 1_000;

/// Bytes of attributes that are looked through at most: moving them is what costs a
/// call its time.
const BYTES_MAX: usize = 8 << 20;

/// Where to go.
pub struct Way<'w> {
    pub inbox: &'w Inbox,
    /// The lowest sort key.
    pub lower: &'w str,
    /// The highest sort key, or a notification that is the first not to be met.
    pub upper: &'w str,
    /// Items of the first query; those after it have as many as they may.
    pub page: u32,
    pub queries_max: usize,
    pub look: Look,
}

/// What of each notification is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// All of it.
    Whole,
    /// Its category and what became of it, without its texts and data.
    Marks,
}

/// The attributes that [`Look::Marks`] wants: of the notification, of its marks and of
/// its snooze.
const MARKS: [&str; 4] = ["category", "on", "at", "until"];

impl Way<'_> {
    /// Shows one notification after the other, each with all that belongs to it, until
    /// the end or until `visit` has enough. Answers whether the end was reached or
    /// asked for: else there was too much to be looked through.
    pub fn walk(&self, mut visit: impl FnMut(Entry) -> ControlFlow<()>) -> Result<bool, Error> {
        if self.lower > self.upper {
            return Ok(true);
        }
        let range = Range::Between((self.lower.into(), self.upper.into()));
        let partition = self.inbox.partition();
        let (mut rest, mut cursor, mut limit) = (Vec::new(), None, self.page);
        let mut bytes = 0;
        for _ in 0..self.queries_max {
            let from = cursor.as_deref();
            let page = match self.look {
                Look::Whole => documents::query_raw(&partition, &range, limit, from, true),
                Look::Marks => {
                    documents::query_attributes(&partition, &range, limit, from, true, &MARKS)
                }
            }?;
            limit = PAGE_MAX;
            bytes += page.items.iter().map(size).sum::<usize>();
            let mut items = std::mem::replace(&mut rest, page.items);
            items.append(&mut rest);
            cursor = page.cursor;
            if cursor.is_some() {
                rest = incomplete(&mut items);
            }
            for entry in entry::gather(items) {
                if entry.id != self.upper && visit(entry).is_break() {
                    return Ok(true);
                }
            }
            if cursor.is_none() {
                return Ok(true);
            }
            if bytes > BYTES_MAX {
                break;
            }
        }
        Ok(false)
    }
}

fn size(item: &RawItem) -> usize {
    item.attributes.len()
}

/// Takes away what belongs to a notification that the next page has.
fn incomplete(items: &mut Vec<RawItem>) -> Vec<RawItem> {
    let Some(last) = items.last().filter(|last| last.sort.len() > ID_LENGTH) else {
        return Vec::new();
    };
    let id = entry::id_of(&last.sort).to_string();
    let begins = items.iter().position(|item| entry::id_of(&item.sort) == id);
    items.split_off(begins.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::tests::{id, items};
    use hearth_plugin::json::json;

    #[test]
    fn marks_wait_for_their_notification_on_the_next_page() {
        let mark = || ("/read", json!({"on": true, "at": 1}));
        let mut all = items(1, "a", &[mark()]);
        all.extend(items(2, "a", &[mark()]));
        all.reverse();
        let mut whole = all.clone();
        assert!(incomplete(&mut whole).is_empty());
        assert_eq!(whole.len(), 4);
        let mut cut = all[..3].to_vec();
        let rest = incomplete(&mut cut);
        assert_eq!((cut.len(), rest.len()), (2, 1));
        assert_eq!(entry::id_of(&rest[0].sort), id(1));
    }
}

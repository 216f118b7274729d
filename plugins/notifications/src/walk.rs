//! Reads an inbox from the newest notification on, within limits.

use std::ops::ControlFlow;

use hearth_plugin::documents::{self, Error, Range, RawItem};

use crate::entry::{self, Entry, ID_LENGTH};
use crate::inbox::Inbox;

/// Items of a query at most.
pub const PAGE_MAX: u32 = 1_000;
/// Each query has so many times the items of the one before.
const GROWTH: u32 = 4;
/// Notifications that are looked up by their ids at once.
const IDS_MAX: usize = 50;
/// Bytes of attributes that are looked through at most: moving them is what costs a
/// call its time.
const BYTES_MAX: usize = 8 << 20;

/// What of each notification is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// All of it.
    Whole,
    /// Its category and what became of it, without its texts and data.
    Flags,
}

/// The attributes that [`Look::Flags`] wants: of the notification, of its flags and of
/// its snooze.
const MARKS: [&str; 4] = ["category", "on", "at", "until"];

/// How a walk ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// There is no more.
    Bottom,
    /// The reader has enough.
    Enough,
    /// There was too much to be looked through. This was the last that was met.
    Spent(Option<String>),
}

/// Walks through one inbox. What one walk spends the next one no longer has.
pub struct Walk<'w> {
    inbox: &'w Inbox,
    look: Look,
    /// Items of the next query.
    page: u32,
    /// Queries, and bytes, that are left.
    queries: usize,
    bytes: usize,
}

impl<'w> Walk<'w> {
    /// The first query has so many items.
    pub fn new(inbox: &'w Inbox, look: Look, page: u32, queries_max: usize) -> Self {
        Walk {
            inbox,
            look,
            page: page.clamp(1, PAGE_MAX),
            queries: queries_max,
            bytes: BYTES_MAX,
        }
    }

    /// Shows one notification after the other, each with all that belongs to it, from
    /// before `upper` down to the sort key `lower`. A notification that is the upper end
    /// is not met.
    pub fn range(
        &mut self,
        lower: &str,
        upper: &str,
        visit: &mut impl FnMut(Entry) -> ControlFlow<()>,
    ) -> Result<End, Error> {
        if lower >= upper {
            return Ok(End::Bottom);
        }
        let range = Range::Between((lower.into(), upper.into()));
        let (mut rest, mut cursor, mut last) = (Vec::new(), None, None);
        while self.may_go_on() {
            let page = self.query(&range, cursor.as_deref(), self.look)?;
            let mut items = std::mem::replace(&mut rest, page.items);
            items.append(&mut rest);
            cursor = page.cursor;
            if cursor.is_some() {
                rest = incomplete(&mut items);
            }
            for entry in entry::gather(items) {
                if entry.id == upper {
                    continue;
                }
                last = Some(entry.id.clone());
                if visit(entry).is_break() {
                    return Ok(End::Enough);
                }
            }
            if cursor.is_none() {
                return Ok(End::Bottom);
            }
        }
        Ok(End::Spent(last))
    }

    /// The same of those that are marked as archived or read, or were snoozed: what stands
    /// in their list.
    pub fn listed(
        &mut self,
        list: &str,
        (lower, upper): (&str, &str),
        visit: &mut impl FnMut(Entry) -> ControlFlow<()>,
    ) -> Result<End, Error> {
        if lower >= upper {
            return Ok(End::Bottom);
        }
        let place = |id: &str| [list, "/", id].concat();
        let range = Range::Between((place(lower), place(upper)));
        let (mut cursor, mut last) = (None, None);
        while self.may_go_on() {
            let page = self.query(&range, cursor.as_deref(), Look::Flags)?;
            let ids = page
                .items
                .iter()
                .filter_map(|item| item.sort.get(list.len() + 1..));
            let ids: Vec<String> = ids.filter(|id| *id != upper).map(Into::into).collect();
            match self.ids(&ids, visit)? {
                End::Bottom => last = ids.last().cloned().or(last),
                End::Spent(further) => return Ok(End::Spent(further.or(last))),
                End::Enough => return Ok(End::Enough),
            }
            cursor = page.cursor;
            if cursor.is_none() {
                return Ok(End::Bottom);
            }
        }
        Ok(End::Spent(last))
    }

    /// The same of these, which are in order.
    pub fn ids(
        &mut self,
        ids: &[String],
        visit: &mut impl FnMut(Entry) -> ControlFlow<()>,
    ) -> Result<End, Error> {
        let mut last = None;
        for some in ids.chunks(IDS_MAX) {
            if !self.may_go_on() {
                return Ok(End::Spent(last));
            }
            self.queries -= 1;
            for entry in entry::look_up_all(self.inbox, some)? {
                self.bytes = self.bytes.saturating_sub(entry.size());
                if visit(entry).is_break() {
                    return Ok(End::Enough);
                }
            }
            last = some.last().cloned();
        }
        Ok(End::Bottom)
    }

    fn may_go_on(&self) -> bool {
        self.queries > 0 && self.bytes > 0
    }

    fn query(
        &mut self,
        range: &Range,
        cursor: Option<&str>,
        look: Look,
    ) -> Result<documents::RawPage, Error> {
        let partition = self.inbox.partition();
        let limit = self.page;
        let page = match look {
            Look::Whole => documents::query_raw(&partition, range, limit, cursor, true),
            Look::Flags => {
                documents::query_attributes(&partition, range, limit, cursor, true, &MARKS)
            }
        }?;
        self.queries -= 1;
        self.page = limit.saturating_mul(GROWTH).min(PAGE_MAX);
        let bytes = page.items.iter().map(|item| item.attributes.len()).sum();
        self.bytes = self.bytes.saturating_sub(bytes);
        Ok(page)
    }
}

/// Removes the items of a notification that is completed by the next page.
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

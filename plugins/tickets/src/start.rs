//! The orders of a list, and where a page of it starts.

use std::time::Duration;

use hearth_plugin::cursor::{self, Binding};
use hearth_plugin::prelude::*;

use crate::filter::Filter;
use crate::sql::lists::ListedTicket;

/// Before every ticket: 0001-01-01.
pub const FIRST: Timestamp = Timestamp::from_micros(-62_135_596_800_000_000);
/// After every ticket, the end of 9999; when what has no due time is due.
pub const LAST: Timestamp = Timestamp::from_micros(253_402_300_799_999_999);
/// Sorts behind every id.
const BEHIND_ALL: &str = "~";
/// How far the time in an id and that of the row may be apart: longer than any call
/// that makes a ticket, and a clock that is put right meanwhile.
const SLACK: Duration = Duration::from_secs(60);

/// The orders of a list. Of the same priority the newest come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Newest,
    Oldest,
    UpdatedLast,
    UpdatedFirst,
    MostUrgent,
    LeastUrgent,
    DueFirst,
    DueLast,
}

impl Sort {
    pub fn read(query: &mut Query) -> Self {
        let sorts = "this must be one of created_at, updated_at, priority, due_at, or one of \
                     them with - before it";
        let sort = query.text("sort");
        let sort = sort.convert("not_allowed", sorts, |sort| Sort::parse(&sort));
        sort.or(Sort::Newest)
    }

    fn parse(text: &str) -> Option<Self> {
        match text {
            "-created_at" => Some(Sort::Newest),
            "created_at" => Some(Sort::Oldest),
            "-updated_at" => Some(Sort::UpdatedLast),
            "updated_at" => Some(Sort::UpdatedFirst),
            "-priority" => Some(Sort::MostUrgent),
            "priority" => Some(Sort::LeastUrgent),
            "due_at" => Some(Sort::DueFirst),
            "-due_at" => Some(Sort::DueLast),
            _ => None,
        }
    }

    pub fn is_by_creation(self) -> bool {
        matches!(self, Sort::Newest | Sort::Oldest)
    }

    fn is_descending(self) -> bool {
        !matches!(self, Sort::Oldest | Sort::UpdatedFirst | Sort::DueFirst)
    }
}

/// The sort key of the row before a page.
#[derive(Debug, PartialEq)]
pub struct Start {
    pub time: Timestamp,
    pub id: String,
    /// None before the first page, and where the order is another one.
    priority: Option<String>,
}

impl Start {
    /// Where a page begins: at the keys of a cursor, or at the end of the order.
    pub fn read(sort: Sort, keys: Option<[String; 2]>) -> Result<Self, Problem> {
        let start = |time, id, priority| Start { time, id, priority };
        Ok(match (keys, sort) {
            (Some([priority, id]), Sort::MostUrgent | Sort::LeastUrgent) => {
                start(FIRST, id, Some(priority))
            }
            (Some([time, id]), _) => {
                let time = Timestamp::parse(&time).ok_or_else(cursor::refused)?;
                start(time, id, None)
            }
            (None, sort) if sort.is_descending() => start(LAST, BEHIND_ALL.into(), None),
            (None, _) => start(FIRST, String::new(), None),
        })
    }

    /// The cursor of what comes behind a ticket.
    pub fn behind(last: &ListedTicket, sort: Sort, binding: &Binding) -> String {
        let key = match sort {
            Sort::Newest | Sort::Oldest => last.created_at.to_string(),
            Sort::UpdatedLast | Sort::UpdatedFirst => last.updated_at.to_string(),
            Sort::MostUrgent | Sort::LeastUrgent => last.priority.clone(),
            Sort::DueFirst | Sort::DueLast => last.due_at.unwrap_or(LAST).to_string(),
        };
        binding.encode(&[&key, &last.id])
    }

    /// The ids between which tickets are, the one where the page starts first: those in
    /// the order of creation sort by them, so that their times lead to them too.
    pub fn ids(&self, filter: &Filter) -> [String; 2] {
        let first = filter
            .created_since
            .map(|since| id::first("tkt", since.before(SLACK)));
        let last = filter
            .created_until
            .map(|until| id::last("tkt", until.after(SLACK)));
        let (first, last) = (first.unwrap_or_default(), last.unwrap_or(BEHIND_ALL.into()));
        match filter.sort {
            Sort::Oldest => [first.max(self.id.clone()), last],
            Sort::Newest => [last.min(self.id.clone()), first],
            Sort::MostUrgent | Sort::LeastUrgent => [last, first],
            _ => [self.id.clone(), BEHIND_ALL.into()],
        }
    }

    /// The priorities that are left, and the id at which each starts.
    pub fn ranks(&self, filter: &Filter) -> (Vec<String>, Vec<String>) {
        let [begin, _] = self.ids(filter);
        let mut wanted = filter.wanted_priorities();
        let mut starts = vec![begin; wanted.len()];
        if let Some(priority) = &self.priority {
            let place = wanted.iter().position(|own| own == priority);
            let passed = place.unwrap_or(wanted.len());
            wanted.drain(..passed);
            starts.drain(..passed);
            if let Some(start) = starts.first_mut() {
                *start = self.id.clone().min(start.clone());
            }
        }
        (wanted, starts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(text: &str) -> Filter {
        Filter::read(&mut Query::parse(text).unwrap())
    }

    fn keys(key: &str, id: &str) -> Option<[String; 2]> {
        Some([key.to_string(), id.to_string()])
    }

    #[test]
    fn a_forged_time_in_a_cursor_is_400() {
        let refused = Start::read(Sort::Newest, keys("yesterday", "tkt_1"));
        assert_eq!(refused.unwrap_err().status(), 400);
    }

    #[test]
    fn times_of_creation_bound_the_ids() {
        let newest = filter("created_since=2026-11-23&created_until=2026-11-24");
        let start = Start::read(newest.sort, None).unwrap();
        let [start, end] = start.ids(&newest);
        let at = |text| id::derived("tkt", Timestamp::parse(text).unwrap(), 0, &[]);
        assert!(start > at("2026-11-24T23:59:59.999Z") && start < at("2026-11-25T00:02:00Z"));
        assert!(end < at("2026-11-23T00:00:00Z") && end > at("2026-11-22T23:58:00Z"));
        let cursor = Start::read(newest.sort, keys("2026-11-23T00:00:00Z", "tkt_0")).unwrap();
        assert_eq!(cursor.ids(&newest)[0], "tkt_0");
    }

    #[test]
    fn page_by_priority_starts_within_one_and_goes_on_with_the_next() {
        let filter = filter("sort=-priority&priority=low,high,urgent");
        let start = Start::read(filter.sort, keys("high", "tkt_7")).unwrap();
        let (priorities, starts) = start.ranks(&filter);
        assert_eq!(priorities, ["high", "low"]);
        assert_eq!(starts, ["tkt_7", BEHIND_ALL]);
        let first = Start::read(filter.sort, None).unwrap();
        assert_eq!(first.ranks(&filter).0, ["urgent", "high", "low"]);
    }
}

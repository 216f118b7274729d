//! Listing notifications and counting them.

use std::ops::ControlFlow;

use hearth_plugin::cursor::Binding;
use hearth_plugin::prelude::*;
use hearth_plugin::router::PathParameter;

use crate::category;
use crate::entry::{self, Entry};
use crate::inbox::Inbox;
use crate::mark::Kind;
use crate::scan::{Look, PAGE_MAX, Way};
use crate::watermarks::{self, FIRST, LAST, Lines};

/// A count is exact up to here, where there is not too much to be looked through.
const COUNT_MAX: usize = 1_000;
/// Items of a notification that is listed, at most: itself, read, seen, and a snooze
/// that is over.
const SHOWN_ITEMS: i64 = 4;
/// Queries of a listing; a page that is not full then is answered as it is.
const LIST_QUERIES_MAX: usize = 5;
/// Queries of a count.
const COUNT_QUERIES_MAX: usize = 12;

/// The id of a notification, in a path.
pub struct NotificationId(pub String);

impl PathParameter for NotificationId {
    fn from_segment(text: &str) -> Option<Self> {
        id::is("ntf", text).then(|| NotificationId(text.to_string()))
    }
}

/// Which are wanted.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    unread: Option<bool>,
    archived: bool,
    snoozed: Option<bool>,
    category: Option<String>,
}

impl Filter {
    fn read(query: &mut Query) -> Self {
        let archived = query.boolean("archived").or(false);
        Filter {
            unread: query.boolean("unread").optional(),
            archived,
            snoozed: query.boolean("snoozed").optional(),
            category: category::checked(query.text("category")),
        }
    }

    /// Those that a reader has before him.
    fn of_category(category: Option<String>) -> Self {
        Filter {
            category,
            ..Filter::default()
        }
    }

    fn wants(&self, entry: &Entry, lines: &Lines, now: Timestamp) -> bool {
        let is = |kind| lines.since(kind, entry).is_some();
        // Who asks for what is archived wants all of it.
        let snoozed = self.snoozed.or((!self.archived).then_some(false));
        entry.is_there()
            && is(Kind::Archived) == self.archived
            && snoozed.is_none_or(|wanted| entry.snoozed_until(now).is_some() == wanted)
            && self.unread.is_none_or(|wanted| is(Kind::Read) != wanted)
            && self.is_of(entry)
    }

    fn is_of(&self, entry: &Entry) -> bool {
        let category = self.category.as_deref();
        category.is_none_or(|category| entry.category() == category)
    }

    /// Where no more can be found further down.
    fn lower(&self, lines: &Lines) -> String {
        let category = self.category.as_deref();
        let lower = |kind: Kind| lines.of(kind).lower(category);
        let mut lowest = FIRST.to_string();
        if !self.archived {
            lowest = lowest.max(lower(Kind::Archived));
        }
        if self.unread == Some(true) {
            lowest = lowest.max(lower(Kind::Read));
        }
        lowest
    }

    /// Whether most of what is met may be something else. Of what is unread little is:
    /// the watermark says where to end.
    fn is_narrow(&self) -> bool {
        let is_read = self.unread == Some(false);
        is_read || self.archived || self.snoozed == Some(true) || self.category.is_some()
    }

    fn key(&self) -> String {
        format!("{:?} {} {:?}", self.unread, self.archived, self.snoozed)
    }
}

/// `GET /`: the newest first.
pub fn list(request: &Request) -> Answer {
    let mut query = request.query()?;
    let inbox = Inbox::read(&mut query);
    let filter = Filter::read(&mut query);
    let paging = Paging::by_cursor(&mut query);
    query.finish()?;
    let category = filter.category.as_deref().unwrap_or_default();
    let parts = ["notifications", inbox.name(), &filter.key(), category];
    let binding = Binding::of(request, &parts)?;
    let upper = paging.keys(&binding)?.map(|[id]: [String; 1]| id);
    let (now, lines) = (Timestamp::now(), watermarks::load(&inbox)?);
    let found = find(&inbox, &filter, &lines, upper, &paging, now)?;
    let shown = found.entries.iter();
    let shown: Vec<Value> = shown
        .filter_map(|entry| entry.shown(&inbox, &lines, now))
        .collect();
    let next = found.next.map(|id| binding.encode(&[&id]));
    let body = json!({"notifications": shown, "has_more": next.is_some(), "next_cursor": next});
    Ok(paging.link(request, next.as_deref(), Response::json(200, &body)?))
}

struct Found {
    entries: Vec<Entry>,
    /// The last one that was looked at, where there may be more below it.
    next: Option<String>,
}

fn find(
    inbox: &Inbox,
    filter: &Filter,
    lines: &Lines,
    upper: Option<String>,
    paging: &Paging,
    now: Timestamp,
) -> Result<Found, Problem> {
    let fetch = paging.fetch();
    let enough = u32::try_from(fetch * SHOWN_ITEMS).unwrap_or(PAGE_MAX);
    let way = Way {
        inbox,
        lower: &filter.lower(lines),
        upper: upper.as_deref().unwrap_or(LAST),
        page: if filter.is_narrow() { PAGE_MAX } else { enough },
        queries_max: LIST_QUERIES_MAX,
        look: Look::Whole,
    };
    let wanted = usize::try_from(fetch).unwrap_or_default();
    let (mut entries, mut last) = (Vec::new(), None);
    let is_over = way.walk(|entry| {
        last = Some(entry.id.clone());
        if filter.wants(&entry, lines, now) {
            entries.push(entry);
        }
        match entries.len() < wanted {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    })?;
    let more = paging.cut(&mut entries);
    let shown = entries.last().map(|entry: &Entry| entry.id.clone());
    let next = match (more, is_over) {
        (true, _) => shown,
        (false, true) => None,
        (false, false) => last,
    };
    Ok(Found { entries, next })
}

/// `GET /count`.
pub fn count(request: &Request) -> Answer {
    let mut query = request.query()?;
    let inbox = Inbox::read(&mut query);
    let filter = Filter::of_category(category::checked(query.text("category")));
    query.finish()?;
    let (now, lines) = (Timestamp::now(), watermarks::load(&inbox)?);
    let category = filter.category.as_deref();
    let [read, seen] = [Kind::Read, Kind::Seen].map(|kind| lines.of(kind).lower(category));
    let way = Way {
        inbox: &inbox,
        lower: &filter.lower(&lines).max(read.clone().min(seen.clone())),
        upper: LAST,
        page: PAGE_MAX,
        queries_max: COUNT_QUERIES_MAX,
        look: Look::Marks,
    };
    let (mut unread, mut unseen) = (0, 0);
    let is_over = way.walk(|entry| {
        if filter.wants(&entry, &lines, now) {
            unread += usize::from(lines.since(Kind::Read, &entry).is_none());
            unseen += usize::from(lines.since(Kind::Seen, &entry).is_none());
        }
        let counted = is_counted(unread, &read, &entry) && is_counted(unseen, &seen, &entry);
        match counted {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    })?;
    let shown = |count: usize| {
        let exact = is_over && count <= COUNT_MAX;
        json!({"count": count.min(COUNT_MAX), "exact": exact})
    };
    Response::json(
        200,
        &json!({"unread": shown(unread), "unseen": shown(unseen)}),
    )
}

/// Whether no notification below this one adds to a count: there are too many already,
/// or all below `lower` are read, or seen.
fn is_counted(count: usize, lower: &str, entry: &Entry) -> bool {
    count > COUNT_MAX || entry.id.as_str() < lower
}

/// `GET /{id}`.
pub fn show(request: &Request, NotificationId(id): NotificationId) -> Answer {
    let inbox = Inbox::alone(request)?;
    let entry = entry::find(&inbox, &id)?;
    let lines = watermarks::load(&inbox)?;
    let shown = entry.shown(&inbox, &lines, Timestamp::now());
    Response::json(200, &shown.ok_or_else(Problem::internal)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::tests::items;

    fn filter(query: &str) -> Filter {
        let mut query = Query::parse(query).unwrap();
        let filter = Filter::read(&mut query);
        query.finish().unwrap();
        filter
    }

    fn wants(filter: &Filter, ends: &[(&str, Value)]) -> bool {
        let entry = entry::gather(items(1, "a", ends)).pop().unwrap();
        filter.wants(&entry, &Lines::default(), Timestamp::from_micros(10))
    }

    #[test]
    fn each_filter_wants_its_own() {
        let on = |at: i64| json!({"on": true, "at": at});
        let read = [("/read", on(1))];
        let archived = [("/archived", on(1))];
        let both = [("/archived", on(1)), ("/snoozed", json!({"until": 20}))];
        let snoozed = [("/snoozed", json!({"until": 20}))];
        let woken = [("/snoozed", json!({"until": 10}))];
        let deleted = [("/deleted", on(1))];
        for (query, expected) in [
            ("", [true, true, false, false, false, true, false]),
            (
                "unread=true",
                [true, false, false, false, false, true, false],
            ),
            (
                "unread=false",
                [false, true, false, false, false, false, false],
            ),
            (
                "archived=true",
                [false, false, true, true, false, false, false],
            ),
            (
                "snoozed=true",
                [false, false, false, false, true, false, false],
            ),
            ("category=b", [false; 7]),
            ("category=a", [true, true, false, false, false, true, false]),
        ] {
            let filter = filter(query);
            let all: [&[(&str, Value)]; 7] =
                [&[], &read, &archived, &both, &snoozed, &woken, &deleted];
            assert_eq!(all.map(|ends| wants(&filter, ends)), expected, "{query}");
        }
    }

    #[test]
    fn counting_ends_where_each_count_is_full_or_has_nothing_below() {
        let entry = entry::gather(items(5, "a", &[])).pop().unwrap();
        let above = [entry::tests::id(5), "0".into()].concat();
        assert!(is_counted(COUNT_MAX + 1, FIRST, &entry));
        assert!(!is_counted(COUNT_MAX, FIRST, &entry));
        assert!(is_counted(0, &above, &entry));
        assert!(!is_counted(0, &entry.id, &entry));
    }

    #[test]
    fn what_is_read_by_a_watermark_is_not_looked_through() {
        let mut lines = Lines::default();
        let upto = entry::tests::id(9);
        let raised = lines.of_mut(Kind::Read).raise(None, &upto, 5);
        raised.unwrap();
        let lower = filter("unread=true").lower(&lines);
        assert!(lower > upto && lower < entry::tests::id(10));
        assert_eq!(filter("unread=false").lower(&lines), FIRST);
        assert_eq!(filter("").lower(&lines), FIRST);
    }
}

//! Lists notifications and counts them.

use std::ops::ControlFlow;

use hearth_plugin::cursor::Binding;
use hearth_plugin::prelude::*;
use hearth_plugin::router::PathParameter;

use crate::category;
use crate::entry::{self, Entry};
use crate::flag::{Kind, SNOOZED};
use crate::inbox::Inbox;
use crate::postings::{State, Term};
use crate::route::Route;
use crate::summary::{self, Summary};
use crate::walk::{End, Look, Walk};
use crate::watermarks::{FIRST, LAST, Lines};

/// Items of a notification that is listed, as a rule: itself and a flag.
const ITEMS: i64 = 2;
/// Queries of a listing; a page that is not full then is answered as it is.
const QUERIES_MAX: usize = 8;

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
    pub fn of_category(category: Option<String>) -> Self {
        Filter {
            category,
            ..Filter::default()
        }
    }

    pub fn wants(&self, entry: &Entry, lines: &Lines, now: Timestamp) -> bool {
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
    pub fn lower(&self, lines: &Lines) -> String {
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

    /// Where those that are wanted lie, before `upper`.
    fn route(&self, summary: &Summary, upper: &str) -> Route {
        let lower = self.lower(&summary.lines);
        let category = self.category.as_deref();
        let listed = |kind: Kind| {
            let line = summary.lines.of(kind).higher(category);
            Route::listed(kind.name(), &line, &lower, upper)
        };
        match (self.snoozed, self.archived, self.unread) {
            (Some(true), ..) => Route::listed(SNOOZED, FIRST, &lower, upper),
            (_, true, _) => listed(Kind::Archived),
            (_, _, Some(false)) => listed(Kind::Read),
            (_, _, Some(true)) => {
                Route::to(Term::new(State::Unread, category), summary, &lower, upper)
            }
            (_, _, None) => Route::to(Term::new(State::Any, category), summary, &lower, upper),
        }
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
    let (now, summary) = (Timestamp::now(), summary::load(&inbox)?);
    let lines = summary.lines.clone();
    let found = find(&inbox, &filter, summary, upper, &paging, now)?;
    let shown = found.entries.iter();
    let shown: Vec<Value> = shown
        .filter_map(|entry| entry.shown(&inbox, &lines, now))
        .collect();
    let next = found.next.map(|id| binding.encode(&[&id]));
    let body = json!({"notifications": shown, "has_more": next.is_some(), "next_cursor": next});
    Ok(paging.link(request, next.as_deref(), Response::json(200, &body)?))
}

struct ListPage {
    entries: Vec<Entry>,
    /// The last one that was looked at, where there may be more below it.
    next: Option<String>,
}

fn find(
    inbox: &Inbox,
    filter: &Filter,
    summary: Summary,
    upper: Option<String>,
    paging: &Paging,
    now: Timestamp,
) -> Result<ListPage, Problem> {
    let fetch = paging.fetch();
    let enough = u32::try_from(fetch * ITEMS).unwrap_or(u32::MAX);
    let mut walk = Walk::new(inbox, Look::Whole, enough, QUERIES_MAX);
    let wanted = usize::try_from(fetch).unwrap_or_default();
    let (mut entries, lines) = (Vec::new(), summary.lines.clone());
    let route = filter.route(&summary, upper.as_deref().unwrap_or(LAST));
    let end = route.follow(&mut walk, (inbox, summary), now, |entry| {
        if filter.wants(&entry, &lines, now) {
            entries.push(entry);
        }
        match entries.len() < wanted {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    })?;
    let more = paging.cut(&mut entries);
    let next = match (more, end) {
        (true, _) => entries.last().map(|entry: &Entry| entry.id.clone()),
        (false, End::Spent(last)) => last,
        (false, End::Bottom | End::Enough) => None,
    };
    Ok(ListPage { entries, next })
}

/// `GET /{id}`.
pub fn show(request: &Request, NotificationId(id): NotificationId) -> Answer {
    let inbox = Inbox::alone(request)?;
    let entry = entry::find(&inbox, &id)?;
    let lines = summary::load(&inbox)?.lines;
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

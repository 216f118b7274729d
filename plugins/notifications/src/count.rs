//! Counts unread and unseen notifications, up to a maximum.
//!
//! There is no stored counter: deliveries are written in batches, which can neither
//! increment a number nor have a condition, and a transaction for each delivery would
//! make all deliveries of an inbox wait for each other. Nor could a counter know when
//! notifications expire or end their snooze. So they are counted one by one, newest
//! first, up to the number that the client asks for. Ranges without unread or unseen
//! ones are recorded (`postings`), so that the next count skips them.

use std::ops::ControlFlow;

use hearth_plugin::prelude::*;

use crate::category;
use crate::entry::Entry;
use crate::flag::Kind;
use crate::inbox::Inbox;
use crate::list::Filter;
use crate::postings::{State, Term};
use crate::route::Route;
use crate::summary::{self, Summary};
use crate::walk::{End, Look, PAGE_MAX, Walk};
use crate::watermarks::LAST;

/// What is counted at most.
const COUNT_MAX: i64 = 1_000;
/// Items of a notification that is counted, as a rule: itself and a flag.
const ITEMS: usize = 2;
/// Queries of a count. What was not looked through by then is not counted.
const QUERIES_MAX: usize = 12;

/// What was counted of a kind.
#[derive(Debug, Default)]
struct Tally {
    count: usize,
    /// Whether nothing of it is missing.
    is_whole: bool,
}

/// What is to be counted, and how far.
struct Order<'o> {
    inbox: &'o Inbox,
    filter: Filter,
    category: Option<&'o str>,
    max: usize,
    now: Timestamp,
}

/// `GET /count`.
pub fn count(request: &Request) -> Answer {
    let mut query = request.query()?;
    let inbox = Inbox::read(&mut query);
    let category = category::checked(query.text("category"));
    let max = query.integer("max").range(1..=COUNT_MAX).or(COUNT_MAX);
    query.finish()?;
    let order = Order {
        inbox: &inbox,
        filter: Filter::of_category(category.clone()),
        category: category.as_deref(),
        max: usize::try_from(max).unwrap_or_default(),
        now: Timestamp::now(),
    };
    let summary = summary::load(&inbox)?;
    let terms = order.terms();
    let has_list = terms.iter().any(|term| summary.index.list(term).is_some());
    let [unread, unseen] = match has_list {
        true => order.count_separately(&summary)?,
        false => order.together(summary)?,
    };
    let body = json!({"unread": order.to_json(&unread), "unseen": order.to_json(&unseen)});
    Response::json(200, &body)
}

/// What is counted, in this order.
const KINDS: [Kind; 2] = [Kind::Read, Kind::Seen];

impl Order<'_> {
    fn terms(&self) -> [Term; 2] {
        [State::Unread, State::Unseen].map(|state| Term::new(state, self.category))
    }

    /// Enough for all that is counted, where not much is passed over.
    fn walk(&self) -> Walk<'_> {
        let page = u32::try_from((self.max + 1) * ITEMS).unwrap_or(PAGE_MAX);
        Walk::new(self.inbox, Look::Flags, page, QUERIES_MAX)
    }

    /// The lowest sort key at which one of a kind may lie.
    fn lower(&self, summary: &Summary, kind: Kind) -> String {
        let lower = summary.lines.of(kind).lower(self.category);
        self.filter.lower(&summary.lines).max(lower)
    }

    /// Both in one go.
    fn together(&self, summary: Summary) -> Result<[Tally; 2], Problem> {
        let lowers = KINDS.map(|kind| self.lower(&summary, kind));
        let lower = lowers.iter().min().cloned().unwrap_or_default();
        let route = Route::plain(self.terms().into(), &lower, LAST);
        let (mut counts, lines) = ([0, 0], summary.lines.clone());
        let whose = (self.inbox, summary);
        let end = route.follow(&mut self.walk(), whose, self.now, |entry| {
            let is_wanted = self.filter.wants(&entry, &lines, self.now);
            let mut is_over = true;
            for ((kind, lower), count) in KINDS.iter().zip(&lowers).zip(&mut counts) {
                *count += usize::from(is_wanted && lines.since(*kind, &entry).is_none());
                is_over &= self.is_full(*count) || entry.id < *lower;
            }
            match is_over {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        })?;
        Ok(counts.map(|count| self.tally(count, &end)))
    }

    /// One after the other, each over its own places.
    fn count_separately(&self, summary: &Summary) -> Result<[Tally; 2], Problem> {
        let [unread, unseen] = self.terms();
        Ok([
            self.one(summary.clone(), unread, Kind::Read)?,
            self.one(summary.clone(), unseen, Kind::Seen)?,
        ])
    }

    fn one(&self, summary: Summary, term: Term, kind: Kind) -> Result<Tally, Problem> {
        let route = Route::to(term, &summary, &self.lower(&summary, kind), LAST);
        let (mut count, lines) = (0, summary.lines.clone());
        let is_one = |entry: &Entry| {
            self.filter.wants(entry, &lines, self.now) && lines.since(kind, entry).is_none()
        };
        let whose = (self.inbox, summary);
        let end = route.follow(&mut self.walk(), whose, self.now, |entry| {
            count += usize::from(is_one(&entry));
            match self.is_full(count) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        })?;
        Ok(self.tally(count, &end))
    }

    /// One more than is wanted says that there are more.
    fn is_full(&self, count: usize) -> bool {
        count > self.max
    }

    fn tally(&self, count: usize, end: &End) -> Tally {
        Tally {
            count,
            is_whole: !matches!(end, End::Spent(_)),
        }
    }

    fn to_json(&self, tally: &Tally) -> Value {
        let exact = tally.is_whole && !self.is_full(tally.count);
        json!({"count": tally.count.min(self.max), "exact": exact})
    }
}

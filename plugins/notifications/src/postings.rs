//! Posting lists, as search engines have them: where in an inbox the few notifications
//! are that a filter matches.
//!
//! A list says for a range of the inbox that matches are at these positions and nowhere
//! else in it. It is written by a request that read hundreds without a match, so that
//! the next request need not. Every position is checked before it is used, so one too
//! many does no harm. None may be missing: whatever makes a notification match (it
//! arrives late, or a flag of it is removed) is entered before it is acknowledged
//! (`summary::enter`), and a list is stored only on the condition that nothing was
//! entered since the request began.

use std::collections::BTreeMap;
use std::time::Duration;

use hearth_plugin::prelude::*;
use serde::{Deserialize, Serialize};

use crate::entry::Entry;
use crate::flag::Kind;
use crate::watermarks::{Lines, above};

/// Places of a list at most: the newest.
const PLACES_MAX: usize = 250;
/// Lists of an inbox at most; the one that was made longest ago goes.
const LISTS_MAX: usize = 8;
/// Places of a list that lead to nothing any more are taken out from so many on.
const STALE_MIN: usize = 25;
/// A list that was made so long ago gives way to any other.
const AGED: Duration = Duration::from_secs(30 * 86_400);
/// Passed in vain, before it is noted where what was looked for lies; where the operator
/// does not set `passed_min`.
const PASSED_MIN: u32 = 500;

/// What is looked for among those that are not archived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Any,
    Unread,
    Unseen,
}

/// The subject of a list: a state, in one category or all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    pub state: State,
    pub category: Option<String>,
}

impl Term {
    pub fn new(state: State, category: Option<&str>) -> Self {
        Term {
            state,
            category: category.map(Into::into),
        }
    }

    /// All terms that a notification of this category could be of.
    fn all_of(category: &str) -> impl Iterator<Item = String> {
        let states = [State::Any, State::Unread, State::Unseen].into_iter();
        let terms = states
            .flat_map(move |state| [Term::new(state, None), Term::new(state, Some(category))]);
        terms.map(|term| term.key())
    }

    fn key(&self) -> String {
        let state = match self.state {
            State::Any => "any",
            State::Unread => "unread",
            State::Unseen => "unseen",
        };
        [state, "/", self.category.as_deref().unwrap_or_default()].concat()
    }

    /// Whether it is one that is looked for, perhaps hidden until its time.
    pub fn holds(&self, entry: &Entry, lines: &Lines) -> bool {
        let is = |kind| lines.since(kind, entry).is_some();
        let is_of = |category: &String| entry.category() == category;
        entry.is_there()
            && self.category.as_ref().is_none_or(is_of)
            && !is(Kind::Archived)
            && match self.state {
                State::Any => true,
                State::Unread => !is(Kind::Read),
                State::Unseen => !is(Kind::Seen),
            }
    }
}

/// From which waste on it pays to note something.
#[derive(Clone, Copy, Debug)]
pub struct Thrift {
    passed_min: u32,
}

impl Thrift {
    pub fn configured() -> Self {
        let passed_min = config::get("passed_min").and_then(|text| text.parse().ok());
        Thrift {
            passed_min: passed_min.unwrap_or(PASSED_MIN),
        }
    }

    /// What it costs to look at a place, in notifications that are passed: its items are
    /// read by their keys, each for itself.
    fn lookup_cost(self) -> i64 {
        i64::from(self.passed_min / 10).max(1)
    }
}

/// A stretch that a request went through, from the newest on.
#[derive(Clone, Debug, Default)]
pub struct Stretch {
    /// The lowest id in it.
    pub lower: String,
    /// Behind the highest.
    pub upper: String,
    /// How many were met.
    pub met: i64,
    /// Of what was looked for, which, and as the how-manieth it was met.
    pub found: Vec<(i64, String)>,
}

impl Stretch {
    pub fn add(&mut self, id: &str, is_wanted: bool) {
        self.met += 1;
        self.lower = id.into();
        if is_wanted {
            self.found.push((self.met, id.into()));
        }
    }

    /// The part of it whose list saves most, if it saves enough: the greatest sum of
    /// those that were passed in vain, less what its places cost (Kadane's algorithm).
    fn list(self, thrift: Thrift, at: i64) -> Option<List> {
        let (mut best, mut sum, mut from) = ((0, 0, 0), 0, 0);
        let mut last = 0;
        let ends = self.found.iter().map(|(met, _)| *met).chain([self.met + 1]);
        for (to, met) in ends.enumerate() {
            sum += met - last - 1;
            last = met;
            if sum > best.0 {
                best = (sum, from, to);
            }
            sum -= thrift.lookup_cost();
            if sum <= 0 {
                (sum, from) = (0, to + 1);
            }
        }
        let (saved, from, to) = best;
        let id = |place: usize| self.found.get(place).map(|(_, id)| id.clone());
        let upper = from.checked_sub(1).and_then(id).unwrap_or(self.upper);
        let places = self.found.get(from..to).unwrap_or_default().iter();
        let places = places.rev().map(|(_, id)| id.clone()).collect();
        let lower = id(to).map_or(self.lower, |id| above(&id));
        let list = List {
            lower,
            upper,
            places,
            saved,
            at,
        };
        (saved >= i64::from(thrift.passed_min)).then(|| list.bounded())
    }
}

/// The places of one term.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    /// Where its stretch begins, and behind its end.
    pub lower: String,
    pub upper: String,
    /// Ids, the oldest first.
    places: Vec<String>,
    /// How many items were read without a match when it was made.
    saved: i64,
    /// When it was made, in microseconds since 1970.
    at: i64,
}

impl List {
    /// Its places from `lower` on and before `upper`, the newest first.
    pub fn between(&self, lower: &str, upper: &str) -> Vec<String> {
        let places = self.places.iter().rev().map(String::as_str);
        let places = places.filter(|place| lower <= *place && *place < upper);
        places.map(Into::into).collect()
    }

    fn covers(&self, id: &str) -> bool {
        self.lower.as_str() <= id && id < self.upper.as_str()
    }

    /// Answers whether it is new.
    fn enter(&mut self, id: &str) -> bool {
        let place = self.places.binary_search_by(|own| own.as_str().cmp(id));
        match place {
            Err(place) if self.covers(id) => self.places.insert(place, id.into()),
            _ => return false,
        }
        let bounded = self.clone().bounded();
        *self = bounded;
        true
    }

    /// With no more places than may be: the stretch begins at the oldest that is left.
    fn bounded(mut self) -> Self {
        let surplus = self.places.len().saturating_sub(PLACES_MAX);
        self.places.drain(..surplus);
        if let (1.., Some(lowest)) = (surplus, self.places.first()) {
            self.lower.clone_from(lowest);
        }
        self
    }

    /// Both, where they are of one stretch.
    fn joined(&self, other: &List) -> Option<List> {
        let is_one = other.lower <= self.upper && self.lower <= other.upper;
        let mut places = self.places.clone();
        places.extend(other.places.iter().cloned());
        places.sort_unstable();
        places.dedup();
        let joined = List {
            lower: self.lower.clone().min(other.lower.clone()),
            upper: self.upper.clone().max(other.upper.clone()),
            places,
            saved: self.saved + other.saved,
            at: self.at,
        };
        is_one.then(|| joined.bounded())
    }
}

/// The lists of an inbox, by their terms.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Index(BTreeMap<String, List>);

impl Index {
    pub fn list(&self, term: &Term) -> Option<&List> {
        self.0.get(&term.key())
    }

    /// Enters notifications, each with its category, into the lists that they could be
    /// of. Answers whether that changed anything.
    pub fn enter<'n>(&mut self, them: impl IntoIterator<Item = (&'n str, &'n str)>) -> bool {
        let mut is_new = false;
        for (category, id) in them {
            for key in Term::all_of(category) {
                is_new |= self.0.get_mut(&key).is_some_and(|list| list.enter(id));
            }
        }
        is_new
    }

    /// Takes what a request found out: stretches that it went through, and places that
    /// lead to nothing any more. Answers whether that is worth keeping.
    pub fn learn(&mut self, term: &Term, lesson: Lesson, thrift: Thrift, at: i64) -> bool {
        let mut is_new = false;
        if let Some(list) = self.0.get_mut(&term.key())
            && lesson.stale.len() >= STALE_MIN
        {
            list.places.retain(|place| !lesson.stale.contains(place));
            is_new = true;
        }
        let lists = lesson.stretches.into_iter();
        for list in lists.filter_map(|stretch| stretch.list(thrift, at)) {
            is_new |= self.take(&term.key(), list);
        }
        is_new
    }

    fn take(&mut self, key: &str, list: List) -> bool {
        let own = self.0.get(key);
        let joined = own.and_then(|own| own.joined(&list));
        let is_aged = |own: &List| own.at.saturating_add(micros(AGED)) < list.at;
        let gives_way = |own: &List| own.saved < list.saved || is_aged(own);
        let new = match (own, joined) {
            (Some(own), Some(joined))
                if (&own.lower, &own.upper) == (&joined.lower, &joined.upper) =>
            {
                return false;
            }
            (_, Some(joined)) => joined,
            (Some(own), None) if !gives_way(own) => return false,
            (_, None) => list,
        };
        self.0.insert(key.into(), new);
        while self.0.len() > LISTS_MAX {
            let oldest = self.0.iter().min_by_key(|(_, list)| list.at);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else {
                break;
            };
            self.0.remove(&oldest);
        }
        true
    }
}

/// What a request found out of one term.
#[derive(Clone, Debug, Default)]
pub struct Lesson {
    pub stretches: Vec<Stretch>,
    /// Places of the list that are none.
    pub stale: Vec<String>,
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;

//! Chooses how a request reads an inbox to find what it looks for.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::time::Duration;

use hearth_plugin::documents::Error;
use hearth_plugin::prelude::*;

use crate::entry::Entry;
use crate::inbox::Inbox;
use crate::postings::{Lesson, Stretch, Term, Thrift};
use crate::summary::Summary;
use crate::walk::{End, Walk};

/// What is younger may still get neighbours that are older: it is part of no list.
pub const YOUNG: Duration = Duration::from_secs(120);

/// A part of the way.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Leg {
    /// One after the other, from before `upper` down to `lower`.
    Range { lower: String, upper: String },
    /// The places of a posting list.
    Places(Vec<String>),
    /// What stands in the list of those that are marked so.
    Listed {
        list: &'static str,
        lower: String,
        upper: String,
    },
}

impl Leg {
    /// How far down it leads.
    fn lowest(&self) -> Option<String> {
        match self {
            Leg::Range { lower, .. } | Leg::Listed { lower, .. } => Some(lower.clone()),
            Leg::Places(places) => places.last().cloned(),
        }
    }
}

/// The parts of the way, from the newest on, and what is looked for on it.
pub struct Route {
    legs: Vec<Leg>,
    terms: Vec<Term>,
}

impl Route {
    /// To those that are of one of these terms: one after the other.
    pub fn plain(terms: Vec<Term>, lower: &str, upper: &str) -> Self {
        let (lower, upper) = (lower.into(), upper.into());
        Route {
            legs: vec![Leg::Range { lower, upper }],
            terms,
        }
    }

    /// To those that are of this term: over its places, as far as there is a list.
    pub fn to(term: Term, summary: &Summary, lower: &str, upper: &str) -> Self {
        let Some(list) = summary.index.list(&term) else {
            return Route::plain(vec![term], lower, upper);
        };
        let range = |lower: &str, upper: &str| Leg::Range {
            lower: lower.into(),
            upper: upper.into(),
        };
        let (begins, ends) = (list.lower.as_str(), list.upper.as_str());
        let legs = vec![
            range(lower.max(ends), upper),
            Leg::Places(list.between(lower, upper)),
            range(lower, upper.min(begins)),
        ];
        Route {
            legs,
            terms: vec![term],
        }
    }

    /// To those that are marked so: what stands in their list, and below the sort key
    /// `line` one after the other, for there a watermark may say it of all.
    pub fn listed(list: &'static str, line: &str, lower: &str, upper: &str) -> Self {
        let above = Leg::Listed {
            list,
            lower: lower.max(line).into(),
            upper: upper.into(),
        };
        let below = Leg::Range {
            lower: lower.into(),
            upper: upper.min(line).into(),
        };
        Route {
            legs: vec![above, below],
            terms: Vec::new(),
        }
    }

    /// Goes there, and keeps for the next one what it paid for.
    pub fn follow(
        self,
        walk: &mut Walk<'_>,
        (inbox, mut summary): (&Inbox, Summary),
        now: Timestamp,
        mut visit: impl FnMut(Entry) -> ControlFlow<()>,
    ) -> Result<End, Error> {
        let old = id::first("ntf", now.before(YOUNG));
        let mut lessons: Vec<Lesson> = vec![Lesson::default(); self.terms.len()];
        let (mut end, mut reached) = (End::Bottom, None);
        for leg in &self.legs {
            let way = Way {
                summary: &summary,
                terms: &self.terms,
                old: &old,
            };
            end = match way.go(leg, walk, &mut lessons, &mut visit)? {
                End::Bottom => End::Bottom,
                End::Enough => End::Enough,
                End::Spent(last) => End::Spent(last.or_else(|| reached.clone())),
            };
            if end != End::Bottom {
                break;
            }
            reached = leg.lowest().or(reached);
        }
        let thrift = Thrift::configured();
        let mut is_new = false;
        for (term, lesson) in self.terms.iter().zip(lessons) {
            is_new |= summary.index.learn(term, lesson, thrift, now.micros());
        }
        if is_new {
            summary.keep(inbox);
        }
        Ok(end)
    }
}

/// What is known while a route is followed.
struct Way<'w> {
    summary: &'w Summary,
    terms: &'w [Term],
    /// The id from which on they are too young for lists.
    old: &'w str,
}

impl Way<'_> {
    fn go(
        &self,
        leg: &Leg,
        walk: &mut Walk<'_>,
        lessons: &mut [Lesson],
        visit: &mut impl FnMut(Entry) -> ControlFlow<()>,
    ) -> Result<End, Error> {
        match leg {
            Leg::Range { lower, upper } => {
                let mut stretches = vec![Stretch::default(); self.terms.len()];
                let end = walk.range(lower, upper, &mut |entry| {
                    self.add(&mut stretches, &entry);
                    visit(entry)
                })?;
                for (lesson, mut stretch) in lessons.iter_mut().zip(stretches) {
                    stretch.upper = upper.as_str().min(self.old).into();
                    if end == End::Bottom {
                        stretch.lower.clone_from(lower);
                    }
                    lesson.stretches.push(stretch);
                }
                Ok(end)
            }
            Leg::Places(places) => {
                let mut missing: BTreeSet<&String> = places.iter().collect();
                let end = walk.ids(places, &mut |entry| {
                    if self.is_wanted(&entry) {
                        missing.remove(&entry.id);
                    }
                    visit(entry)
                })?;
                // Where the walk ended before, nothing is known of the others.
                if let (End::Bottom, Some(lesson)) = (&end, lessons.first_mut()) {
                    lesson.stale.extend(missing.into_iter().cloned());
                }
                Ok(end)
            }
            Leg::Listed { list, lower, upper } => {
                walk.listed(list, (lower.as_str(), upper.as_str()), visit)
            }
        }
    }

    fn is_wanted(&self, entry: &Entry) -> bool {
        let lines = &self.summary.lines;
        self.terms.iter().any(|term| term.holds(entry, lines))
    }

    fn add(&self, stretches: &mut [Stretch], entry: &Entry) {
        if entry.id.as_str() >= self.old {
            return;
        }
        for (term, stretch) in self.terms.iter().zip(stretches) {
            stretch.add(&entry.id, term.holds(entry, &self.summary.lines));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postings::State;

    fn range(lower: &str, upper: &str) -> Leg {
        Leg::Range {
            lower: lower.into(),
            upper: upper.into(),
        }
    }

    #[test]
    fn without_a_list_the_way_is_through_all() {
        let term = Term::new(State::Unread, None);
        let route = Route::to(term, &Summary::default(), "a", "z");
        assert_eq!(route.legs, [range("a", "z")]);
    }

    #[test]
    fn marked_ones_stand_in_their_list_above_the_watermark() {
        let listed = |lower: &str, upper: &str| Leg::Listed {
            list: "read",
            lower: lower.into(),
            upper: upper.into(),
        };
        for (lower, upper, above, below) in [
            ("a", "z", listed("m", "z"), range("a", "m")),
            ("n", "z", listed("n", "z"), range("n", "m")),
            ("a", "b", listed("m", "b"), range("a", "b")),
        ] {
            let route = Route::listed("read", "m", lower, upper);
            assert_eq!(route.legs, [above, below]);
        }
    }
}

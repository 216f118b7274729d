//! Watermarks: flags of all notifications of an inbox at once.
//!
//! A watermark says "read, up to here, at this time", for all categories or for one. A
//! notification that is not newer is read, unless it has its own flag of a later time:
//! the latest one counts. If such a flag says the opposite, the notification is below
//! the watermark and unread all the same; the floor says how far down there may be such
//! notifications, so that a listing need not read further.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::entry::Entry;
use crate::flag::Kind;

/// Categories with a watermark of their own; one for all makes room again.
const CATEGORIES_MAX: usize = 100;
/// Before every notification.
pub const FIRST: &str = "ntf_";
/// Behind every notification.
pub const LAST: &str = "ntf_g";

/// How far up, and when it was said, in microseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watermark {
    upto: String,
    at: i64,
}

/// All watermarks of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Line {
    all: Option<Watermark>,
    categories: BTreeMap<String, Watermark>,
    floor: Option<String>,
}

/// What [`Line::raise`] came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Raised {
    /// The watermark decides it.
    Yes,
    /// It lies below the watermark: those of this range that are not so are to be
    /// marked one by one.
    Below { floor: String, upto: String },
    /// There is nothing to be done.
    No,
}

/// There are too many categories with a watermark of their own.
#[derive(Debug, PartialEq, Eq)]
pub struct TooMany;

impl Line {
    fn covering(&self, category: &str) -> impl Iterator<Item = &Watermark> {
        self.all.iter().chain(self.categories.get(category))
    }

    fn upto(&self, category: Option<&str>) -> Option<&str> {
        let own = category.and_then(|category| self.categories.get(category));
        let both = self.all.iter().chain(own);
        both.map(|watermark| watermark.upto.as_str()).max()
    }

    /// The sort key up to which a watermark says it of anything, of one category or all.
    pub fn higher(&self, category: Option<&str>) -> String {
        let highest = match category {
            Some(_) => self.upto(category),
            None => {
                let each = self.all.iter().chain(self.categories.values());
                each.map(|watermark| watermark.upto.as_str()).max()
            }
        };
        highest.map_or_else(|| FIRST.into(), above)
    }

    /// Whether a watermark is at this notification or above it.
    pub fn covers(&self, category: &str, id: &str) -> bool {
        self.at(category, id).is_some()
    }

    /// When the latest word of a watermark on this notification was said.
    pub fn at(&self, category: &str, id: &str) -> Option<i64> {
        let covering = self.covering(category);
        let covering = covering.filter(|watermark| id <= watermark.upto.as_str());
        covering.map(|watermark| watermark.at).max()
    }

    /// The sort key from which on there may be notifications that are not so.
    pub fn lower(&self, category: Option<&str>) -> String {
        let above = self.upto(category).map(above);
        let lower = above.unwrap_or_else(|| FIRST.into());
        match &self.floor {
            Some(floor) if *floor < lower => floor.clone(),
            _ => lower,
        }
    }

    /// Lets listings look down to this notification. Answers whether that is new.
    pub fn sink(&mut self, category: &str, id: &str) -> bool {
        let reaches = self.floor.as_deref().is_some_and(|floor| floor <= id);
        if reaches || !self.covers(category, id) {
            return false;
        }
        self.floor = Some(id.into());
        true
    }

    /// Says it of all up to here, of one category or all.
    pub fn raise(
        &mut self,
        category: Option<&str>,
        upto: &str,
        at: i64,
    ) -> Result<Raised, TooMany> {
        if self.upto(category).is_some_and(|there| upto < there) {
            let floor = self.floor.clone().filter(|floor| floor.as_str() <= upto);
            return Ok(floor.map_or(Raised::No, |floor| Raised::Below {
                floor,
                upto: upto.into(),
            }));
        }
        let watermark = Watermark {
            upto: upto.into(),
            at,
        };
        match category {
            None => self.raise_all(watermark),
            Some(category) => {
                let is_new = !self.categories.contains_key(category);
                if is_new && self.categories.len() >= CATEGORIES_MAX {
                    return Err(TooMany);
                }
                self.categories.insert(category.into(), watermark);
            }
        }
        Ok(Raised::Yes)
    }

    /// Marks of before count no more, up to there. What lies below watermarks of
    /// categories that are higher still may be marked otherwise.
    fn raise_all(&mut self, watermark: Watermark) {
        self.categories.retain(|_, own| own.upto > watermark.upto);
        let rest = above(&watermark.upto);
        let higher = self.floor.take().map(|floor| floor.max(rest));
        self.floor = higher.filter(|_| !self.categories.is_empty());
        self.all = Some(watermark);
    }
}

/// The sort key behind everything that belongs to a notification.
pub fn above(id: &str) -> String {
    [id, "0"].concat()
}

/// The watermarks of an inbox.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lines {
    archived: Line,
    read: Line,
    seen: Line,
}

impl Lines {
    pub fn of(&self, kind: Kind) -> &Line {
        match kind {
            Kind::Archived => &self.archived,
            Kind::Read => &self.read,
            Kind::Seen => &self.seen,
        }
    }

    pub fn of_mut(&mut self, kind: Kind) -> &mut Line {
        match kind {
            Kind::Archived => &mut self.archived,
            Kind::Read => &mut self.read,
            Kind::Seen => &mut self.seen,
        }
    }

    /// The latest word on a notification: whether it is so, and when that was said, in
    /// microseconds since 1970.
    pub fn latest(&self, kind: Kind, entry: &Entry) -> Option<(bool, i64)> {
        let latest = self.of(kind).at(entry.category(), &entry.id);
        let own = entry.flag(kind).map(|flag| (flag.on, flag.at));
        match (latest, own) {
            (Some(at), Some((_, own_at))) if own_at >= at => own,
            (Some(at), _) => Some((true, at)),
            (None, own) => own,
        }
    }

    /// Since when a notification is so, if it is, in microseconds since 1970.
    pub fn since(&self, kind: Kind, entry: &Entry) -> Option<i64> {
        let (on, at) = self.latest(kind, entry)?;
        on.then_some(at)
    }
}

#[cfg(test)]
mod tests;

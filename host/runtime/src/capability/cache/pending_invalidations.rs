//! What this host declared stale and has not told the others of yet.

use std::collections::HashMap;

use super::stale_marks::{Mark, Moment};
use hearth_backend::postgres::invalidations::Stale;

/// One declaration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declaration {
    /// `None` where everything of the plugin goes.
    pub(super) mark: Option<Mark>,
    pub(super) moment: Moment,
    pub customer: Option<String>,
    pub what: Stale,
}

/// Bounded: one too many, and everything is declared in their stead.
pub(super) struct PendingInvalidations {
    some: HashMap<Mark, Declaration>,
    everything: Option<Moment>,
    some_max: usize,
}

impl PendingInvalidations {
    pub(super) fn new(some_max: usize) -> PendingInvalidations {
        PendingInvalidations {
            some: HashMap::new(),
            everything: None,
            some_max,
        }
    }

    pub(super) fn add(&mut self, mark: Mark, moment: Moment, customer: Option<&str>, what: Stale) {
        if self.some.len() >= self.some_max && !self.some.contains_key(&mark) {
            return self.add_all(moment);
        }
        let declared = Declaration {
            mark: Some(mark),
            moment,
            customer: customer.map(str::to_owned),
            what,
        };
        self.some.insert(mark, declared);
    }

    pub(super) fn add_all(&mut self, moment: Moment) {
        self.some.clear();
        self.everything = Some(moment);
    }

    pub(super) fn all(&self) -> Vec<Declaration> {
        let everything = self.everything.map(|moment| Declaration {
            mark: None,
            moment,
            customer: None,
            what: Stale::Plugin,
        });
        self.some.values().cloned().chain(everything).collect()
    }

    /// What was declared again since waits on.
    pub(super) fn remove(&mut self, told: &Declaration) {
        let Some(mark) = told.mark else {
            if self.everything == Some(told.moment) {
                self.everything = None;
            }
            return;
        };
        if self
            .some
            .get(&mark)
            .is_some_and(|known| known.moment == told.moment)
        {
            self.some.remove(&mark);
        }
    }

    pub(super) fn has_any(&self, marks: &[Mark]) -> bool {
        let has = |mark: &Mark| self.some.contains_key(mark);
        self.everything.is_some() || marks.iter().any(has)
    }
}

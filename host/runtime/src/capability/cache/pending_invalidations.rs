//! What this host declared stale and has not told the others of yet.

use std::collections::HashMap;

use super::invalidations::{Moment, TagHash};
use hearth_backend::postgres::invalidations::Stale;

/// One declaration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declaration {
    /// `None` where everything of the plugin goes.
    pub(super) tag: Option<TagHash>,
    pub(super) moment: Moment,
    pub customer: Option<String>,
    pub what: Stale,
}

/// Bounded: one too many, and everything is declared in their stead.
pub(super) struct PendingInvalidations {
    some: HashMap<TagHash, Declaration>,
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

    pub(super) fn add(
        &mut self,
        tag: TagHash,
        moment: Moment,
        customer: Option<&str>,
        what: Stale,
    ) {
        if self.some.len() >= self.some_max && !self.some.contains_key(&tag) {
            return self.add_all(moment);
        }
        let declared = Declaration {
            tag: Some(tag),
            moment,
            customer: customer.map(str::to_owned),
            what,
        };
        self.some.insert(tag, declared);
    }

    pub(super) fn add_all(&mut self, moment: Moment) {
        self.some.clear();
        self.everything = Some(moment);
    }

    pub(super) fn all(&self) -> Vec<Declaration> {
        let everything = self.everything.map(|moment| Declaration {
            tag: None,
            moment,
            customer: None,
            what: Stale::Plugin,
        });
        self.some.values().cloned().chain(everything).collect()
    }

    /// What was declared again since waits on.
    pub(super) fn remove(&mut self, told: &Declaration) {
        let Some(tag) = told.tag else {
            if self.everything == Some(told.moment) {
                self.everything = None;
            }
            return;
        };
        if self
            .some
            .get(&tag)
            .is_some_and(|known| known.moment == told.moment)
        {
            self.some.remove(&tag);
        }
    }

    pub(super) fn has_any(&self, tags: &[TagHash]) -> bool {
        let has = |tag: &TagHash| self.some.contains_key(tag);
        self.everything.is_some() || tags.iter().any(has)
    }
}

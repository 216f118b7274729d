//! The order in which those who wait are served, plugins and customers alike.

use std::collections::BTreeMap;

/// The fewest running first; among equals, whoever was served longest ago.
/// Turns are never given twice, so no two ranks are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    pub(super) running: usize,
    pub(super) turn: u64,
}

pub(super) struct Turns<T> {
    ranks: BTreeMap<Rank, T>,
}

impl<T> Default for Turns<T> {
    fn default() -> Self {
        Turns {
            ranks: BTreeMap::new(),
        }
    }
}

impl<T> Turns<T> {
    pub(super) fn first(&self) -> Option<&T> {
        self.ranks.values().next()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ranks.is_empty()
    }

    /// Moves somebody from `from` to `to`; nothing stands for not being ready.
    pub(super) fn place(
        &mut self,
        from: &mut Option<Rank>,
        to: Option<Rank>,
        who: impl FnOnce() -> T,
    ) {
        if *from == to {
            return;
        }
        self.leave(from.take());
        if let Some(rank) = to {
            self.ranks.insert(rank, who());
        }
        *from = to;
    }

    pub(super) fn leave(&mut self, from: Option<Rank>) {
        if let Some(rank) = from {
            self.ranks.remove(&rank);
        }
    }
}

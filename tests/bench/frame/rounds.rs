//! Sides that take turns: whatever else the machine does, it does to all of them.

use super::settings;

/// What came of each turn, by side and round.
pub struct Rounds<M>(Vec<Vec<M>>);

impl<M> Rounds<M> {
    /// In each round every side has its turn, and another one begins.
    pub async fn take(sides: usize, mut turn: impl AsyncFnMut(usize) -> M) -> Rounds<M> {
        let mut all: Vec<Vec<M>> = (0..sides).map(|_| Vec::new()).collect();
        for round in 0..settings::rounds() {
            for place in 0..sides {
                let side = (round + place) % sides;
                let measured = turn(side).await;
                all[side].push(measured);
            }
        }
        Rounds(all)
    }

    /// Of a side.
    pub fn median(&self, side: usize, of: impl Fn(&M) -> f64) -> f64 {
        median(self.0[side].iter().map(of))
    }

    /// Of the ratios of two sides within each round, so that what changes between rounds
    /// is in neither.
    pub fn ratio(&self, [ours, theirs]: [usize; 2], of: impl Fn(&M) -> f64) -> f64 {
        let pairs = self.0[ours].iter().zip(&self.0[theirs]);
        median(pairs.map(|(ours, theirs)| of(ours) / of(theirs)))
    }
}

pub fn median(all: impl Iterator<Item = f64>) -> f64 {
    let mut all: Vec<f64> = all.collect();
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

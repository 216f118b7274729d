//! Removes what models must not learn from: outliers, and levels that have ended. An
//! outlier is neither trend nor season, and is expected again only if there was one a
//! year before, too.

use super::season::YEAR;

/// How far a month or a level must be from those around it.
#[derive(Clone, Copy)]
struct Limit {
    /// In usual changes from month to month.
    changes: f64,
    /// However even the values are: on a logarithm, as a part of the amount.
    least: f64,
}

/// Tried on public series: narrower ones take what comes again, wider ones leave what
/// bends forecasts.
const MONTH: Limit = Limit {
    changes: 5.0,
    least: 0.2,
};
/// Where the history is too short to know its seasons.
const MONTH_WITHOUT_SEASON: Limit = Limit {
    changes: 7.0,
    least: std::f64::consts::LN_2,
};
/// It may be the first of a new level; but mostly it is not.
const LAST_MONTH: Limit = Limit {
    changes: 4.0,
    least: 0.4,
};
const LEVEL: Limit = Limit {
    changes: 3.5,
    least: 0.2,
};

impl Limit {
    fn is_beyond(self, distance: f64, usual: f64) -> bool {
        distance.abs() > (self.changes * usual).max(self.least)
    }
}

/// From a median of absolute changes to a standard deviation, where they are normal.
const MEDIAN_TO_DEVIATION: f64 = 1.4826;
/// Months that say on each side what is usual there.
const AROUND: usize = 3;
/// From the middle of those to the month itself.
const TO_MIDDLE: f64 = 2.0;
/// A level has at least so many months.
const LEVEL_MONTHS_MIN: usize = 2;
/// Levels that may have ended.
const BREAKS_MAX: usize = 3;
/// Of two that came a year apart one is at least so much of the other.
const ALIKE: f64 = 0.5;

/// The values of a history, on the scale of the models, as they would be without.
#[derive(Clone, Debug, PartialEq)]
pub struct Baseline {
    pub values: Vec<f64>,
    /// The months that were far from all around them.
    pub odd: Vec<usize>,
    /// What comes once a year, where the history is too short for a season: when it came
    /// last, and what it adds.
    yearly: Vec<(usize, f64)>,
    past: usize,
}

impl Baseline {
    /// Of a history; `has_season`: what comes every year is left in it.
    pub fn of(values: &[f64], has_season: bool) -> Baseline {
        let mut baseline = Baseline {
            values: values.to_vec(),
            odd: Vec::new(),
            yearly: Vec::new(),
            past: values.len(),
        };
        let usual = usual_change(values);
        let limit = if has_season {
            MONTH
        } else {
            MONTH_WITHOUT_SEASON
        };
        let outliers = outliers(values, usual, limit);
        let is_yearly = |own: &&Outlier| own.is_yearly;
        if !has_season {
            let last = outliers.iter().filter(is_yearly);
            let last = last.filter(|own| own.position + YEAR >= values.len());
            baseline.yearly = last.map(|own| (own.position, own.excess)).collect();
        }
        let single = outliers.iter().filter(|own| !own.is_yearly).count();
        for own in &outliers {
            let taken_out = match own.is_yearly {
                true => !has_season,
                false => single <= values.len().div_ceil(YEAR),
            };
            if taken_out && let Some(value) = baseline.values.get_mut(own.position) {
                *value -= own.excess;
                baseline.odd.push(own.position);
            }
        }
        for _ in 0..BREAKS_MAX {
            if !level(&mut baseline.values, usual) {
                break;
            }
        }
        baseline
    }

    /// What comes once a year, in the months after the history.
    pub fn yearly_after(&self, ahead: &mut [f64]) {
        for (position, excess) in &self.yearly {
            let first = position + YEAR - self.past;
            for value in ahead.iter_mut().skip(first).step_by(YEAR) {
                *value += excess;
            }
        }
    }
}

/// The usual change from month to month, as a standard deviation. Of two changes in the
/// middle it is the smaller: one odd month is two of them.
fn usual_change(values: &[f64]) -> f64 {
    let changes = values.iter().skip(1).zip(values);
    let mut changes: Vec<_> = changes.map(|(next, value)| (next - value).abs()).collect();
    changes.sort_by(f64::total_cmp);
    let middle = changes.len().saturating_sub(1) / 2;
    MEDIAN_TO_DEVIATION * changes.get(middle).copied().unwrap_or_default()
}

/// A month far from all around it.
struct Outlier {
    position: usize,
    /// What it has more than its neighbours.
    excess: f64,
    /// It came a year before, or a year later, too.
    is_yearly: bool,
}

fn outliers(values: &[f64], usual: f64, limit: Limit) -> Vec<Outlier> {
    let last = values.len().saturating_sub(1);
    // After nothing at all the last month is the first of something.
    let begins = values.iter().take(last).all(|value| *value == 0.0);
    let distances: Vec<_> = (0..values.len()).map(|at| distance(values, at)).collect();
    let of = |at: Option<usize>| at.and_then(|at| distances.get(at)).copied();
    let outlier = |(position, distance): (usize, &f64)| {
        let limit = if position == last { LAST_MONTH } else { limit };
        if begins || !limit.is_beyond(*distance, usual) {
            return None;
        }
        let is_alike = |other: f64| {
            let part = other / distance;
            (ALIKE..=1.0 / ALIKE).contains(&part)
        };
        let before = of(position.checked_sub(YEAR)).is_some_and(is_alike);
        let after = of(position.checked_add(YEAR)).is_some_and(is_alike);
        Some(Outlier {
            position,
            excess: excess(values, position),
            is_yearly: before || after,
        })
    };
    distances.iter().enumerate().filter_map(outlier).collect()
}

/// How far a month is from all around it: from the next month and from what is usual,
/// on both sides. Nothing where those are not all on one side of it.
fn distance(values: &[f64], at: usize) -> f64 {
    let Some((value, (before, after))) = values.get(at).zip(sides(values, at)) else {
        return 0.0;
    };
    let next = [before.last().copied(), after.first().copied()];
    let usual = [median(before.to_vec()), median(after.to_vec())];
    let around = next.into_iter().chain(usual).flatten();
    let distances: Vec<_> = around.map(|around| value - around).collect();
    let nearest = distances.iter().copied().fold(f64::INFINITY, |near, own| {
        if own.abs() < near.abs() { own } else { near }
    });
    match distances.iter().all(|own| own * nearest > 0.0) {
        true if nearest.is_finite() => nearest,
        _ => 0.0,
    }
}

/// What a month has more than is usual there: the mean of what is usual on both sides. At
/// an end of the history there is one side, and where that leads to is usual.
fn excess(values: &[f64], at: usize) -> f64 {
    let Some((value, (before, after))) = values.get(at).zip(sides(values, at)) else {
        return 0.0;
    };
    let usual = match (median(before.to_vec()), median(after.to_vec())) {
        (Some(before), Some(after)) => (before + after) / 2.0,
        (Some(usual), None) => continued(values.get(..at).unwrap_or_default(), usual),
        (None, Some(usual)) => {
            let later = values.iter().skip(at + 1).rev();
            continued(&later.copied().collect::<Vec<_>>(), usual)
        }
        (None, None) => return 0.0,
    };
    value - usual
}

/// What comes after values whose last few have this median: as the year rises or falls,
/// or, where its months change as they did the year before, what came a year ago, and what
/// the last few had more than theirs.
fn continued(values: &[f64], usual: f64) -> f64 {
    let pairs = values.iter().skip(YEAR).zip(values);
    let of_year: Vec<_> = pairs.map(|(own, year_ago)| own - year_ago).collect();
    let is_yearly = of_year.len() > YEAR && changes(&of_year) < changes(values);
    let year_ago = end(values, YEAR).first();
    match (year_ago, median(end(&of_year, AROUND).to_vec())) {
        (Some(year_ago), Some(more)) if is_yearly => year_ago + more,
        _ => usual + TO_MIDDLE * rise(end(values, YEAR)),
    }
}

/// The last so many.
fn end(values: &[f64], count: usize) -> &[f64] {
    values
        .get(values.len().saturating_sub(count)..)
        .unwrap_or_default()
}

/// All changes of a year, from each month to the next.
fn changes(values: &[f64]) -> f64 {
    let values = end(values, YEAR + 1);
    let pairs = values.iter().skip(1).zip(values);
    pairs.map(|(next, value)| (next - value).abs()).sum()
}

/// By how much values rise from one to the next: the median of the slopes between any two
/// of them (Theil and Sen), which an odd one does not change.
fn rise(values: &[f64]) -> f64 {
    let pairs = (1..values.len()).flat_map(|apart| {
        let pairs = values.iter().skip(apart).zip(values);
        pairs.map(move |(later, value)| (later - value) / apart as f64)
    });
    median(pairs.collect()).unwrap_or_default()
}

/// The months before and after one, at an end of the history those of the other side
/// where there are enough of them.
fn sides(values: &[f64], at: usize) -> Option<(&[f64], &[f64])> {
    let before = values.get(at.saturating_sub(AROUND)..at)?;
    let after = values.get(at + 1..(at + 1 + AROUND).min(values.len()))?;
    let is_enough = match (before.len(), after.len()) {
        (0, count) | (count, 0) => count == AROUND,
        _ => true,
    };
    is_enough.then_some((before, after))
}

/// Gives the months before the clearest break the level after it; whether there was one.
fn level(values: &mut [f64], usual: f64) -> bool {
    let last = values.len().saturating_sub(LEVEL_MONTHS_MIN);
    let breaks = (LEVEL_MONTHS_MIN..=last).map(|at| (at, gap(values, at)));
    let clearest = breaks.max_by(|(_, one), (_, other)| one.total_cmp(other));
    let Some((at, gap)) = clearest else {
        return false;
    };
    if !LEVEL.is_beyond(gap, usual) {
        return false;
    }
    let (before, after) = values.split_at_mut(at);
    let end = before.len().saturating_sub(AROUND);
    let old = before.get(end..).and_then(|own| median(own.to_vec()));
    let new = after
        .get(..AROUND.min(after.len()))
        .and_then(|own| median(own.to_vec()));
    let rise = new.unwrap_or_default() - old.unwrap_or_default();
    before.iter_mut().for_each(|value| *value += rise);
    true
}

/// How far the year before a month and the year from it on are from each other: what is
/// between the highest of the lower and the lowest of the higher. Months of a season are
/// in both years, and leave nothing between them.
fn gap(values: &[f64], at: usize) -> f64 {
    let (before, after) = values.split_at(at.min(values.len()));
    let before = before.get(before.len().saturating_sub(YEAR)..);
    let after = after.get(..after.len().min(YEAR));
    let range = |own: Option<&[f64]>| {
        let values = own.unwrap_or_default().iter().copied();
        let least = values.clone().fold(f64::INFINITY, f64::min);
        (least, values.fold(f64::NEG_INFINITY, f64::max))
    };
    let ((low, high), (new_low, new_high)) = (range(before), range(after));
    (new_low - high).max(low - new_high).max(0.0)
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.len().checked_sub(1)? / 2, values.len() / 2);
    Some((values.get(low)? + values.get(high)?) / 2.0)
}

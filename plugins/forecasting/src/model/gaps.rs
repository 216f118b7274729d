//! Months without an amount.

use super::HISTORY_MONTHS_MIN;

/// A history from its first cost to its last amount. What was not used yet costs
/// nothing, and says nothing of what it will cost; but where it says all that there
/// is, it stays.
pub fn without_edges(history: &[Option<f64>]) -> &[Option<f64>] {
    let is_known = |amount: &Option<f64>| amount.is_some();
    let end = history
        .iter()
        .rposition(is_known)
        .map_or(0, |last| last + 1);
    let known = history.get(..end).unwrap_or_default();
    let costs = |amount: &Option<f64>| amount.is_some_and(|amount| amount != 0.0);
    let from_cost = from(known, known.iter().position(costs));
    match from_cost.iter().flatten().count() < HISTORY_MONTHS_MIN {
        true => from(known, known.iter().position(Option::is_some)),
        false => from_cost,
    }
}

/// A history up to its last amount.
pub fn known(history: &[Option<f64>]) -> &[Option<f64>] {
    let last = history.iter().rposition(Option::is_some);
    let end = last.map_or(0, |last| last + 1);
    history.get(..end).unwrap_or_default()
}

fn from(history: &[Option<f64>], first: Option<usize>) -> &[Option<f64>] {
    let first = first.unwrap_or(history.len());
    history.get(first..).unwrap_or_default()
}

/// A history without gaps: between two amounts those on the line from one to the
/// other, at the edges the nearest.
pub fn filled(history: &[Option<f64>]) -> Vec<f64> {
    let mut filled = Vec::with_capacity(history.len());
    let mut before: Option<f64> = None;
    let mut missing = 0_usize;
    for amount in history {
        let Some(amount) = *amount else {
            missing += 1;
            continue;
        };
        let start = before.unwrap_or(amount);
        let rise = (amount - start) / (missing as f64 + 1.0);
        filled.extend((1..=missing).map(|step| start + rise * step as f64));
        filled.push(amount);
        (before, missing) = (Some(amount), 0);
    }
    filled.extend(std::iter::repeat_n(before.unwrap_or_default(), missing));
    filled
}

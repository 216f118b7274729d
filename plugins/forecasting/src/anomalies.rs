//! `GET /anomalies`: months that cost much more, or less, than expected.

use hearth_plugin::prelude::*;

use crate::cached;
use crate::costs::{self, Costs, numbers};
use crate::model::{self, Surprise};
use crate::money::Rounding;
use crate::selection::{GroupBy, Selection};

/// Months that are looked at.
const MONTHS: i64 = 12;
const MONTHS_MAX: i64 = 24;

/// Each month beside what the months before it led to expect. One is an anomaly where
/// it is much further off than such expectations mostly are.
pub fn get(request: &Request) -> Answer {
    let mut query = request.query()?;
    let selection = Selection::read(&mut query);
    let months = query.integer("months").range(1..=MONTHS_MAX).or(MONTHS);
    query.finish()?;
    let parameters = [selection.key(), months.to_string()];
    cached::answer(request, "anomalies", &parameters, |database| {
        let costs = costs::read(database, &selection)?.ok_or_else(|| too_few(0))?;
        answer(&costs, &selection, usize::try_from(months).unwrap_or(1))
    })
}

fn answer(costs: &Costs, selection: &Selection, months: usize) -> Result<Value, Problem> {
    let total = model::surprises(&numbers(&costs.total), months);
    let total = total.map_err(|error| too_few(error.found))?;
    let mut found: Vec<_> = total.iter().map(|own| to_json(own, costs, None)).collect();
    for group in &costs.groups {
        let own = model::surprises(&numbers(&group.amounts), months).unwrap_or_default();
        let key = group.key.to_json();
        found.extend(own.iter().map(|own| to_json(own, costs, Some(&key))));
    }
    // The latest first; of a month the dearest first.
    let order = |own: &Value| {
        let month = own["month"].as_str().unwrap_or_default().to_string();
        (month, own["impact"].as_f64().unwrap_or_default().abs())
    };
    found.sort_by(|one, other| {
        let ((one, impact), (other, other_impact)) = (order(one), order(other));
        other.cmp(&one).then(other_impact.total_cmp(&impact))
    });
    Ok(json!({
        "metric": costs.metric.name(),
        "currency": costs.currency,
        "group_by": selection.group_by.as_ref().map(GroupBy::name),
        "months": months,
        "data_through": costs.through.to_string(),
        "computed_at": Timestamp::now().to_string(),
        "anomalies": found,
    }))
}

fn too_few(found: usize) -> Problem {
    costs::not_enough(
        model::surprise::MONTHS_MIN,
        found,
        "the search for anomalies",
    )
}

fn to_json(surprise: &Surprise, costs: &Costs, group: Option<&Value>) -> Value {
    let after = i64::try_from(surprise.months_after).unwrap_or(0);
    let largest = surprise.actual.abs().max(surprise.expected.abs());
    let rounding = Rounding::for_amounts_of(largest);
    let impact = rounding.round(surprise.actual - surprise.expected);
    json!({
        "month": costs.through.plus(-after).to_string(),
        "group": group,
        "kind": if impact >= 0.0 { "spike" } else { "drop" },
        "actual": surprise.actual,
        "expected": rounding.round(surprise.expected),
        "lower": rounding.round(surprise.lower),
        "upper": rounding.round(surprise.upper),
        "impact": impact,
    })
}

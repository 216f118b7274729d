//! `GET /history`: what was spent, exactly.

use hearth_plugin::prelude::*;
use hearth_plugin::sql::Numeric;

use crate::cached;
use crate::costs::{self, Costs, Partial};
use crate::month::{Month, NO_MONTH};
use crate::selection::{GroupBy, Metric, Selection};

/// Amounts by month, decimals as text; `null` where nothing was loaded. The month
/// that is not over, or not loaded to its end, is the last and not complete.
pub fn get(request: &Request) -> Answer {
    let mut query = request.query()?;
    let selection = Selection::read(&mut query);
    let mut month = |name| {
        let text = query.text(name);
        text.convert("wrong_type", NO_MONTH, |text| Month::parse(&text))
            .optional()
    };
    let (from, to) = (month("from"), month("to"));
    if let (Some(from), Some(to)) = (from, to)
        && to < from
    {
        query.refuse("to", "out_of_range", "this is before from");
    }
    query.finish()?;
    let text = |month: Option<Month>| month.map(|own| own.to_string()).unwrap_or_default();
    let parameters = [selection.key(), text(from), text(to)];
    let window =
        |month: &Month| from.is_none_or(|own| own <= *month) && to.is_none_or(|own| *month <= own);
    cached::answer(request, "history", &parameters, |database| {
        let costs = costs::read(database, &selection)?;
        let nothing = || nothing(&selection);
        Ok(costs.map_or_else(nothing, |costs| answer(&costs, &selection, &window)))
    })
}

fn nothing(selection: &Selection) -> Value {
    json!({
        "metric": selection.metric.unwrap_or(Metric::Billed).name(),
        "currency": selection.currency,
        "group_by": selection.group_by.as_ref().map(GroupBy::name),
        "data_through": null,
        "partial_month": null,
        "months": [],
        "groups": [],
    })
}

fn answer(costs: &Costs, selection: &Selection, window: &dyn Fn(&Month) -> bool) -> Value {
    let partial = costs.partial.as_ref().map(|own| own.amount.clone());
    let groups = costs.groups.iter().map(|group| {
        let mut answer = group.key.to_json();
        let months = months(costs, &group.amounts, group.partial.clone(), window);
        if let Some(members) = answer.as_object_mut() {
            members.insert("months".into(), months);
        }
        answer
    });
    let groups: Vec<_> = groups.collect();
    json!({
        "metric": costs.metric.name(),
        "currency": costs.currency,
        "group_by": selection.group_by.as_ref().map(GroupBy::name),
        "data_through": costs.through.to_string(),
        "partial_month": costs.partial.as_ref().map(Partial::to_json),
        "months": months(costs, &costs.total, partial, window),
        "groups": groups,
    })
}

fn months(
    costs: &Costs,
    amounts: &[Option<Numeric>],
    partial: Option<Numeric>,
    window: &dyn Fn(&Month) -> bool,
) -> Value {
    let json = |month: Month, amount: Option<&Numeric>, complete: bool| {
        let amount = amount.map(|amount| amount.0.as_str());
        json!({"month": month.to_string(), "amount": amount, "complete": complete})
    };
    let whole = costs.months(amounts).filter(|(month, _)| window(month));
    let mut months: Vec<_> = whole
        .map(|(month, amount)| json(month, amount.as_ref(), true))
        .collect();
    let last = costs.partial.as_ref().map(|own| own.month);
    if let Some(month) = last.filter(window) {
        months.push(json(month, partial.as_ref(), false));
    }
    months.into()
}

//! Reads costs from the database, and fills them up to complete series.

use std::collections::{BTreeMap, HashMap};

use hearth_plugin::prelude::*;
use hearth_plugin::sql::Numeric;
use hearth_plugin::{FieldError, problem::Location};

use super::partial::{Partial, partial_month};
use super::{Costs, GROUPS_MAX, Group, Key, MONTHS_MAX, metric, numbers};
use crate::month::Month;
use crate::selection::{GroupBy, Metric, Selection};
use crate::sql::months::{Coverage, GroupSum, MonthSum, by_group, coverage, currencies, totals};

/// Recent months, by which groups are ordered.
const RECENT_MONTHS: i64 = 12;

/// The costs that a budget covers; all if no filter is set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    pub service: Option<String>,
    pub account: Option<String>,
    pub tag_key: Option<String>,
    pub tag_value: Option<String>,
}

/// The last months of a currency: what is whole and what is not.
#[derive(Clone, Debug, PartialEq)]
pub struct Scope {
    pub currency: String,
    /// The last month with costs, partial or not.
    pub last: Month,
    pub partial: Option<(Month, Option<Timestamp>)>,
}

impl Scope {
    /// Of a currency up to this month; what is charged for later ones is no history.
    pub fn of(on: &dyn Connection, currency: &str, now: Month) -> Result<Option<Scope>, Problem> {
        let months = coverage(on, currency, now.0)?;
        let Some(Coverage {
            month,
            charged_until,
        }) = months.first()
        else {
            return Ok(None);
        };
        let partial = partial_month(&months, now).map(|month| (month, *charged_until));
        Ok(Some(Scope {
            currency: currency.into(),
            last: Month(*month),
            partial,
        }))
    }

    /// The last whole month.
    pub fn through(&self) -> Month {
        self.partial.map_or(self.last, |(month, _)| month.plus(-1))
    }
}

/// The costs that a request selects; `None` where there is none.
pub fn read(database: &Database, selection: &Selection) -> Result<Option<Costs>, Problem> {
    let Some(scope) = scope(database, selection)? else {
        return Ok(None);
    };
    let metric = selection.metric.unwrap_or(Metric::Billed);
    let costs = read_filtered(database, metric, &scope, &Filter::default())?;
    grouped(database, selection, &scope, costs).map(Some)
}

/// The same; where no metric is named, what is billed, or else what is used where that
/// is billed in lumps.
pub fn read_to_forecast(
    database: &Database,
    selection: &Selection,
) -> Result<Option<Costs>, Problem> {
    let Some(scope) = scope(database, selection)? else {
        return Ok(None);
    };
    let of = |metric| read_filtered(database, metric, &scope, &Filter::default());
    let mut costs = of(selection.metric.unwrap_or(Metric::Billed))?;
    if selection.metric.is_none() {
        let effective = of(Metric::Effective)?;
        if metric::is_lumpy(&numbers(&costs.total), &numbers(&effective.total)) {
            costs = effective;
        }
    }
    grouped(database, selection, &scope, costs).map(Some)
}

fn scope(database: &Database, selection: &Selection) -> Result<Option<Scope>, Problem> {
    match currency(database, selection)? {
        Some(currency) => Scope::of(database, &currency, Month::now()),
        None => Ok(None),
    }
}

fn grouped(
    database: &Database,
    selection: &Selection,
    scope: &Scope,
    mut costs: Costs,
) -> Result<Costs, Problem> {
    if let Some(group_by) = &selection.group_by {
        costs.groups = groups(database, group_by, scope, &costs)?;
    }
    Ok(costs)
}

/// The currency that is asked for, or the only one.
fn currency(database: &Database, selection: &Selection) -> Result<Option<String>, Problem> {
    if let Some(currency) = &selection.currency {
        return Ok(Some(currency.clone()));
    }
    let names: Vec<_> = currencies(database)?
        .into_iter()
        .map(|own| own.currency)
        .collect();
    match names.as_slice() {
        [] => Ok(None),
        [only] => Ok(Some(only.clone())),
        _ => Err(Problem::invalid_query(vec![FieldError {
            location: Location::Parameter("currency".into()),
            code: "required",
            detail: format!(
                "this is required, as there are costs in several currencies: {}",
                names.join(", ")
            ),
        }])),
    }
}

/// The costs that a filter leaves, without groups: nothing in a month of which other
/// costs are known.
pub fn read_filtered(
    on: &dyn Connection,
    metric: Metric,
    scope: &Scope,
    filter: &Filter,
) -> Result<Costs, Problem> {
    let from = scope.last.plus(1 - MONTHS_MAX);
    let sums = totals(
        on,
        metric.name(),
        &scope.currency,
        from.0,
        scope.last.0,
        filter.service.as_deref(),
        filter.account.as_deref(),
        filter.tag_key.as_deref(),
        filter.tag_value.as_deref(),
    )?;
    let first = sums.first().map_or(scope.last, |sum| Month(sum.month));
    let of = |MonthSum { month, amount }| (Month(month), amount);
    let mut sums: HashMap<_, _> = sums.into_iter().map(of).collect();
    let partial = scope.partial.map(|(month, charged_until)| Partial {
        month,
        amount: sums.remove(&month).unwrap_or_else(nothing),
        charged_until,
    });
    let months = (first.0..=scope.through().0).map(Month);
    Ok(Costs {
        metric,
        currency: scope.currency.clone(),
        first,
        through: scope.through(),
        partial,
        total: months.map(|month| sums.remove(&month)).collect(),
        groups: Vec::new(),
    })
}

fn nothing() -> Numeric {
    Numeric("0".into())
}

/// The groups of these costs. In a month of which costs are known, a group without
/// any cost nothing.
fn groups(
    database: &Database,
    group_by: &GroupBy,
    scope: &Scope,
    costs: &Costs,
) -> Result<Vec<Group>, Problem> {
    let (kind, tag) = group_by.parts();
    let recent = scope.last.plus(1 - RECENT_MONTHS);
    let (metric, currency) = (costs.metric.name(), &scope.currency);
    let (first, last) = (costs.first.0, scope.last.0);
    let sums = by_group(
        database, metric, currency, first, last, kind, tag, recent.0, GROUPS_MAX,
    )?;
    let mut found: BTreeMap<Key, HashMap<Month, Numeric>> = BTreeMap::new();
    for GroupSum {
        month,
        name,
        amount,
    } in sums
    {
        let months = found.entry(Key::of(name)).or_default();
        months.insert(Month(month), amount);
    }
    let groups = found.into_iter();
    Ok(groups
        .map(|(key, months)| group(key, months, costs))
        .collect())
}

fn group(key: Key, mut months: HashMap<Month, Numeric>, costs: &Costs) -> Group {
    let partial = costs.partial.as_ref().map(|partial| partial.month);
    let partial = partial.map(|month| months.remove(&month).unwrap_or_else(nothing));
    let amounts = costs.months(&costs.total).map(|(month, total)| {
        let own = months.remove(&month);
        total.as_ref().map(|_| own.unwrap_or_else(nothing))
    });
    Group {
        key,
        amounts: amounts.collect(),
        partial,
    }
}

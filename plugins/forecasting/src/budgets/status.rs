//! The state of a budget: what was spent in its period, and what is expected.

use hearth_plugin::prelude::*;
use hearth_plugin::sql::Numeric;

use super::definition::filter_of;
use super::period::Period;
use crate::costs::{self, Costs, Scope, numbers};
use crate::model::{self, MONTHS_MAX};
use crate::money::{self, Rounding};
use crate::month::Month;
use crate::selection::Metric;
use crate::sql::budgets::{Alert, Budget, sum};

/// A budget in its period.
pub struct BudgetStatus {
    pub from: Month,
    pub to: Month,
    /// Exactly what was spent up to now.
    pub actual: Numeric,
    /// What the whole period will cost; `None` where the history is too short, or
    /// ends too long ago.
    pub forecast: Option<Numeric>,
    through: Option<Month>,
}

impl BudgetStatus {
    /// Of a budget whose currency has costs in this scope, if it has any.
    pub fn of(
        on: &dyn Connection,
        budget: &Budget,
        scope: Option<&Scope>,
        now: Month,
    ) -> Result<BudgetStatus, Problem> {
        let period = Period::parse(&budget.period).unwrap_or(Period::Monthly);
        let metric = Metric::parse(&budget.metric).unwrap_or(Metric::Billed);
        let (from, to) = period.around(now);
        let filter = filter_of(budget);
        let read = |scope| costs::read_filtered(on, metric, scope, &filter);
        let costs = scope.map(read).transpose()?;
        let spent = costs.as_ref().map(|costs| spent(costs, from));
        Ok(BudgetStatus {
            from,
            to,
            actual: sum(on, &spent.unwrap_or_default())?.amount,
            forecast: costs.as_ref().and_then(|costs| forecast(costs, from, to)),
            through: costs.map(|costs| costs.through),
        })
    }

    pub fn to_json(&self, budget: &Budget, sent: &[Alert]) -> Value {
        let percent = |amount: &Numeric| {
            let percent = 100.0 * money::number(amount) / money::number(&budget.amount);
            (percent * 100.0).round() / 100.0
        };
        let alert = |alert: &Alert| {
            json!({
                "kind": alert.kind,
                "threshold": alert.threshold,
                "amount": alert.amount.0,
                "sent_at": alert.sent_at.to_string(),
            })
        };
        json!({
            "period_start": self.from.to_string(),
            "period_end": self.to.to_string(),
            "data_through": self.through.map(|month| month.to_string()),
            "actual": self.actual.0,
            "actual_percent": percent(&self.actual),
            "forecast": self.forecast.as_ref().map(|amount| &amount.0),
            "forecast_percent": self.forecast.as_ref().map(percent),
            "alerts_sent": sent.iter().map(alert).collect::<Vec<_>>(),
        })
    }
}

/// What was spent from a month on, up to now.
fn spent(costs: &Costs, from: Month) -> Vec<String> {
    let whole = costs.months(&costs.total);
    let whole = whole.filter_map(|(month, amount)| Some((month, amount.as_ref()?)));
    let partial = costs.partial.as_ref().map(|own| (own.month, &own.amount));
    let amounts = whole.chain(partial).filter(|(month, _)| *month >= from);
    amounts.map(|(_, amount)| amount.0.clone()).collect()
}

/// What the months from one to another cost in all: what is known of the whole ones,
/// and of the others what is expected; but of a month of which a part is known, not
/// less than that part.
fn forecast(costs: &Costs, from: Month, to: Month) -> Option<Numeric> {
    let history = numbers(&costs.total);
    let ahead = usize::try_from(to.since(costs.through)).unwrap_or(0);
    if ahead > MONTHS_MAX {
        return None;
    }
    let months = costs
        .months(&costs.total)
        .filter(|(month, _)| *month >= from);
    let known: f64 = months
        .filter_map(|(_, amount)| amount.as_ref().map(money::number))
        .sum();
    let partial = costs.partial.as_ref();
    let part = |month: Month| {
        let partial = partial.filter(|own| own.month == month);
        partial.map_or(f64::NEG_INFINITY, |own| money::number(&own.amount))
    };
    let expected = model::expected(&history, ahead).ok()?;
    let months = expected.into_iter().zip(1..).map(|(amount, months)| {
        let month = costs.through.plus(months);
        (month, amount.max(part(month)))
    });
    let expected: f64 = months
        .filter(|(month, _)| *month >= from)
        .map(|(_, amount)| amount)
        .sum();
    let sum = known + expected;
    Some(Numeric(
        Rounding::for_amounts_of(sum.abs()).round(sum).to_string(),
    ))
}

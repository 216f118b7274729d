//! The definition of a budget, as clients write it.

use hearth_plugin::prelude::*;
use hearth_plugin::sql::Numeric;

use super::period::Period;
use crate::costs::Filter;
use crate::money;
use crate::selection::{Metric, NO_CURRENCY, NO_METRIC, is_currency};
use crate::sql::budgets::Budget;

/// Thresholds of one kind.
const ALERTS_MAX: usize = 10;
/// Less is no budget.
const AMOUNT_MIN: f64 = 1e-6;
/// Percent of the amount.
const THRESHOLD_MAX: f64 = 1_000.0;

/// A budget as it is written.
pub struct Definition {
    pub name: String,
    pub amount: Numeric,
    pub currency: String,
    pub metric: Metric,
    pub period: Period,
    pub filter: Filter,
    pub alert_actual: Vec<i64>,
    pub alert_forecast: Vec<i64>,
}

impl Definition {
    pub fn read(mut fields: Fields, id: &str) -> Result<Definition, Problem> {
        let name = fields.text("name").length(1..=255).or(id);
        let amount = amount(&mut fields);
        let currency = fields.text("currency");
        let currency = currency.check("not_allowed", NO_CURRENCY, |text| is_currency(text));
        let currency = currency.or("USD");
        let metric = fields.text("metric");
        let metric = metric.convert("not_allowed", NO_METRIC, |text| Metric::parse(&text));
        let metric = metric.or(Metric::Billed);
        let wrong = "this must be one of monthly, quarterly, annually";
        let period = fields.text("period");
        let period = period.convert("not_allowed", wrong, |text| Period::parse(&text));
        let period = period.or(Period::Monthly);
        let filter = filter(&mut fields);
        let alerts = fields.nested("alerts", |alerts| {
            (thresholds(alerts, "actual"), thresholds(alerts, "forecast"))
        });
        let (alert_actual, alert_forecast) = alerts.unwrap_or_default();
        fields.finish()?;
        Ok(Definition {
            name,
            amount,
            currency,
            metric,
            period,
            filter,
            alert_actual: alert_actual.unwrap_or_else(|| vec![100]),
            alert_forecast: alert_forecast.unwrap_or_else(|| vec![100]),
        })
    }

    /// Whether a budget covers the same costs.
    pub fn is_same(&self, budget: &Budget) -> bool {
        money::number(&self.amount) == money::number(&budget.amount)
            && self.currency == budget.currency
            && self.metric.name() == budget.metric
            && self.period.name() == budget.period
            && self.filter == filter_of(budget)
    }
}

/// The filter of a budget: which costs it covers.
pub fn filter_of(budget: &Budget) -> Filter {
    Filter {
        service: budget.service.clone(),
        account: budget.account.clone(),
        tag_key: budget.tag_key.clone(),
        tag_value: budget.tag_value.clone(),
    }
}

/// A number, or a decimal as text.
fn amount(fields: &mut Fields) -> Numeric {
    let detail = "this must be an amount from 0.000001 to 10^15";
    let amount = fields
        .value("amount")
        .convert("wrong_type", detail, |value| {
            let text = match value {
                Value::Number(number) => number.to_string(),
                Value::String(text) => text,
                _ => return None,
            };
            money::parse(&text).filter(|amount| money::number(amount) >= AMOUNT_MIN)
        });
    amount.required()
}

fn filter(fields: &mut Fields) -> Filter {
    let service = fields.text("service").length(1..=256).optional();
    let account = fields.text("account").length(1..=256).optional();
    let tag = fields.nested("tag", |tag| {
        let key = tag.text("key").length(1..=128).required();
        (key, tag.text("value").length(0..=256).required())
    });
    let (tag_key, tag_value) = tag.unzip();
    Filter {
        service,
        account,
        tag_key,
        tag_value,
    }
}

/// Percents, in order and each once.
fn thresholds(fields: &mut Fields, name: &str) -> Option<Vec<i64>> {
    let detail = format!("these must be whole percents from 1 to {THRESHOLD_MAX}");
    let items = fields.list(name).count(0..=ALERTS_MAX);
    let percents = items.convert("out_of_range", &detail, |items| {
        let percent = |item: &Value| {
            let number = item.as_f64().filter(|number| number.fract() == 0.0)?;
            (1.0..=THRESHOLD_MAX)
                .contains(&number)
                .then_some(number as i64)
        };
        items.iter().map(percent).collect::<Option<Vec<_>>>()
    });
    let mut percents = percents.optional()?;
    percents.sort_unstable();
    percents.dedup();
    Some(percents)
}

/// What was written of a budget.
pub fn to_json(budget: &Budget) -> Value {
    let tag = budget.tag_key.as_ref().zip(budget.tag_value.as_ref());
    json!({
        "id": budget.id,
        "version": budget.version,
        "name": budget.name,
        "amount": budget.amount.0,
        "currency": budget.currency,
        "metric": budget.metric,
        "period": budget.period,
        "service": budget.service,
        "account": budget.account,
        "tag": tag.map(|(key, value)| json!({"key": key, "value": value})),
        "alerts": {"actual": budget.alert_actual, "forecast": budget.alert_forecast},
        "created_at": budget.created_at.to_string(),
        "updated_at": budget.updated_at.to_string(),
    })
}

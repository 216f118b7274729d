//! `POST /forecast`: a forecast of the history in the request, which is not stored.

use std::collections::BTreeMap;

use hearth_plugin::prelude::*;

use super::{LEVEL, MONTHS, MONTHS_MAX, NO_MODEL, NO_QUANTILES, Wish, answer, forecast};
use super::{model_named, quantiles};
use crate::model::Model;
use crate::money::{self, AMOUNT_MAX};
use crate::month::{Month, NO_MONTH};

/// Months that a history may have.
const HISTORY_MAX: usize = 600;

/// Forecasts the months after `history`: amounts, the oldest first, or objects of
/// `month` and `amount`. An amount may be null where it is not known.
pub fn post(request: &Request) -> Answer {
    let mut fields = request.fields()?;
    let range = 1..=MONTHS_MAX as i64;
    let months = fields.integer("months").range(range).or(MONTHS);
    let level = fields.integer("level").range(50..=99).or(LEVEL);
    let items = fields.list("quantiles");
    let read = |items: Vec<Value>| quantiles(items.iter().map(Value::as_f64));
    let quantiles = items.convert("out_of_range", NO_QUANTILES, read);
    let quantiles = quantiles.or(Vec::new());
    let model = fields.text("model");
    let model = model.convert("not_allowed", NO_MODEL, |name| model_named(&name));
    let model = model.or(Model::Combined);
    let now = Month::now();
    let history = History::read(&mut fields, now);
    fields.finish()?;
    let wish = Wish::new(months, level, quantiles, model);
    let (history, partial) = history.until(now);
    let forecast = forecast(&history.amounts, &wish)?;
    metrics::count("forecasts_computed", 1, &[]);
    let mut answer = answer::of_history(history.last_known(), &forecast, &wish);
    if let Some(members) = answer.as_object_mut() {
        let partial = partial.map(|amount| json!({"month": now.to_string(), "amount": amount}));
        members.insert("partial_month".into(), partial.into());
    }
    Ok(Response::json(200, &answer)?.header("cache-control", "private, no-cache"))
}

/// Amounts from a month on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    pub first: Month,
    pub amounts: Vec<Option<f64>>,
}

impl History {
    /// Reads `history`, and `start` where its amounts do not name their months.
    pub fn read(fields: &mut Fields, now: Month) -> History {
        let start = fields.text("start");
        let start = start.convert("wrong_type", NO_MONTH, |text| Month::parse(&text));
        let start = start.optional();
        let items = fields.list("history").count(0..=HISTORY_MAX).required();
        match items.iter().any(Value::is_object) {
            true => by_month(&items, fields),
            false => {
                let count = i64::try_from(items.len()).unwrap_or(i64::MAX);
                let first = start.unwrap_or(now.plus(-count));
                one_after_the_other(&items, first, fields)
            }
        }
    }

    /// The whole months: those before `now`. What is known of `now` itself.
    pub fn until(mut self, now: Month) -> (History, Option<f64>) {
        let whole = usize::try_from(now.since(self.first)).unwrap_or(0);
        let partial = self.amounts.get(whole).copied().flatten();
        self.amounts.truncate(whole);
        (self, partial)
    }

    fn last_known(&self) -> Month {
        let last = self.amounts.iter().rposition(Option::is_some);
        let last = last.and_then(|last| i64::try_from(last).ok());
        self.first.plus(last.unwrap_or(0))
    }
}

fn one_after_the_other(items: &[Value], first: Month, fields: &mut Fields) -> History {
    let mut amounts = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        amounts.push(amount(item).unwrap_or_else(|detail| {
            fields.refuse_at(&["history", &index.to_string()], "wrong_type", detail);
            None
        }));
    }
    History { first, amounts }
}

/// Amounts with their months, each once and in any order.
fn by_month(items: &[Value], fields: &mut Fields) -> History {
    let mut months = BTreeMap::new();
    for (index, item) in items.iter().enumerate() {
        let index = index.to_string();
        let month = item.get("month").and_then(Value::as_str);
        let Some(month) = month.and_then(Month::parse) else {
            fields.refuse_at(&["history", &index, "month"], "wrong_type", NO_MONTH);
            continue;
        };
        match amount(item.get("amount").unwrap_or(&Value::Null)) {
            Ok(amount) if months.insert(month, amount).is_none() => {}
            Ok(_) => {
                let detail = "this month is given twice";
                fields.refuse_at(&["history", &index, "month"], "repeated", detail);
            }
            Err(detail) => {
                fields.refuse_at(&["history", &index, "amount"], "wrong_type", detail);
            }
        }
    }
    whole(months, fields)
}

/// All months from the first to the last.
fn whole(mut months: BTreeMap<Month, Option<f64>>, fields: &mut Fields) -> History {
    let first = months.first_key_value().map(|(month, _)| *month);
    let last = months.last_key_value().map(|(month, _)| *month);
    let (first, last) = (first.unwrap_or_default(), last.unwrap_or_default());
    if last.since(first) >= HISTORY_MAX as i64 {
        let detail = format!("the history is too long: at most {HISTORY_MAX} months are allowed");
        fields.refuse("history", "too_long", detail);
        return History::default();
    }
    let amounts = (first.0..=last.0).map(|month| months.remove(&Month(month)).flatten());
    let amounts = amounts.collect();
    History { first, amounts }
}

/// A number, a decimal as text, or nothing.
fn amount(value: &Value) -> Result<Option<f64>, &'static str> {
    let number = match value {
        Value::Null => return Ok(None),
        Value::Number(number) => number.as_f64(),
        Value::String(text) => money::parse(text).as_ref().map(money::number),
        _ => None,
    };
    match number.filter(|number| number.abs() <= AMOUNT_MAX) {
        Some(number) => Ok(Some(number)),
        None => Err("this must be a number of at most 10^15, or null"),
    }
}

//! `/budgets`: limits for the costs of a period, with alerts when they are reached, or
//! forecast to be.

mod definition;
mod period;
mod status;
pub mod watch;

use hearth_plugin::etag;
use hearth_plugin::prelude::*;
use hearth_plugin::router::PathParameter;

use crate::costs::Scope;
use crate::month::Month;
use crate::sql::budgets::{
    Budget, alerts, budget_by_id, budgets, delete_budget, forget_alerts, lock_budget, put_budget,
};
use crate::sql::records::{Ledger, hold_loads, ledger};
use definition::Definition;
use status::BudgetStatus;

/// Budgets of a customer: each is looked at with every load.
const BUDGETS_MAX: i64 = 50;

/// The id of a budget, which its customer chooses; anything else in a path is 404.
pub struct BudgetId(String);

impl PathParameter for BudgetId {
    fn from_segment(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let is_name = text.bytes().all(plain) && !text.starts_with('.');
        let is_id = (1..=64).contains(&text.len()) && is_name;
        is_id.then(|| BudgetId(text.into()))
    }
}

/// `GET /budgets`: all of them.
pub fn list(request: &Request) -> Answer {
    request.query()?.finish()?;
    let budgets = budgets(&request.database())?;
    let budgets: Vec<_> = budgets.iter().map(definition::to_json).collect();
    Response::json(200, &json!({"budgets": budgets}))
}

/// `GET /budgets/{id}`: a budget with its current state.
pub fn show(request: &Request, BudgetId(id): BudgetId) -> Answer {
    let database = request.database();
    let budget = budget_by_id(&database, &id)?.ok_or_else(Problem::not_found)?;
    answer(&database, 200, &budget)
}

/// `PUT /budgets/{id}`: makes it, 201, or replaces it. It is looked at at once. One
/// that became another budget has not alerted yet.
pub fn replace(request: &Request, BudgetId(id): BudgetId) -> Answer {
    let definition = Definition::read(request.fields()?, &id)?;
    let database = request.database();
    let (budget, created) = database.transaction(Isolation::ReadCommitted, |tx| {
        let loads = hold_loads(tx)?;
        let before = lock_budget(tx, &id)?;
        let tag = before.as_ref().map(|before| etag_of(before, &loads));
        request.check_preconditions(tag.as_deref())?;
        let budget = write(tx, &id, &definition)?;
        let created = budget.version == 1;
        if before.is_none() && !created {
            request.check_preconditions(Some(etag::UNKNOWN))?;
        }
        if before.as_ref().is_some_and(|own| !definition.is_same(own)) {
            forget_alerts(tx, &id)?;
        }
        watch::one(tx, &budget)?;
        Ok::<_, Problem>((budget, created))
    })?;
    match created {
        true => {
            let location = request.link(&["/budgets/", &id].concat());
            Ok(answer(&database, 201, &budget)?.header("location", &location))
        }
        false => answer(&database, 200, &budget),
    }
}

/// `DELETE /budgets/{id}`: 204.
pub fn delete(request: &Request, BudgetId(id): BudgetId) -> Answer {
    request
        .database()
        .transaction(Isolation::ReadCommitted, |tx| {
            let loads = hold_loads(tx)?;
            let budget = lock_budget(tx, &id)?.ok_or_else(Problem::not_found)?;
            request.check_preconditions(Some(&etag_of(&budget, &loads)))?;
            delete_budget(tx, &id)?;
            Ok(Response::no_content())
        })
}

fn write(tx: &Transaction, id: &str, definition: &Definition) -> Result<Budget, Problem> {
    let filter = &definition.filter;
    let written = put_budget(
        tx,
        id,
        &definition.name,
        &definition.amount.0,
        &definition.currency,
        definition.metric.name(),
        definition.period.name(),
        filter.service.as_deref(),
        filter.account.as_deref(),
        filter.tag_key.as_deref(),
        filter.tag_value.as_deref(),
        &definition.alert_actual,
        &definition.alert_forecast,
        BUDGETS_MAX,
    )?;
    if written.is_none() {
        let detail = format!("too many budgets: a customer may have at most {BUDGETS_MAX}");
        return Err(Problem::new(409, "limit-reached", "Too many").detail(detail));
    }
    lock_budget(tx, id)?.ok_or_else(Problem::internal)
}

/// The ETag changes with the budget, with every load and with the month.
fn etag_of(budget: &Budget, loads: &Option<Ledger>) -> String {
    let loads = loads.as_ref().map_or(0, |loads| loads.version);
    format!("\"{}-{loads}-{}\"", budget.version, Month::now().0)
}

/// A budget with its state.
fn answer(database: &Database, status: u16, budget: &Budget) -> Answer {
    // Read first: should a load come in between, the tag is too old and not too new.
    let tag = etag_of(budget, &ledger(database)?);
    let now = Month::now();
    let scope = Scope::of(database, &budget.currency, now)?;
    let standing = BudgetStatus::of(database, budget, scope.as_ref(), now)?;
    let sent = alerts(database, &budget.id, standing.from.0)?;
    let mut body = definition::to_json(budget);
    if let Some(members) = body.as_object_mut() {
        members.insert("status".into(), standing.to_json(budget, &sent));
    }
    let response = Response::json(status, &body)?;
    Ok(response
        .header("etag", &tag)
        .header("cache-control", "private, no-cache"))
}

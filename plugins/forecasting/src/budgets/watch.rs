//! Checks budgets and sends alerts for thresholds that are reached: once in each
//! period, in the transaction that reached them.

use std::collections::HashMap;

use hearth_plugin::prelude::*;
use hearth_plugin::queue::Message;
use hearth_plugin::sql::Numeric;

use super::status::BudgetStatus;
use crate::costs::Scope;
use crate::month::Month;
use crate::sql::budgets::{Budget, budgets, reach};

/// Who hears of it: the webhooks and the notifications, by one event id.
const QUEUES: [&str; 2] = ["webhook-events", "notification-events"];

/// Looks at all budgets. Answers how many alerts were sent.
pub fn all(tx: &Transaction) -> Result<usize, Problem> {
    let (now, mut scopes, mut alerts) = (Month::now(), HashMap::new(), 0);
    for budget in budgets(tx)? {
        if !scopes.contains_key(&budget.currency) {
            let scope = Scope::of(tx, &budget.currency, now)?;
            scopes.insert(budget.currency.clone(), scope);
        }
        let scope = scopes.get(&budget.currency).and_then(Option::as_ref);
        alerts += look(tx, &budget, &BudgetStatus::of(tx, &budget, scope, now)?)?;
    }
    Ok(alerts)
}

/// Looks at one.
pub fn one(tx: &Transaction, budget: &Budget) -> Result<usize, Problem> {
    let now = Month::now();
    let scope = Scope::of(tx, &budget.currency, now)?;
    look(
        tx,
        budget,
        &BudgetStatus::of(tx, budget, scope.as_ref(), now)?,
    )
}

fn look(tx: &Transaction, budget: &Budget, status: &BudgetStatus) -> Result<usize, Problem> {
    let actual = Some(&status.actual);
    let kinds = [
        ("actual", actual, &budget.alert_actual),
        ("forecast", status.forecast.as_ref(), &budget.alert_forecast),
    ];
    let mut alerts = 0;
    for (kind, amount, thresholds) in kinds {
        let Some(amount) = amount.filter(|_| !thresholds.is_empty()) else {
            continue;
        };
        let from = status.from.0;
        let reached = reach(
            tx,
            &budget.id,
            from,
            kind,
            amount,
            &budget.amount,
            thresholds,
        )?;
        for threshold in &reached {
            send_alert(tx, budget, status, kind, amount, threshold.threshold)?;
        }
        metrics::count("budget_alerts", reached.len() as u64, &[("kind", kind)]);
        alerts += reached.len();
    }
    Ok(alerts)
}

fn send_alert(
    tx: &Transaction,
    budget: &Budget,
    status: &BudgetStatus,
    kind: &str,
    amount: &Numeric,
    threshold: i64,
) -> Result<(), Problem> {
    let event = json!({
        "event_id": id::new("evt"),
        "type": format!("budget.{kind}_exceeded"),
        "occurred_at": Timestamp::now().to_string(),
        "data": {
            "budget_id": budget.id,
            "name": budget.name,
            "period_start": status.from.to_string(),
            "period_end": status.to.to_string(),
            "metric": budget.metric,
            "currency": budget.currency,
            "budget_amount": budget.amount.0,
            "amount": amount.0,
            "threshold": threshold,
        },
    });
    for queue in QUEUES {
        tx.enqueue(queue, Message::json(&event))?;
    }
    Ok(())
}

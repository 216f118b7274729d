//! Changing attributes of one item, on a condition.
//!
//! An item that has expired is none, whether or not DynamoDB has removed it: a change
//! that makes the item where there is none removes it first.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};

use super::item::{self, Attributes, EXPIRES};
use super::{Change, Condition, Error, Table, json, number};
use hearth_backend::dynamodb::writer::Key;
use hearth_backend::dynamodb::{DynamoError, PARTITION, failure};

/// Each time, somebody wrote an item that expired at once.
const TRIES_MAX: usize = 3;

pub(super) struct Update<'a> {
    table: &'a Table,
    key: Key,
    expression: Expression,
    now_ms: u64,
    /// Whether it may be made where there is none.
    makes: bool,
    /// Whether doing it twice is as doing it once, so that it can be tried again when
    /// nobody knows whether it was done.
    repeatable: bool,
}

impl<'a> Update<'a> {
    pub(super) fn new(
        table: &'a Table,
        key: Key,
        changes: &[Change],
        condition: &Condition,
        now_ms: u64,
    ) -> Result<Update<'a>, Error> {
        let adds = changes
            .iter()
            .any(|change| matches!(change, Change::Add(_)));
        let is_plain = matches!(condition, Condition::None | Condition::Exists);
        Ok(Update {
            expression: Expression::new(changes, condition, now_ms)?,
            table,
            key,
            now_ms,
            makes: matches!(condition, Condition::None | Condition::Absent),
            repeatable: is_plain && !adds,
        })
    }

    /// The item as it is afterwards.
    pub(super) async fn run(&self) -> Result<Attributes, Error> {
        for _ in 0..TRIES_MAX {
            match self.try_once().await? {
                UpdateOutcome::Changed(attributes) => return Ok(attributes),
                UpdateOutcome::Expired if self.makes => self.remove_expired().await?,
                UpdateOutcome::Expired | UpdateOutcome::ConditionFailed => {
                    return Err(Error::ConditionFailed);
                }
            }
        }
        Err(Error::Unavailable(
            "others changed the item at every attempt".into(),
        ))
    }

    async fn try_once(&self) -> Result<UpdateOutcome, DynamoError> {
        match self.repeatable {
            true => self.send(self.table.dynamo.client()).await,
            false => {
                let once = self.table.dynamo.client_once();
                self.table.dynamo.patiently(|| self.send(once)).await
            }
        }
    }

    async fn send(&self, client: &aws_sdk_dynamodb::Client) -> Result<UpdateOutcome, DynamoError> {
        let expression = &self.expression;
        let update = client
            .update_item()
            .table_name(self.table.dynamo.documents_table())
            .set_key(Some(item::key_attributes(&self.key)))
            .set_update_expression(expression.update.clone())
            .condition_expression(&expression.condition)
            .set_expression_attribute_names(Some(expression.names.clone()))
            .set_expression_attribute_values(Some(expression.values.clone()))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match update.send().await {
            Ok(updated) => Ok(UpdateOutcome::Changed(
                updated.attributes.unwrap_or_default(),
            )),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                    Ok(self.why(failed.item()))
                }
                _ => Err(failure(&error)),
            },
        }
    }

    fn why(&self, old: Option<&Attributes>) -> UpdateOutcome {
        let expires = old.and_then(item::expires);
        match expires.is_some_and(|at| at <= self.now_ms) {
            true => UpdateOutcome::Expired,
            false => UpdateOutcome::ConditionFailed,
        }
    }

    /// It may have been removed or replaced meanwhile.
    async fn remove_expired(&self) -> Result<(), Error> {
        let remove = self
            .table
            .dynamo
            .client()
            .delete_item()
            .table_name(self.table.dynamo.documents_table())
            .set_key(Some(item::key_attributes(&self.key)))
            .condition_expression("#expires <= :now")
            .expression_attribute_names("#expires", EXPIRES)
            .expression_attribute_values(":now", item::number(self.now_ms));
        match remove.send().await {
            Ok(_) => Ok(()),
            Err(error) => match error.as_service_error() {
                Some(DeleteItemError::ConditionalCheckFailedException(_)) => Ok(()),
                _ => Err(failure(&error).into()),
            },
        }
    }
}

enum UpdateOutcome {
    Changed(Attributes),
    /// There is an item, and it has expired.
    Expired,
    ConditionFailed,
}

/// Changes and condition in DynamoDB's words.
struct Expression {
    /// `None` where nothing is changed.
    update: Option<String>,
    condition: String,
    names: HashMap<String, String>,
    values: Attributes,
}

impl Expression {
    fn new(changes: &[Change], condition: &Condition, now_ms: u64) -> Result<Expression, Error> {
        let mut expression = Expression {
            update: None,
            condition: String::new(),
            names: HashMap::from([("#expires".to_owned(), EXPIRES.to_owned())]),
            values: HashMap::from([(":now".to_owned(), item::number(now_ms))]),
        };
        expression.change(changes)?;
        expression.require(condition)?;
        Ok(expression)
    }

    fn name(&mut self, name: &str) -> Result<String, Error> {
        let short = format!("#n{}", self.names.len());
        self.names.insert(short.clone(), json::marked(name)?);
        Ok(short)
    }

    fn value(&mut self, value: AttributeValue) -> String {
        let short = format!(":v{}", self.values.len());
        self.values.insert(short.clone(), value);
        short
    }

    fn change(&mut self, changes: &[Change]) -> Result<(), Error> {
        let (mut set, mut remove, mut add) = (Vec::new(), Vec::new(), Vec::new());
        let mut changed = BTreeSet::new();
        for change in changes {
            let (Change::Set((name, _)) | Change::Remove(name) | Change::Add((name, _))) = change;
            if !changed.insert(name) {
                return Err(Error::Invalid(format!("{name:?} is changed twice")));
            }
            let name = self.name(name)?;
            match change {
                Change::Set((_, value)) => {
                    let value = self.value(json::read_value(value)?);
                    set.push(format!("{name} = {value}"));
                }
                Change::Remove(_) => remove.push(name),
                Change::Add((_, amount)) => {
                    let amount = AttributeValue::N(number::canonical(amount.trim())?);
                    add.push(format!("{name} {}", self.value(amount)));
                }
            }
        }
        let clauses = [("SET", set), ("REMOVE", remove), ("ADD", add)];
        let clauses = clauses.into_iter().filter(|(_, parts)| !parts.is_empty());
        let clauses: Vec<_> = clauses
            .map(|(verb, parts)| format!("{verb} {}", parts.join(", ")))
            .collect();
        self.update = (!clauses.is_empty()).then(|| clauses.join(" "));
        Ok(())
    }

    fn require(&mut self, condition: &Condition) -> Result<(), Error> {
        const LIVES: &str = "(attribute_not_exists(#expires) OR #expires > :now)";
        self.condition = match condition {
            // Where there is no item, it has not expired either.
            Condition::None => LIVES.to_owned(),
            Condition::Exists => format!("attribute_exists({PARTITION}) AND {LIVES}"),
            Condition::Absent => {
                self.names.remove("#expires");
                self.values.remove(":now");
                format!("attribute_not_exists({PARTITION})")
            }
            Condition::Equals((name, value)) => {
                let name = self.name(name)?;
                let value = self.value(json::read_value(value)?);
                format!("{name} = {value} AND {LIVES}")
            }
        };
        Ok(())
    }
}

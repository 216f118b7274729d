//! One operation of DynamoDB's protocol on the database: from the text of a request
//! to that of an answer.

use dynoxide::{Database, DynoxideError, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// How dynoxide marks that a value of the right type is wrong all the same.
const MARK_OF_VALUES: &str = "VALIDATION";
/// What serde says where DynamoDB says `ValidationException`: a member is missing,
/// or is none of those that there are.
const WRONG_VALUES: [&str; 5] = [
    "missing field",
    "unknown variant",
    "invalid type: null",
    "empty AttributeValue",
    "Supplied AttributeValue",
];

/// All that a client of the two tables asks for. Streams, PartiQL and backups are
/// not among it.
pub(super) fn perform(database: &Database, operation: &str, body: &[u8]) -> Result<String> {
    match operation {
        "BatchGetItem" => call(body, |request| database.batch_get_item(request)),
        "BatchWriteItem" => call(body, |request| database.batch_write_item(request)),
        "CreateTable" => call(body, |request| database.create_table(request)),
        "DeleteItem" => call(body, |request| database.delete_item(request)),
        "DeleteTable" => call(body, |request| database.delete_table(request)),
        "DescribeTable" => call(body, |request| database.describe_table(request)),
        "DescribeTimeToLive" => call(body, |request| database.describe_time_to_live(request)),
        "GetItem" => call(body, |request| database.get_item(request)),
        "ListTables" => call(body, |request| database.list_tables(request)),
        "PutItem" => call(body, |request| database.put_item(request)),
        "Query" => call(body, |request| database.query(request)),
        "Scan" => call(body, |request| database.scan(request)),
        "TransactGetItems" => call(body, |request| database.transact_get_items(request)),
        "TransactWriteItems" => call(body, |request| database.transact_write_items(request)),
        "UpdateItem" => call(body, |request| database.update_item(request)),
        "UpdateTimeToLive" => call(body, |request| database.update_time_to_live(request)),
        other => Err(DynoxideError::ValidationException(format!(
            "the private DynamoDB does not support the operation {other}"
        ))),
    }
}

fn call<Q: DeserializeOwned, A: Serialize>(
    body: &[u8],
    perform: impl FnOnce(Q) -> Result<A>,
) -> Result<String> {
    let answer = perform(serde_json::from_slice(body).map_err(unreadable)?)?;
    serde_json::to_string(&answer)
        .map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}

/// DynamoDB tells a wrong value from a text that is no request.
fn unreadable(error: serde_json::Error) -> DynoxideError {
    let text = error.to_string();
    let marked = text
        .strip_prefix(MARK_OF_VALUES)
        .and_then(|rest| rest.split_once(':'));
    match marked {
        Some((_, said)) => DynoxideError::ValidationException(said.to_owned()),
        None if WRONG_VALUES.iter().any(|sign| text.contains(sign)) => {
            DynoxideError::ValidationException(text)
        }
        None => DynoxideError::SerializationException(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(operation: &str, body: &str) -> DynoxideError {
        let database = Database::memory().unwrap();
        perform(&database, operation, body.as_bytes()).unwrap_err()
    }

    #[test]
    fn wrong_value_is_told_from_a_text_that_is_no_request() {
        let number = r#"{"TableName":"t","Item":{"pk":{"N":"one"}}}"#;
        for (operation, body) in [
            ("PutItem", number),
            ("PutItem", r#"{"TableName":"t"}"#),
            ("PutItem", r#"{"TableName":"t","Item":{"pk":{}}}"#),
            ("ExecuteStatement", "{}"),
        ] {
            let error = refusal(operation, body);
            assert!(
                matches!(error, DynoxideError::ValidationException(_)),
                "{body}: {error:?}"
            );
            assert!(!error.to_string().contains(MARK_OF_VALUES), "{error}");
        }
        for body in ["", "{", "[1]", r#"{"TableName":1,"Item":{}}"#] {
            let error = refusal("PutItem", body);
            assert!(
                matches!(error, DynoxideError::SerializationException(_)),
                "{body}: {error:?}"
            );
        }
    }
}

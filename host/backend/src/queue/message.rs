//! How a message is written in Postgres and told to others.

use std::sync::Arc;

use uuid::Uuid;

/// What stands where a customer's id would, for messages of nobody. No customer has
/// this id.
const NOBODY: &str = ".";

const PREFIX: &str = "msg_";

/// The id by which a message is known outside.
pub fn id_text(id: Uuid) -> String {
    format!("{PREFIX}{id}")
}

/// The other way round; `None` for what is no id of a message.
pub(crate) fn id_of(text: &str) -> Option<Uuid> {
    Uuid::try_parse(text.strip_prefix(PREFIX)?).ok()
}

pub(crate) fn customer_text(customer: Option<&Arc<str>>) -> &str {
    customer.map_or(NOBODY, |customer| customer)
}

pub(crate) fn customer_of(text: String) -> Option<Arc<str>> {
    (text != NOBODY).then(|| Arc::from(text))
}

/// What stands beside the attributes of a guest, which can give none this name: theirs
/// begin with no dot.
const TRACEPARENT: &str = ".traceparent";

/// Pairs of texts can always be written as JSON.
pub(crate) fn attributes_text(
    attributes: &[(String, String)],
    traceparent: Option<&str>,
) -> String {
    let own = attributes.iter().map(|(name, value)| (&**name, &**value));
    let host = traceparent.map(|value| (TRACEPARENT, value));
    let all: Vec<(&str, &str)> = own.chain(host).collect();
    serde_json::to_string(&all).unwrap_or_else(|_| "[]".into())
}

/// The attributes, and the `traceparent` that the host wrote behind them.
pub(crate) fn attributes_of(text: &str) -> (Vec<(String, String)>, Option<String>) {
    let mut all: Vec<(String, String)> = serde_json::from_str(text).unwrap_or_default();
    let host = all.pop_if(|(name, _)| name == TRACEPARENT);
    (all, host.map(|(_, value)| value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_the_same() {
        let id = Uuid::now_v7();
        assert_eq!(id_of(&id_text(id)), Some(id));
        for text in ["", "msg_", "msg_1", &id.to_string()] {
            assert_eq!(id_of(text), None, "{text}");
        }
        let attributes = vec![("a".to_owned(), "\0 \"é".to_owned())];
        for traceparent in [None, Some("00-1-2-01")] {
            let text = attributes_text(&attributes, traceparent);
            assert!(!text.contains('\0'));
            let read = (attributes.clone(), traceparent.map(str::to_owned));
            assert_eq!(attributes_of(&text), read);
        }
        assert_eq!(customer_of(customer_text(None).into()), None);
    }
}

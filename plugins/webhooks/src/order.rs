//! The messages that the plugin sends to itself.

use hearth_plugin::prelude::*;
use hearth_plugin::queue::Message;
use serde::{Deserialize, Serialize};

/// That an event shall be delivered to an endpoint, in this round. There is one
/// message for each round of a delivery; it lives until the round has ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    pub event_id: String,
    pub endpoint_id: String,
    pub round: i64,
}

impl Order {
    /// Those of an endpoint that wants its events in order are a group.
    pub fn message(&self, ordered: bool) -> Message {
        let message = Message::json(self);
        match ordered {
            true => message.in_group(&self.endpoint_id),
            false => message,
        }
    }
}

/// That an event shall be delivered to these endpoints, too. A transaction sends only so
/// many messages; an event for more endpoints has some of these among them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    pub event_id: String,
    pub endpoint_ids: Vec<String>,
}

/// What of many deliveries shall be begun anew: a page in a transaction, then the
/// rest in the next message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    pub job: Kind,
    pub endpoint_id: Option<String>,
    /// Those of these events alone.
    pub event_ids: Option<Vec<String>>,
    /// In microseconds since 1970.
    pub since: i64,
    pub until: i64,
    /// The last one of the pages before.
    pub after: Option<(i64, String, String)>,
}

/// Which deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Those of an endpoint that failed or stopped.
    Recover,
    /// Those events for an endpoint that never got there.
    ReplayMissing,
    /// Those among the dead letters, of one endpoint or all.
    Redrive,
}

impl Job {
    pub fn since(&self) -> Timestamp {
        Timestamp::from_micros(self.since)
    }

    pub fn until(&self) -> Timestamp {
        Timestamp::from_micros(self.until)
    }

    pub fn message(&self) -> Message {
        Message::json(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_apart() {
        let order = json!({"event_id": "evt_1", "endpoint_id": "ep_1", "round": 2}).to_string();
        let job = json!({"job": "replay-missing", "endpoint_id": "ep_1", "since": 1, "until": 2,
            "after": [1, "evt_1", "ep_1"]})
        .to_string();
        assert_eq!(read::<Order>(&order).map(|order| order.round), Some(2));
        assert_eq!(read::<Order>(&job), None);
        let job = read::<Job>(&job).unwrap();
        assert_eq!(
            (job.job, job.until()),
            (Kind::ReplayMissing, Timestamp::from_micros(2))
        );
        assert_eq!(read::<Job>(&order), None);
        let spread = json!({"event_id": "evt_1", "endpoint_ids": ["ep_1"]}).to_string();
        assert!(read::<Order>(&spread).is_none() && read::<Job>(&spread).is_none());
        assert!(read::<Spread>(&spread).is_some() && read::<Spread>(&order).is_none());
    }

    fn read<T: serde::de::DeserializeOwned>(text: &str) -> Option<T> {
        let message = hearth_plugin::consumer::Message {
            id: "1".into(),
            queue: "webhook-deliveries".into(),
            body: text.into(),
            attributes: Vec::new(),
            attempt: 1,
            sent_at: Timestamp::default(),
        };
        message.json()
    }
}

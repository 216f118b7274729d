//! A notification as it is stored, and as clients see it.

use hearth_plugin::documents::Item;
use hearth_plugin::prelude::*;
use serde::{Deserialize, Serialize};

use crate::entry::Entry;
use crate::flag::Kind;
use crate::inbox::Inbox;
use crate::watermarks::Lines;

/// A stored notification: written once and never changed. The category is a separate
/// attribute, where it is read without the rest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    pub category: String,
    pub message: Content,
}

/// What it says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Content {
    pub title: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action_url: Option<String>,
    /// JSON in text: so it may be deeper, and have other numbers, than DynamoDB takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    pub critical: bool,
    /// In microseconds since 1970.
    pub created_at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<Event>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// The end of the quiet hours in which it came, in microseconds since 1970: its
    /// listeners hear of it then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_until: Option<i64>,
}

/// The event that it reports.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    pub id: String,
    pub r#type: String,
}

/// The digest that it is. The times are in microseconds since 1970.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Digest {
    pub key: String,
    pub count: u64,
    pub from: i64,
    pub to: i64,
}

impl Message {
    /// As an item of an inbox.
    pub fn item(&self, inbox: &Inbox, id: &str, expires_at: Timestamp) -> Item {
        Item {
            partition: inbox.partition(),
            sort: id.to_string(),
            attributes: serde_json::to_value(self).unwrap_or_default(),
            expires_at: Some(expires_at),
        }
    }

    /// As clients see it, and nothing has become of it yet.
    pub fn to_json(&self, inbox: &Inbox, id: &str, expires_at: Option<Timestamp>) -> Value {
        let Content {
            title,
            body,
            action_url,
            data,
            critical,
            created_at,
            template,
            event,
            digest,
            held_until: _,
        } = &self.message;
        let data = data.as_deref().and_then(Json::parse).map(|Json(data)| data);
        let digest = digest.as_ref().map(|digest| {
            json!({"key": some(&digest.key), "count": digest.count, "from": time(digest.from),
                "to": time(digest.to)})
        });
        json!({
            "id": id,
            "recipient": inbox.recipient(),
            "category": self.category,
            "title": title,
            "body": body,
            "action_url": action_url,
            "data": data,
            "critical": critical,
            "created_at": time(*created_at),
            "expires_at": expires_at,
            "template": template,
            "event": event,
            "digest": digest,
            "seen_at": null,
            "read_at": null,
            "archived_at": null,
            "snoozed_until": null,
        })
    }
}

/// `None` for the empty key.
pub fn some(key: &str) -> Option<&str> {
    Some(key).filter(|key| !key.is_empty())
}

fn time(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

impl Entry {
    /// As clients see it, with what became of it.
    pub fn shown(&self, inbox: &Inbox, lines: &Lines, now: Timestamp) -> Option<Value> {
        let mut shown = self.message()?.to_json(inbox, &self.id, self.expires_at());
        for kind in Kind::ALL {
            let since = lines.since(kind, self);
            shown[[kind.name(), "_at"].concat()] = json!(since.map(time));
        }
        shown["snoozed_until"] = json!(self.snoozed_until(now));
        Some(shown)
    }
}

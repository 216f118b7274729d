//! The preferences of a recipient, by category and channel. Those of the customer are
//! the defaults for its recipients.

use std::collections::BTreeMap;

use hearth_plugin::cache;
use hearth_plugin::documents::{self, Key};
use hearth_plugin::prelude::*;
use serde::{Deserialize, Serialize};

use crate::category;
use crate::document;
use crate::inbox::Inbox;
use crate::quiet_hours::Hours;

const PARTITION: &str = "preferences";
/// What the host keeps of them, under this tag.
pub const TAG: &str = "preferences";
/// Categories of a document at most.
const CATEGORIES_MAX: usize = 100;
/// Days for which notifications are kept at most.
pub const RETENTION_DAYS_MAX: i64 = 365;
/// A digest gathers for a minute at least, and for a week at most.
const DIGEST_SECONDS: std::ops::RangeInclusive<i64> = 60..=604_800;

/// Where a notification goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// The inbox, where it is listed and counted.
    InApp,
    /// Who listens to `/stream`.
    Stream,
    /// The customer's webhooks, as the event `notification.created`.
    Webhook,
}

impl Channel {
    pub const ALL: [Channel; 3] = [Channel::InApp, Channel::Stream, Channel::Webhook];

    const fn name(self) -> &'static str {
        match self {
            Channel::InApp => "in_app",
            Channel::Stream => "stream",
            Channel::Webhook => "webhook",
        }
    }

    /// The default of a channel.
    pub const fn is_on(self) -> bool {
        !matches!(self, Channel::Webhook)
    }
}

/// Which channels are on or off; the others are as they would be without.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Channels {
    in_app: Option<bool>,
    stream: Option<bool>,
    webhook: Option<bool>,
}

impl Channels {
    fn read(fields: &mut Fields) -> Self {
        let [in_app, stream, webhook] =
            Channel::ALL.map(|channel| fields.boolean(channel.name()).optional());
        Channels {
            in_app,
            stream,
            webhook,
        }
    }

    fn get(&self, channel: Channel) -> Option<bool> {
        match channel {
            Channel::InApp => self.in_app,
            Channel::Stream => self.stream,
            Channel::Webhook => self.webhook,
        }
    }

    fn to_json(&self) -> Value {
        let member = |channel: Channel| (channel.name().to_string(), json!(self.get(channel)));
        Value::Object(Channel::ALL.map(member).into_iter().collect())
    }
}

/// What holds for one category.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Category {
    channels: Channels,
    pub digest_seconds: Option<i64>,
    pub retention_days: Option<i64>,
}

impl Category {
    fn read(fields: &mut Fields) -> Self {
        let wrong = "this must be 0, or 60 to 604800";
        let is_window = |seconds: &i64| *seconds == 0 || DIGEST_SECONDS.contains(seconds);
        let digest = fields.integer("digest_seconds");
        let digest = digest.check("out_of_range", wrong, is_window);
        Category {
            digest_seconds: digest.optional(),
            retention_days: fields
                .integer("retention_days")
                .range(1..=RETENTION_DAYS_MAX)
                .optional(),
            channels: Channels::read(fields),
        }
    }

    fn to_json(&self) -> Value {
        let mut shown = self.channels.to_json();
        shown["digest_seconds"] = json!(self.digest_seconds);
        shown["retention_days"] = json!(self.retention_days);
        shown
    }
}

/// What one says, a recipient or the customer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Preferences {
    channels: Channels,
    pub categories: BTreeMap<String, Category>,
    pub quiet_hours: Option<Hours>,
    updated_at: Option<i64>,
}

impl Preferences {
    pub fn read(mut fields: Fields) -> Result<Self, Problem> {
        let channels = fields.nested("channels", Channels::read);
        let quiet_hours = fields.nested("quiet_hours", Hours::read);
        let named = fields.object("categories").optional().unwrap_or_default();
        if named.len() > CATEGORIES_MAX {
            let detail = "this must have 0 to 100 members";
            fields.refuse("categories", "too_long", detail);
        }
        let mut errors = refused(fields.finish());
        let (categories, wrong) = categories(named)?;
        errors.extend(wrong);
        match errors.is_empty() {
            true => Ok(Preferences {
                channels: channels.unwrap_or_default(),
                categories,
                quiet_hours,
                updated_at: None,
            }),
            false => Err(Problem::invalid_fields(errors)),
        }
    }

    pub fn to_json(&self, inbox: &Inbox) -> Value {
        let categories = self.categories.iter();
        let categories = categories.map(|(name, own)| (name.clone(), own.to_json()));
        json!({
            "recipient": inbox.recipient(),
            "channels": self.channels.to_json(),
            "categories": categories.collect::<Map<_, _>>(),
            "quiet_hours": self.quiet_hours.as_ref().map(Hours::to_json),
            "updated_at": self.updated_at.map(Timestamp::from_micros),
        })
    }

    pub fn channel(&self, category: &str, channel: Channel) -> Option<bool> {
        let own = self.categories.get(category);
        let own = own.and_then(|own| own.channels.get(channel));
        own.or_else(|| self.channels.get(channel))
    }
}

type Errors = Vec<hearth_plugin::FieldError>;

fn refused(finished: Result<(), Problem>) -> Errors {
    let problem = finished.err();
    problem.map_or_else(Vec::new, |problem| problem.field_errors().to_vec())
}

fn categories(named: Map<String, Value>) -> Result<(BTreeMap<String, Category>, Errors), Problem> {
    let names: Vec<String> = named.keys().take(CATEGORIES_MAX).cloned().collect();
    let mut fields = Fields::at("/categories".into(), Value::Object(named))?;
    let mut read = BTreeMap::new();
    for name in names {
        if !category::is_category(&name) {
            fields.refuse(&name, "not_allowed", category::WRONG);
        }
        if let Some(own) = fields.nested(&name, Category::read) {
            read.insert(name, own);
        }
    }
    Ok((read, refused(fields.finish())))
}

/// Where the preferences of an inbox lie.
pub fn key(inbox: &Inbox) -> Key {
    Key {
        partition: PARTITION.into(),
        sort: ["/", inbox.name()].concat(),
    }
}

pub fn stored(inbox: &Inbox) -> Result<Value, documents::Error> {
    document::stored(&key(inbox))
}

/// `GET /preferences`.
pub fn show(request: &Request) -> Answer {
    let inbox = Inbox::alone(request)?;
    respond(stored(&inbox)?, &inbox)
}

fn respond(stored: Value, inbox: &Inbox) -> Answer {
    let preferences: Preferences = serde_json::from_value(stored).unwrap_or_default();
    Response::json(200, &preferences.to_json(inbox))
}

/// `PUT /preferences`: replaces them all. Every host goes by them within a second.
pub fn replace(request: &Request) -> Answer {
    let inbox = Inbox::alone(request)?;
    let mut preferences = Preferences::read(request.fields()?)?;
    let shown = |stored| respond(stored, &inbox);
    let at = document::replace(request, &key(&inbox), &preferences, shown)?;
    preferences.updated_at = Some(at);
    cache::invalidate_tag(TAG);
    Response::json(200, &preferences.to_json(&inbox))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: Value) -> Result<Preferences, Problem> {
        Preferences::read(Fields::of(body).unwrap())
    }

    #[test]
    fn every_mistake_is_named() {
        let problem = read(
            json!({"channels": {"sms": true}, "categories": {"A": {}, "b": {"digest_seconds": 1}, "c": 1},
            "quiet_hours": {}, "more": 1}),
        );
        let places: Vec<_> = problem
            .unwrap_err()
            .field_errors()
            .iter()
            .map(|error| format!("{:?}", error.location))
            .collect();
        for pointer in [
            "/channels/sms",
            "/categories/A",
            "/categories/b/digest_seconds",
            "/categories/c",
            "/quiet_hours/time_zone",
            "/more",
        ] {
            let expected = format!("Pointer({pointer:?})");
            assert!(places.contains(&expected), "{pointer}: {places:?}");
        }
    }

    #[test]
    fn what_is_stored_is_read_back() {
        let body = json!({"channels": {"in_app": true}, "categories": {"a": {"stream": false}},
            "quiet_hours": {"time_zone": "UTC", "start": "22:00", "end": "07:00"}});
        let preferences = read(body).unwrap();
        let stored = serde_json::to_value(&preferences).unwrap();
        assert_eq!(
            serde_json::from_value::<Preferences>(stored).unwrap(),
            preferences
        );
    }
}

//! The settings of an inbox: its recipient's preferences, with those of the customer as
//! defaults.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use hearth_plugin::cache;
use hearth_plugin::documents::{self, Item, Key};
use hearth_plugin::prelude::*;

use crate::inbox::Inbox;
use crate::preferences::{self, Category, Channel, Preferences, RETENTION_DAYS_MAX, TAG};

/// For how long the host remembers preferences.
const KEPT: Duration = Duration::from_secs(60);
/// How many inboxes of a request have their preferences cached by the host; if there
/// are more, they are read with one call.
const REMEMBERED_MAX: usize = 10;
/// Days for which notifications are kept, where the operator does not set
/// `retention_days`.
const RETENTION_DAYS: i64 = 90;
const MICROS_PER_MS: i64 = 1_000;
const DAY: Duration = Duration::from_secs(86_400);

/// What holds for an inbox.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The recipient's own, then the customer's; or the customer's alone.
    layers: Vec<Rc<Preferences>>,
    retention_days: i64,
}

impl Settings {
    /// Of these inboxes, as the host remembers them for a minute, or as they are.
    pub fn of_all(inboxes: &BTreeSet<Inbox>) -> Result<BTreeMap<Inbox, Self>, documents::Error> {
        let customer = Rc::new(remembered(&Inbox::default())?);
        let own: Vec<Preferences> = match inboxes.len() <= REMEMBERED_MAX {
            true => inboxes.iter().map(remembered).collect::<Result<_, _>>()?,
            false => read_all(inboxes)?,
        };
        let days = config::get("retention_days").and_then(|text| text.parse().ok());
        let settings = inboxes.iter().zip(own).map(|(inbox, own)| {
            let mut layers = vec![Rc::new(own)];
            if inbox.recipient().is_some() {
                layers.push(customer.clone());
            }
            let retention_days = days.unwrap_or(RETENTION_DAYS);
            (
                inbox.clone(),
                Settings {
                    layers,
                    retention_days,
                },
            )
        });
        Ok(settings.collect())
    }

    pub fn is_on(&self, category: &str, channel: Channel) -> bool {
        let mut said = self.layers.iter();
        let said = said.find_map(|layer| layer.channel(category, channel));
        said.unwrap_or(channel.is_on())
    }

    /// When it is loud again, if it is quiet now.
    pub fn quiet_until(&self, now: Timestamp) -> Option<Timestamp> {
        let mut hours = self
            .layers
            .iter()
            .filter_map(|layer| layer.quiet_hours.as_ref());
        hours.next()?.end_after(now)
    }

    /// For how long a digest gathers, where there is to be one.
    pub fn digest_seconds(&self, category: &str) -> Option<i64> {
        let seconds = self.first(category, |own| own.digest_seconds);
        seconds.filter(|seconds| *seconds > 0)
    }

    /// When a notification of now is gone.
    pub fn expires_at(&self, category: &str, now: Timestamp) -> Timestamp {
        let days = self.first(category, |own| own.retention_days);
        let days = days.unwrap_or(self.retention_days);
        let days = u32::try_from(days.clamp(1, RETENTION_DAYS_MAX)).unwrap_or(1);
        // As exactly as it is stored.
        let whole = now.micros().div_euclid(MICROS_PER_MS) * MICROS_PER_MS;
        Timestamp::from_micros(whole).after(DAY * days)
    }

    fn first(&self, category: &str, of: fn(&Category) -> Option<i64>) -> Option<i64> {
        let mut layers = self.layers.iter();
        layers.find_map(|layer| layer.categories.get(category).and_then(of))
    }
}

fn read_all(inboxes: &BTreeSet<Inbox>) -> Result<Vec<Preferences>, documents::Error> {
    let keys: Vec<Key> = inboxes.iter().map(preferences::key).collect();
    let read = |item: Item| serde_json::from_value(item.attributes).unwrap_or_default();
    let items = documents::get_many(&keys)?.into_iter();
    Ok(items
        .map(|item| item.map(read).unwrap_or_default())
        .collect())
}

fn remembered(inbox: &Inbox) -> Result<Preferences, documents::Error> {
    let key = ["preferences/", inbox.name()].concat();
    let options = cache::Options::for_(KEPT).tag(TAG);
    let text = cache::get_or_compute(&key, &options, || {
        preferences::stored(inbox).map(|value| value.to_string().into_bytes())
    })?;
    Ok(serde_json::from_slice(&text).unwrap_or_default())
}

#[cfg(test)]
pub mod tests {
    use super::*;

    fn read(body: Value) -> Preferences {
        Preferences::read(Fields::of(body).unwrap()).unwrap()
    }

    /// Of these preferences, the nearest first.
    pub fn settings(layers: &[Value]) -> Settings {
        Settings {
            layers: layers
                .iter()
                .map(|body| Rc::new(read(body.clone())))
                .collect(),
            retention_days: 90,
        }
    }

    #[test]
    fn the_nearest_word_holds() {
        let own = json!({"channels": {"stream": false}, "categories": {"a": {"stream": true, "retention_days": 1}}});
        let customer = json!({"channels": {"in_app": false, "stream": true, "webhook": true},
            "categories": {"a": {"retention_days": 7}, "b": {"stream": true, "retention_days": 7, "digest_seconds": 60}}});
        let settings = settings(&[own, customer]);
        assert!(settings.is_on("a", Channel::Stream));
        assert!(
            !settings.is_on("b", Channel::Stream),
            "the own word for all"
        );
        assert!(!settings.is_on("a", Channel::InApp));
        assert!(settings.is_on("a", Channel::Webhook));
        let now = Timestamp::from_micros(0);
        let days = |category| settings.expires_at(category, now).micros() / 86_400_000_000;
        assert_eq!([days("a"), days("b"), days("c")], [1, 7, 90]);
        assert_eq!(settings.digest_seconds("b"), Some(60));
        assert_eq!(settings.digest_seconds("a"), None);
    }

    #[test]
    fn where_nobody_says_anything_all_but_webhooks_are_on() {
        let settings = settings(&[json!({})]);
        let on = Channel::ALL.map(|channel| settings.is_on("a", channel));
        assert_eq!(on, [true, true, false]);
        assert_eq!(settings.quiet_until(Timestamp::now()), None);
    }
}

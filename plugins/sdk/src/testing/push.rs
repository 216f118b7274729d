//! The events that a test's handlers publish.

use std::collections::BTreeMap;

use super::lend;
use crate::push::Event as PushEvent;

pub use crate::bindings::imports::hearth::plugin::push::{Error, Event, Publication};

/// Events by their channels.
#[derive(Default)]
pub(super) struct Channels {
    events: BTreeMap<String, Vec<PushEvent>>,
    count: u64,
}

impl Channels {
    pub(super) fn published(&self, channel: &str) -> Vec<PushEvent> {
        self.events.get(channel).cloned().unwrap_or_default()
    }

    fn publish(&mut self, channel: &str, event: &Event) -> String {
        self.count += 1;
        let mut kept = PushEvent::new(event.data.clone());
        if let Some(id) = &event.id {
            kept = kept.id(id);
        }
        if let Some(kind) = &event.kind {
            kept = kept.kind(kind);
        }
        self.events.entry(channel.into()).or_default().push(kept);
        format!("psh_{}", self.count)
    }
}

pub(crate) fn publish(channel: &str, event: &Event) -> Result<String, Error> {
    Ok(lend(|state| state.channels.publish(channel, event)))
}

pub(crate) fn publish_many(publications: &[Publication]) -> Result<Vec<String>, Error> {
    let publications = publications.iter();
    publications
        .map(|one| publish(&one.channel, &one.event))
        .collect()
}

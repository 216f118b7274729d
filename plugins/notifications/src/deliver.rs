//! The one way in which a notification comes to its reader: kept, gathered for a digest,
//! told, or none of it, as preferences want it.

use std::collections::{BTreeMap, BTreeSet};

use hearth_plugin::documents::{self, Item};
use hearth_plugin::prelude::*;

use crate::announce;
use crate::backdated;
use crate::digest::{self, Group, Window};
use crate::draft::Draft;
use crate::inbox::Inbox;
use crate::preferences::Channel;
use crate::settings::Settings;

/// What became of a notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the inbox.
    Created,
    /// It waits for its digest.
    Gathered { due_at: Timestamp },
    /// It is not kept, but the stream or the webhooks hear of it.
    Told,
    /// Nobody wants it.
    Muted,
}

/// When listeners hear of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Never,
    Now,
    At(Timestamp),
}

/// A notification on its way.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub draft: Draft,
    pub expires_at: Timestamp,
    pub outcome: Outcome,
    pub stream: Stream,
    pub webhook: bool,
    /// Where it is kept, if anywhere.
    item: Option<Item>,
}

impl Delivery {
    /// As clients see it.
    pub fn to_json(&self) -> Value {
        let Draft {
            message, inbox, id, ..
        } = &self.draft;
        message.to_json(inbox, id, Some(self.expires_at))
    }
}

/// What is wanted of a notification.
#[derive(Debug, PartialEq, Eq)]
enum Plan {
    Mute,
    Gather {
        seconds: i64,
    },
    Send {
        keep: bool,
        stream: Stream,
        webhook: bool,
    },
}

fn plan(draft: &Draft, settings: &Settings, now: Timestamp) -> Plan {
    let category = draft.category();
    let webhook = settings.is_on(category, Channel::Webhook);
    if draft.is_critical() {
        return Plan::Send {
            keep: true,
            stream: Stream::Now,
            webhook,
        };
    }
    let keep = settings.is_on(category, Channel::InApp);
    let is_heard = settings.is_on(category, Channel::Stream);
    if !(keep || is_heard || webhook) {
        return Plan::Mute;
    }
    let is_digest = draft.message.message.digest.is_some();
    let seconds = settings.digest_seconds(category).filter(|_| !is_digest);
    if let Some(seconds) = seconds {
        return Plan::Gather { seconds };
    }
    let stream = match (is_heard, settings.quiet_until(now)) {
        (false, _) => Stream::Never,
        (true, None) => Stream::Now,
        (true, Some(end)) => Stream::At(end),
    };
    Plan::Send {
        keep,
        stream,
        webhook,
    }
}

/// Delivers them, each with a result of its own, in order. All that is kept is written
/// by one call, and told once it is durable.
pub fn deliver(drafts: Vec<Draft>, now: Timestamp) -> Vec<Result<Delivery, Problem>> {
    let mut deliveries = prepare(drafts, now);
    backdated::unmark(&mut deliveries, now);
    write(&mut deliveries);
    backdated::enter(&mut deliveries, now);
    announce::announce(&mut deliveries, now);
    count(&deliveries);
    deliveries
}

/// Decides what becomes of each. What is to be read for that is read for all at once.
fn prepare(drafts: Vec<Draft>, now: Timestamp) -> Vec<Result<Delivery, Problem>> {
    let inboxes: BTreeSet<Inbox> = drafts.iter().map(|draft| draft.inbox.clone()).collect();
    let settings = match Settings::of_all(&inboxes) {
        Ok(settings) => settings,
        Err(error) => {
            let problem = Problem::from(error);
            return drafts.iter().map(|_| Err(problem.clone())).collect();
        }
    };
    let planned = drafts.into_iter().map(|draft| {
        let settings = settings.get(&draft.inbox).ok_or_else(Problem::internal)?;
        Ok(planned(draft, settings, now))
    });
    let planned: Vec<Result<(Delivery, Plan), Problem>> = planned.collect();
    let windows = windows(&planned, now);
    let deliveries = planned.into_iter().map(|planned| {
        let (delivery, plan) = planned?;
        match plan {
            Plan::Mute => Ok(delivery),
            Plan::Gather { .. } => gather(delivery, windows.as_ref()),
            Plan::Send {
                keep,
                stream,
                webhook,
            } => Ok(send(delivery, keep, stream, webhook)),
        }
    });
    deliveries.collect()
}

fn planned(draft: Draft, settings: &Settings, now: Timestamp) -> (Delivery, Plan) {
    let plan = plan(&draft, settings, now);
    let expires_at = settings.expires_at(draft.category(), draft.at);
    let delivery = Delivery {
        expires_at,
        outcome: Outcome::Muted,
        stream: Stream::Never,
        webhook: false,
        item: None,
        draft,
    };
    (delivery, plan)
}

fn group(draft: &Draft) -> Group {
    Group {
        inbox: draft.inbox.clone(),
        category: draft.category().into(),
        key: draft.digest_key.clone(),
    }
}

/// The windows of all that are to be gathered.
fn windows(
    planned: &[Result<(Delivery, Plan), Problem>],
    now: Timestamp,
) -> Result<BTreeMap<Group, Window>, Problem> {
    let groups = planned
        .iter()
        .flatten()
        .filter_map(|(delivery, plan)| match plan {
            Plan::Gather { seconds } => Some((group(&delivery.draft), *seconds)),
            Plan::Mute | Plan::Send { .. } => None,
        });
    digest::join(&groups.collect(), now)
}

fn gather(
    mut delivery: Delivery,
    windows: Result<&BTreeMap<Group, Window>, &Problem>,
) -> Result<Delivery, Problem> {
    let windows = windows.map_err(Clone::clone)?;
    let window = windows.get(&group(&delivery.draft));
    let window = window.ok_or_else(Problem::internal)?;
    delivery.item = Some(window.item(&delivery.draft));
    delivery.outcome = Outcome::Gathered { due_at: window.due };
    Ok(delivery)
}

fn send(mut delivery: Delivery, keep: bool, stream: Stream, webhook: bool) -> Delivery {
    (delivery.stream, delivery.webhook) = (stream, webhook);
    let draft = &mut delivery.draft;
    if let Stream::At(end) = stream {
        draft.message.message.held_until = Some(end.micros());
    }
    let item = draft
        .message
        .item(&draft.inbox, &draft.id, delivery.expires_at);
    (delivery.outcome, delivery.item) = match (keep, stream) {
        (true, _) => (Outcome::Created, Some(item)),
        (false, Stream::At(end)) => (
            Outcome::Told,
            Some(announce::deferred(item, &draft.inbox, end)),
        ),
        (false, _) => (Outcome::Told, None),
    };
    delivery
}

/// What is kept of all, by one call.
fn write(deliveries: &mut [Result<Delivery, Problem>]) {
    let (mut items, mut places) = (Vec::new(), Vec::new());
    for (place, delivery) in deliveries.iter_mut().enumerate() {
        if let Ok(delivery) = delivery
            && let Some(item) = delivery.item.take()
        {
            items.push(item);
            places.push(place);
        }
    }
    if items.is_empty() {
        return;
    }
    for (place, written) in places.into_iter().zip(documents::put_many(&items)) {
        if let (Err(error), Some(delivery)) = (written, deliveries.get_mut(place)) {
            *delivery = Err(error.into());
        }
    }
}

fn count(deliveries: &[Result<Delivery, Problem>]) {
    let mut counts = BTreeMap::new();
    for delivery in deliveries {
        let name = match delivery.as_ref().map(|delivery| &delivery.outcome) {
            Ok(outcome) => outcome.name(),
            Err(_) => "failed",
        };
        *counts.entry(name).or_insert(0) += 1;
    }
    for (outcome, number) in counts {
        metrics::count("notifications", number, &[("outcome", outcome)]);
    }
}

impl Outcome {
    pub fn name(&self) -> &'static str {
        match self {
            Outcome::Created => "created",
            Outcome::Gathered { .. } => "gathered",
            Outcome::Told => "told",
            Outcome::Muted => "muted",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draft::New;
    use crate::message::Digest;
    use crate::settings::tests::settings;

    /// 2026-11-24T23:00:00Z: in the quiet hours of `quiet`.
    const NIGHT: i64 = 1_795_561_200_000_000;

    fn draft(body: Value) -> Draft {
        let new = New::read(Fields::of(body).unwrap()).unwrap();
        new.drafted("ntf_1".into(), Timestamp::from_micros(NIGHT), None)
    }

    fn planned(draft: &Draft, preferences: Value) -> Plan {
        plan(
            draft,
            &settings(&[preferences]),
            Timestamp::from_micros(NIGHT),
        )
    }

    fn send(keep: bool, stream: Stream, webhook: bool) -> Plan {
        Plan::Send {
            keep,
            stream,
            webhook,
        }
    }

    fn plain() -> Draft {
        draft(json!({"title": "t", "category": "a"}))
    }

    #[test]
    fn without_a_word_it_is_kept_and_pushed() {
        let expected = send(true, Stream::Now, false);
        assert_eq!(planned(&plain(), json!({})), expected);
    }

    #[test]
    fn muted_category_goes_nowhere_and_others_go_on() {
        let muted = json!({"categories": {"a": {"in_app": false, "stream": false}}});
        assert_eq!(planned(&plain(), muted.clone()), Plan::Mute);
        let other = draft(json!({"title": "t", "category": "b"}));
        assert_eq!(planned(&other, muted), send(true, Stream::Now, false));
    }

    #[test]
    fn quiet_hours_hold_the_stream_alone() {
        let quiet = json!({"channels": {"webhook": true},
            "quiet_hours": {"time_zone": "UTC", "start": "22:00", "end": "07:00"}});
        let end = Timestamp::parse("2026-11-25T07:00:00Z").unwrap();
        assert_eq!(planned(&plain(), quiet), send(true, Stream::At(end), true));
    }

    #[test]
    fn critical_one_is_neither_muted_nor_held_nor_gathered() {
        let critical = draft(json!({"title": "t", "category": "a", "critical": true}));
        let nothing = json!({"channels": {"in_app": false, "stream": false},
            "categories": {"a": {"digest_seconds": 60}},
            "quiet_hours": {"time_zone": "UTC", "start": "22:00", "end": "07:00"}});
        assert_eq!(planned(&critical, nothing), send(true, Stream::Now, false));
    }

    #[test]
    fn digest_gathers_what_is_no_digest_itself() {
        let wanted = json!({"categories": {"a": {"digest_seconds": 60}}});
        let mut draft = plain();
        let gather = Plan::Gather { seconds: 60 };
        assert_eq!(planned(&draft, wanted.clone()), gather);
        draft.message.message.digest = Some(Digest {
            key: String::new(),
            count: 2,
            from: 1,
            to: 2,
        });
        assert_eq!(planned(&draft, wanted), send(true, Stream::Now, false));
    }
}

//! A notification with everything that belongs to it, as one query finds it.

use hearth_plugin::documents::{self, Range, RawItem};
use hearth_plugin::prelude::*;

use crate::flag::{self, DELETED, Flag, Kind, SNOOZED, Snooze};
use crate::inbox::Inbox;
use crate::message::Message;

/// Items of a notification at most: itself, its three flags, what hides it, and what
/// stays of it.
pub const ITEMS_MAX: u32 = 6;
/// `ntf_` and a UUID.
pub const ID_LENGTH: usize = 40;

/// Of one notification. Where the message is missing it was deleted, or the page ends
/// before it.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    pub id: String,
    message: Option<RawItem>,
    archived: Option<Flag>,
    read: Option<Flag>,
    seen: Option<Flag>,
    snoozed: Option<Snooze>,
    is_deleted: bool,
}

impl Entry {
    /// Whether there is a notification for clients.
    pub fn is_there(&self) -> bool {
        self.has_message() && !self.is_deleted
    }

    /// Whether there is one, or was until it was deleted.
    pub fn has_been(&self) -> bool {
        self.has_message() || self.is_deleted
    }

    pub fn has_message(&self) -> bool {
        self.message.is_some()
    }

    pub fn flag(&self, kind: Kind) -> Option<Flag> {
        match kind {
            Kind::Archived => self.archived,
            Kind::Read => self.read,
            Kind::Seen => self.seen,
        }
    }

    /// Takes a flag that has just been made.
    pub fn set(&mut self, kind: Kind, flag: Flag) {
        match kind {
            Kind::Archived => self.archived = Some(flag),
            Kind::Read => self.read = Some(flag),
            Kind::Seen => self.seen = Some(flag),
        }
    }

    /// Hides it until then.
    pub fn hide(&mut self, snooze: Option<Snooze>) {
        self.snoozed = snooze;
    }

    /// Until when it is hidden, if it is.
    pub fn snoozed_until(&self, now: Timestamp) -> Option<Timestamp> {
        let until = Timestamp::from_micros(self.snoozed?.until);
        (until > now).then_some(until)
    }

    /// What was said when it was hidden last.
    pub fn snooze(&self) -> Option<Snooze> {
        self.snoozed
    }

    /// Bytes of what it says.
    pub fn size(&self) -> usize {
        self.message
            .as_ref()
            .map_or(0, |item| item.attributes.len())
    }

    pub fn expires_at(&self) -> Option<Timestamp> {
        self.message.as_ref()?.expires_at
    }

    /// The category, without reading the rest.
    pub fn category(&self) -> &str {
        let text = self.message.as_ref().map(|item| item.attributes.as_str());
        text.and_then(category).unwrap_or_default()
    }

    /// The notification itself.
    pub fn message(&self) -> Option<Message> {
        serde_json::from_str(&self.message.as_ref()?.attributes).ok()
    }

    fn take(&mut self, item: RawItem) {
        match item.sort.get(ID_LENGTH + 1..) {
            None => self.message = Some(item),
            Some(DELETED) => self.is_deleted = true,
            Some(SNOOZED) => self.snoozed = serde_json::from_str(&item.attributes).ok(),
            Some(end) => {
                let flag = serde_json::from_str(&item.attributes).ok();
                let kind = Kind::ALL.into_iter().find(|kind| kind.name() == end);
                if let (Some(kind), Some(flag)) = (kind, flag) {
                    self.set(kind, flag);
                }
            }
        }
    }
}

/// Attributes come in the order of their names, and this is the first.
fn category(attributes: &str) -> Option<&str> {
    let rest = attributes.strip_prefix(r#"{"category":""#)?;
    rest.split('"').next()
}

/// The notification that a sort key belongs to.
pub fn id_of(sort: &str) -> &str {
    sort.get(..ID_LENGTH).unwrap_or(sort)
}

/// Puts together what belongs together, of items in the order of their keys or the
/// other way round.
pub fn gather(items: Vec<RawItem>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for item in items {
        let id = id_of(&item.sort);
        if entries.last().is_none_or(|last| last.id != id) {
            entries.push(Entry {
                id: id.to_string(),
                ..Entry::default()
            });
        }
        if let Some(last) = entries.last_mut() {
            last.take(item);
        }
    }
    entries
}

/// What there is of this notification.
fn all_of(inbox: &Inbox, id: &str) -> Result<Option<Entry>, documents::Error> {
    let range = Range::BeginsWith(id.to_string());
    let page = documents::query_raw(&inbox.partition(), &range, ITEMS_MAX, None, false)?;
    Ok(gather(page.items).pop())
}

/// The notification with this id, if it is in this inbox.
pub fn look_up(inbox: &Inbox, id: &str) -> Result<Option<Entry>, documents::Error> {
    Ok(all_of(inbox, id)?.filter(Entry::is_there))
}

/// The same: 404 where it is not.
pub fn find(inbox: &Inbox, id: &str) -> Result<Entry, Problem> {
    look_up(inbox, id)?.ok_or_else(Problem::not_found)
}

/// What there is of these notifications, in order, those that are there.
pub fn look_up_all(inbox: &Inbox, ids: &[String]) -> Result<Vec<Entry>, documents::Error> {
    let ends = Kind::ALL.map(Kind::name).into_iter();
    let ends: Vec<&str> = ends.chain([SNOOZED, DELETED]).collect();
    let keys = ids.iter().flat_map(|id| {
        let marks = ends.iter().map(move |end| flag::key(inbox, id, end));
        std::iter::once(flag::own_key(inbox, id)).chain(marks)
    });
    let items = documents::get_many_raw(&keys.collect::<Vec<_>>())?;
    Ok(gather(items.into_iter().flatten().collect()))
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn item(id: &str, end: &str, attributes: &Value) -> RawItem {
        RawItem {
            sort: [id, end].concat(),
            attributes: attributes.to_string(),
            expires_at: None,
        }
    }

    pub fn id(number: u32) -> String {
        format!("ntf_019ab3f0-0000-7000-8000-{number:012x}")
    }

    /// A notification and the items that belong to it, as they lie.
    pub fn items(number: u32, category: &str, ends: &[(&str, Value)]) -> Vec<RawItem> {
        let message = json!({"category": category, "message": {"title": "t", "critical": false, "created_at": 1}});
        let mut items = vec![item(&id(number), "", &message)];
        items.extend(
            ends.iter()
                .map(|(end, value)| item(&id(number), end, value)),
        );
        items
    }

    #[test]
    fn items_of_a_notification_are_put_together_in_either_order() {
        let read = ("/read", json!({"on": true, "at": 7}));
        let snoozed = ("/snoozed", json!({"until": 9}));
        let mut all = items(1, "a", &[read, snoozed]);
        all.extend(items(2, "b.c", &[]));
        for reversed in [false, true] {
            if reversed {
                all.reverse();
            }
            let mut entries = gather(all.clone());
            entries.sort_by(|one, other| one.id.cmp(&other.id));
            let [one, two] = entries.as_slice() else {
                panic!("{entries:?}");
            };
            assert!(one.is_there() && two.is_there());
            assert_eq!((one.category(), two.category()), ("a", "b.c"));
            assert_eq!(one.flag(Kind::Read), Some(Flag { on: true, at: 7 }));
            assert_eq!(two.flag(Kind::Read), None);
            let at = |micros| one.snoozed_until(Timestamp::from_micros(micros));
            assert_eq!((at(8).map(Timestamp::micros), at(9)), (Some(9), None));
        }
    }

    #[test]
    fn deleted_notification_is_not_there_even_when_it_was_sent_again() {
        let deleted = || ("/deleted", json!({"on": true, "at": 7}));
        let again = gather(items(1, "a", &[deleted()]));
        let alone = gather(vec![item(&id(1), "/deleted", &json!({"at": 7}))]);
        assert!(!again[0].is_there() && !alone[0].is_there());
        assert!(again[0].has_message() && !alone[0].has_message());
    }
}

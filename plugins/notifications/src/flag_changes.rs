//! Sets the flags of one notification.

use std::time::Duration;

use hearth_plugin::documents;
use hearth_plugin::fields::Change;
use hearth_plugin::prelude::*;

use crate::entry::{self, Entry};
use crate::flag::{self, DELETED, Flag, Kind, SNOOZED, Snooze};
use crate::inbox::Inbox;
use crate::jobs::{self, Job};
use crate::list::NotificationId;
use crate::summary;
use crate::watermarks::Lines;

/// For how long one may be snoozed.
const SNOOZE_MAX: Duration = Duration::from_secs(366 * 86_400);

/// `PATCH /{id}`.
pub fn change(request: &Request, NotificationId(id): NotificationId) -> Answer {
    let inbox = Inbox::alone(request)?;
    let mut fields = request.fields()?;
    let wanted = Kind::ALL.map(|kind| (kind, fields.boolean(kind.name()).optional()));
    fields.finish()?;
    let mut entry = entry::find(&inbox, &id)?;
    check(request, &inbox, &entry)?;
    let lines = sunk(&inbox, &entry, &wanted)?;
    let now = Timestamp::now();
    let expires_at = entry.expires_at();
    let lists = wanted
        .iter()
        .filter(|(kind, on)| kind.is_listed() && *on == Some(true));
    let lists = lists.map(|(kind, _)| flag::listed(&inbox, kind.name(), &id, expires_at));
    written(documents::put_many(&lists.collect::<Vec<_>>()))?;
    let mut items = Vec::new();
    for (kind, on) in wanted {
        if let Some(flag) = on.and_then(|on| new_flag(&lines, kind, &entry, on, now)) {
            items.push(flag::item(&inbox, &id, kind.name(), &flag, expires_at));
            entry.set(kind, flag);
        }
    }
    written(documents::put_many(&items))?;
    if wanted.iter().any(|(_, on)| *on == Some(false)) {
        summary::enter(&inbox, [(entry.category(), id.as_str())])?;
    }
    answer(&entry, &inbox, &lines, now)
}

/// 412 where the client wants it in another state than it is in now. Its flags are items of
/// their own: of two changes at once, both may find it as it was.
fn check(request: &Request, inbox: &Inbox, entry: &Entry) -> Result<(), Problem> {
    if !request.has_preconditions() {
        return Ok(());
    }
    let lines = summary::load(inbox)?.lines;
    let shown = answer(entry, inbox, &lines, Timestamp::now())?;
    request.check_preconditions(Some(&shown.etag()))
}

fn answer(entry: &Entry, inbox: &Inbox, lines: &Lines, now: Timestamp) -> Answer {
    let shown = entry.shown(inbox, lines, now);
    Response::json(200, &shown.ok_or_else(Problem::internal)?)
}

pub fn written(results: Vec<Result<(), documents::Error>>) -> Result<(), Problem> {
    let results: Result<Vec<()>, documents::Error> = results.into_iter().collect();
    Ok(results.map(|_| ())?)
}

/// The watermarks, after listings have been told to look as far down as this one where
/// it is not to be what they say.
fn sunk(inbox: &Inbox, entry: &Entry, wanted: &[(Kind, Option<bool>)]) -> Result<Lines, Problem> {
    summary::change(inbox, |lines| {
        let mut is_new = false;
        for (kind, on) in wanted {
            if *on == Some(false) {
                is_new |= lines.of_mut(*kind).sink(entry.category(), &entry.id);
            }
        }
        Ok(is_new)
    })
}

/// The flag that makes it so, later than all that was said of it; none where it is so.
pub fn new_flag(
    lines: &Lines,
    kind: Kind,
    entry: &Entry,
    on: bool,
    now: Timestamp,
) -> Option<Flag> {
    let word = lines.latest(kind, entry);
    if word.is_some_and(|(is, _)| is) == on {
        return None;
    }
    let after = word.map_or(i64::MIN, |(_, at)| at.saturating_add(1));
    Some(Flag {
        on,
        at: now.micros().max(after),
    })
}

/// `DELETE /{id}`. What stays says that it was there.
pub fn delete(request: &Request, NotificationId(id): NotificationId) -> Answer {
    let inbox = Inbox::alone(request)?;
    let entry = entry::find(&inbox, &id)?;
    check(request, &inbox, &entry)?;
    let flag = Flag {
        on: true,
        at: Timestamp::now().micros(),
    };
    let expires_at = entry.expires_at();
    documents::put(&flag::item(&inbox, &id, DELETED, &flag, expires_at))?;
    let mut keys = vec![flag::own_key(&inbox, &id)];
    for name in Kind::ALL.map(Kind::name).into_iter().chain([SNOOZED]) {
        keys.push(flag::key(&inbox, &id, name));
        keys.push(flag::listed_key(&inbox, name, &id));
    }
    written(documents::delete_many(&keys))?;
    Ok(Response::no_content())
}

/// `POST /{id}/snooze`.
pub fn snooze(request: &Request, NotificationId(id): NotificationId) -> Answer {
    let inbox = Inbox::alone(request)?;
    let now = Timestamp::now();
    let until = read_snooze(request.fields()?, now)?;
    let mut entry = entry::find(&inbox, &id)?;
    check(request, &inbox, &entry)?;
    let snooze = Snooze {
        until: until.map_or(0, Timestamp::micros),
    };
    if let Some(until) = until {
        let job = Job::Wake {
            inbox: inbox.clone(),
            id: id.clone(),
            until: until.micros(),
        };
        jobs::send(&job, now.until(until))?;
        documents::put(&flag::listed(&inbox, SNOOZED, &id, Some(until)))?;
    }
    let item = flag::item(&inbox, &id, SNOOZED, &snooze, entry.expires_at());
    documents::put(&item)?;
    entry.hide(Some(snooze));
    answer(&entry, &inbox, &summary::load(&inbox)?.lines, now)
}

/// Until when; `None` to have it back.
fn read_snooze(mut fields: Fields, now: Timestamp) -> Result<Option<Timestamp>, Problem> {
    let wrong = "this must be in the future, within a year";
    let is_right = |until: &Timestamp| *until > now && *until <= now.after(SNOOZE_MAX);
    let until = fields.timestamp("until");
    let until = until.check("out_of_range", wrong, is_right).change();
    match until {
        Change::Set(until) => fields.finish().map(|()| Some(until)),
        Change::Clear => fields.finish().map(|()| None),
        Change::Keep => {
            fields.finish()?;
            let mut fields = Fields::of(json!({}))?;
            fields.timestamp("until").required();
            fields.finish().map(|()| None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::tests::{id, items};

    const NOW: Timestamp = Timestamp::from_micros(1_000);

    fn entry(ends: &[(&str, Value)]) -> Entry {
        entry::gather(items(1, "a", ends)).pop().unwrap()
    }

    #[test]
    fn what_is_so_is_not_marked_again() {
        let read = entry(&[("/read", json!({"on": true, "at": 7}))]);
        let lines = Lines::default();
        assert_eq!(new_flag(&lines, Kind::Read, &read, true, NOW), None);
        assert_eq!(new_flag(&lines, Kind::Seen, &read, false, NOW), None);
        let flag = Flag {
            on: false,
            at: 1_000,
        };
        let made = new_flag(&lines, Kind::Read, &read, false, NOW);
        assert_eq!(made, Some(flag));
    }

    #[test]
    fn flag_is_the_latest_word_whatever_the_clock_says() {
        let mut lines = Lines::default();
        let raised = lines.of_mut(Kind::Read).raise(None, &id(1), 5_000);
        raised.unwrap();
        let mut entry = entry(&[]);
        let flag = new_flag(&lines, Kind::Read, &entry, false, NOW).unwrap();
        entry.set(Kind::Read, flag);
        assert_eq!(lines.since(Kind::Read, &entry), None);
        assert_eq!(flag.at, 5_001);
    }

    #[test]
    fn snooze_ends_in_the_future_or_now() {
        let read = |body: Value| read_snooze(Fields::of(body).unwrap(), NOW);
        let later = NOW.after(Duration::from_secs(1));
        assert_eq!(read(json!({"until": later})).unwrap(), Some(later));
        assert_eq!(read(json!({"until": null})).unwrap(), None);
        let too_late = NOW.after(SNOOZE_MAX).after(Duration::from_secs(1));
        for wrong in [
            json!({}),
            json!({"until": NOW}),
            json!({"until": too_late}),
            json!({"until": null, "x": 1}),
        ] {
            assert_eq!(read(wrong).unwrap_err().status(), 422);
        }
    }
}

//! Sets a flag of all notifications that match, with one watermark.

use std::ops::ControlFlow;

use hearth_plugin::documents::{self, Item};
use hearth_plugin::prelude::*;

use crate::category;
use crate::flag::{self, Kind};
use crate::flag_changes::{new_flag, written};
use crate::inbox::Inbox;
use crate::summary;
use crate::walk::{End, Look, PAGE_MAX, Walk};
use crate::watermarks::{Lines, Raised, above};

/// Queries, where single ones below a watermark are to be marked.
const QUERIES_MAX: usize = 5;

/// `POST /read`.
pub fn read(request: &Request) -> Answer {
    flag_all(request, Kind::Read)
}

/// `POST /seen`.
pub fn seen(request: &Request) -> Answer {
    flag_all(request, Kind::Seen)
}

/// `POST /archive`.
pub fn archive(request: &Request) -> Answer {
    flag_all(request, Kind::Archived)
}

struct FlagRange {
    category: Option<String>,
    upto: String,
}

impl FlagRange {
    fn read(mut fields: Fields, now: Timestamp) -> Result<Self, Problem> {
        let category = category::checked(fields.text("category"));
        let wrong = "this must be the id of a notification";
        let upto = fields.text("upto");
        let upto = upto.check("wrong_type", wrong, |text| id::is("ntf", text));
        let upto = upto.optional();
        fields.finish()?;
        // Nothing that comes later is meant, whatever a client makes up.
        let newest = id::last("ntf", now);
        let upto = upto.map_or_else(|| newest.clone(), |upto| upto.min(newest.clone()));
        Ok(FlagRange { category, upto })
    }
}

fn flag_all(request: &Request, kind: Kind) -> Answer {
    let inbox = Inbox::alone(request)?;
    let now = Timestamp::now();
    let wanted = FlagRange::read(request.fields_if_any()?, now)?;
    let (category, upto) = (wanted.category.as_deref(), wanted.upto.as_str());
    let mut raised = Raised::No;
    let lines = summary::change(&inbox, |lines| {
        let line = lines.of_mut(kind);
        raised = line
            .raise(category, upto, now.micros())
            .map_err(|_| too_many())?;
        Ok(raised == Raised::Yes)
    })?;
    if let Raised::Below { floor, upto } = raised {
        flag_each(&inbox, kind, category, &lines, (&floor, &upto), now)?;
    }
    let body = json!({"marked": kind.name(), "category": category, "upto": upto, "at": now});
    Response::json(200, &body)
}

fn too_many() -> Problem {
    let detail = "too many categories are marked one by one; mark all categories at once";
    Problem::new(409, "too-many-categories", "Too many categories").detail(detail)
}

/// Marks those of a range below the watermark that are not so.
fn flag_each(
    inbox: &Inbox,
    kind: Kind,
    category: Option<&str>,
    lines: &Lines,
    (floor, upto): (&str, &str),
    now: Timestamp,
) -> Result<(), Problem> {
    let mut items: Vec<Item> = Vec::new();
    let mut walk = Walk::new(inbox, Look::Flags, PAGE_MAX, QUERIES_MAX);
    let end = walk.range(floor, &above(upto), &mut |entry| {
        let is_meant = category.is_none_or(|category| entry.category() == category);
        let flag = new_flag(lines, kind, &entry, true, now);
        if let Some(flag) = flag.filter(|_| is_meant && entry.is_there()) {
            let expires_at = entry.expires_at();
            items.push(flag::item(inbox, &entry.id, kind.name(), &flag, expires_at));
        }
        ControlFlow::Continue(())
    })?;
    written(documents::put_many(&items))?;
    match end {
        End::Bottom | End::Enough => Ok(()),
        End::Spent(_) => Err(Problem::new(503, "busy", "Too much to mark")
            .detail("only the newest were marked; send the request again for the rest")
            .header("retry-after", "1")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(body: Value) -> Result<FlagRange, Problem> {
        FlagRange::read(
            Fields::of(body).unwrap(),
            Timestamp::from_micros(1_795_561_200_000_000),
        )
    }

    #[test]
    fn nothing_that_comes_later_is_meant() {
        let now = wanted(json!({})).unwrap().upto;
        let far = "ntf_ffffffff-ffff-7000-8000-000000000000";
        assert_eq!(wanted(json!({"upto": far})).unwrap().upto, now);
        let old = "ntf_01900000-0000-7000-8000-000000000000";
        assert_eq!(wanted(json!({"upto": old})).unwrap().upto, old);
    }

    #[test]
    fn wrong_bounds_are_named() {
        let problem = wanted(json!({"category": "A", "upto": "x", "all": true})).err();
        assert_eq!(problem.unwrap().field_errors().len(), 3);
    }
}

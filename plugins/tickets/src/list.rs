//! Listing tickets.

use hearth_plugin::cursor::{self, Binding};
use hearth_plugin::prelude::*;

use crate::sql::lists::{by_cursor, by_page};
use crate::status;
use crate::ticket::{self, Summary};

/// `GET /tickets`: the newest first, or as `sort` says.
pub fn list(request: &Request) -> Answer {
    let mut query = request.query()?;
    let filter = Filter::read(&mut query);
    let paging = Paging::read(&mut query);
    query.finish()?;
    let binding = filter.binding(&request.caller()?.customer_id);
    let start = filter.start(paging.keys(binding)?)?;
    let mut tickets = filter.run(&request.database(), &start, &paging)?;
    let more = paging.cut(&mut tickets);
    let next = tickets
        .last()
        .filter(|_| more)
        .map(|last| Start::after(last).encode(binding));
    let body = answer(&tickets, more, next.as_deref(), paging.page());
    Ok(paging.link(request, next.as_deref(), Response::json(200, &body)?))
}

fn answer(tickets: &[Summary], more: bool, next: Option<&str>, page: Option<i64>) -> Value {
    let tickets: Vec<_> = tickets.iter().map(Summary::to_json).collect();
    let mut body = json!({"tickets": tickets, "has_more": more, "next_cursor": next});
    if let (Some(page), Some(members)) = (page, body.as_object_mut()) {
        members.insert("page".into(), page.into());
    }
    body
}

/// The orders of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    Newest,
    Oldest,
    UpdatedLast,
    UpdatedFirst,
}

impl Sort {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "-created_at" => Some(Sort::Newest),
            "created_at" => Some(Sort::Oldest),
            "-updated_at" => Some(Sort::UpdatedLast),
            "updated_at" => Some(Sort::UpdatedFirst),
            _ => None,
        }
    }
}

/// The statement for a filter. Words are searched for in every ticket of the
/// customer; of the rest few tickets have one assignee or one tag, more have one
/// status.
macro_rules! pick {
    ($filter:expr, $lists:ident) => {
        match ($filter.found_by(), $filter.sort) {
            (FoundBy::Words, Sort::Newest) => $lists::words_newest,
            (FoundBy::Words, Sort::Oldest) => $lists::words_oldest,
            (FoundBy::Words, Sort::UpdatedLast) => $lists::words_updated_last,
            (FoundBy::Words, Sort::UpdatedFirst) => $lists::words_updated_first,
            (FoundBy::Assignee, Sort::Newest) => $lists::assignee_newest,
            (FoundBy::Assignee, Sort::Oldest) => $lists::assignee_oldest,
            (FoundBy::Assignee, Sort::UpdatedLast) => $lists::assignee_updated_last,
            (FoundBy::Assignee, Sort::UpdatedFirst) => $lists::assignee_updated_first,
            (FoundBy::Tag, Sort::Newest) => $lists::tag_newest,
            (FoundBy::Tag, Sort::Oldest) => $lists::tag_oldest,
            (FoundBy::Tag, Sort::UpdatedLast) => $lists::tag_updated_last,
            (FoundBy::Tag, Sort::UpdatedFirst) => $lists::tag_updated_first,
            (FoundBy::Status, Sort::Newest) => $lists::status_newest,
            (FoundBy::Status, Sort::Oldest) => $lists::status_oldest,
            (FoundBy::Status, Sort::UpdatedLast) => $lists::status_updated_last,
            (FoundBy::Status, Sort::UpdatedFirst) => $lists::status_updated_first,
            (FoundBy::Any, Sort::Newest) => $lists::any_newest,
            (FoundBy::Any, Sort::Oldest) => $lists::any_oldest,
            (FoundBy::Any, Sort::UpdatedLast) => $lists::any_updated_last,
            (FoundBy::Any, Sort::UpdatedFirst) => $lists::any_updated_first,
        }
    };
}

/// What the rows of a list are found by.
enum FoundBy {
    Any,
    Status,
    Assignee,
    Tag,
    Words,
}

/// Which tickets, in which order.
pub struct Filter {
    status: Option<String>,
    priority: Option<String>,
    assignee: Option<String>,
    tag: Option<String>,
    words: Option<String>,
    updated_since: Option<Timestamp>,
    sort: Sort,
}

impl Filter {
    pub fn read(query: &mut Query) -> Self {
        let sorts = "this must be one of created_at, -created_at, updated_at, -updated_at";
        Filter {
            status: query.text("status").one_of(&status::ALL).optional(),
            priority: ticket::priority(query.text("priority")).optional(),
            assignee: query.text("assignee").length(1..=255).optional(),
            tag: query.text("tag").length(1..=64).optional(),
            words: query.text("q").length(1..=255).optional(),
            updated_since: query.timestamp("updated_since").optional(),
            sort: query
                .text("sort")
                .convert("not_allowed", sorts, |sort| Sort::parse(&sort))
                .or(Sort::Newest),
        }
    }

    /// What a cursor of this list belongs to.
    pub fn binding(&self, customer_id: &str) -> Binding {
        let given = |text: &Option<String>| text.as_ref().map(|text| ["=", text].concat());
        let text = |text: &Option<String>| given(text).unwrap_or_default();
        let since = self
            .updated_since
            .map(|since| since.to_string())
            .unwrap_or_default();
        Binding::new(&[
            customer_id,
            "tickets",
            &text(&self.status),
            &text(&self.priority),
            &text(&self.assignee),
            &text(&self.tag),
            &text(&self.words),
            &since,
            &format!("{:?}", self.sort),
        ])
    }

    fn found_by(&self) -> FoundBy {
        match self {
            Filter { words: Some(_), .. } => FoundBy::Words,
            Filter {
                assignee: Some(_), ..
            } => FoundBy::Assignee,
            Filter { tag: Some(_), .. } => FoundBy::Tag,
            Filter {
                status: Some(_), ..
            } => FoundBy::Status,
            _ => FoundBy::Any,
        }
    }

    /// Where a page begins: at the cursor's keys, or at the end of the order.
    pub fn start(&self, keys: Option<[String; 2]>) -> Result<Start, Problem> {
        if let Some([time, id]) = keys {
            let time = Timestamp::parse(&time).ok_or_else(cursor::refused)?;
            return Ok(Start { time, id });
        }
        Ok(match self.sort {
            Sort::Newest | Sort::UpdatedLast => Start {
                time: LAST,
                id: "~".into(),
            },
            Sort::Oldest | Sort::UpdatedFirst => Start {
                time: FIRST,
                id: String::new(),
            },
        })
    }

    /// Runs the statement whose index fits best.
    fn run(
        &self,
        database: &Database,
        start: &Start,
        paging: &Paging,
    ) -> Result<Vec<Summary>, sql::Error> {
        let statement = match paging.page() {
            None => pick!(self, by_cursor),
            Some(_) => pick!(self, by_page),
        };
        statement(
            database,
            self.status.as_deref(),
            self.priority.as_deref(),
            self.assignee.as_deref(),
            self.tag.as_deref(),
            self.words.as_deref(),
            self.updated_since.unwrap_or(FIRST),
            start.time,
            &start.id,
            paging.offset(),
        )
    }
}

/// Before every ticket: 0001-01-01.
const FIRST: Timestamp = Timestamp::from_micros(-62_135_596_800_000_000);
/// After every ticket: the end of 9999.
const LAST: Timestamp = Timestamp::from_micros(253_402_300_799_999_999);

/// The sort key of the row before a page.
#[derive(Debug, PartialEq)]
pub struct Start {
    time: Timestamp,
    id: String,
}

impl Start {
    fn after(last: &Summary) -> Self {
        Start {
            time: last.updated_at,
            id: last.id.clone(),
        }
    }

    fn encode(&self, binding: Binding) -> String {
        binding.encode(&[&self.time.to_string(), &self.id])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(text: &str) -> Result<Filter, Problem> {
        let mut query = Query::parse(text)?;
        let filter = Filter::read(&mut query);
        query.finish().map(|()| filter)
    }

    #[test]
    fn wrong_filters_are_all_named() {
        let text = "status=done&priority=huge&updated_since=today&sort=id&colour=red";
        let problem = filter(text).err().unwrap();
        assert_eq!((problem.status(), problem.field_errors().len()), (400, 5));
    }

    #[test]
    fn a_cursor_holds_for_its_customer_filter_and_order() {
        let own = filter("status=open&q=a").unwrap();
        let start = Start {
            time: FIRST,
            id: "tkt_1".into(),
        };
        let token = start.encode(own.binding("acme"));
        let keys = own.binding("acme").decode(&token).unwrap();
        assert_eq!(own.start(Some(keys)).unwrap(), start);
        assert!(own.binding("other").decode::<2>(&token).is_err());
        for other in [
            "status=open",
            "q=a&status=new",
            "status=open&q=a&sort=created_at",
        ] {
            let binding = filter(other).unwrap().binding("acme");
            assert!(binding.decode::<2>(&token).is_err(), "{other}");
        }
    }

    #[test]
    fn a_forged_time_in_a_cursor_is_400() {
        let keys = Some(["yesterday".to_string(), "tkt_1".to_string()]);
        assert_eq!(filter("").unwrap().start(keys).unwrap_err().status(), 400);
    }

    #[test]
    fn medium_means_normal() {
        assert_eq!(
            filter("priority=medium").unwrap().priority.as_deref(),
            Some("normal")
        );
    }
}

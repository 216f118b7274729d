//! Which tickets a list, a count or an export is about, and in which order.

use hearth_plugin::cursor::{self, Binding};
use hearth_plugin::prelude::*;

use crate::sql::counts;
use crate::sql::lists::{by_cursor, by_page};
use crate::ticket::{self, Summary};
use crate::{search, status};

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

/// The statement for a filter. Words are looked up by the rarest of them; of the
/// rest few tickets have one assignee or one tag, more have one status.
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
    text: Option<String>,
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
            text: query.text("q").length(1..=255).optional(),
            updated_since: query.timestamp("updated_since").optional(),
            sort: query
                .text("sort")
                .convert("not_allowed", sorts, |sort| Sort::parse(&sort))
                .or(Sort::Newest),
        }
    }

    /// What chooses rows and their order, each in its own text: what a cursor of
    /// this list belongs to.
    pub fn parts(&self, list: &str) -> Vec<String> {
        let given = |text: &Option<String>| text.as_ref().map(|text| ["=", text].concat());
        let text = |text: &Option<String>| given(text).unwrap_or_default();
        let since = self
            .updated_since
            .map(|since| since.to_string())
            .unwrap_or_default();
        vec![
            list.to_string(),
            text(&self.status),
            text(&self.priority),
            text(&self.assignee),
            text(&self.tag),
            text(&self.text),
            since,
            format!("{:?}", self.sort),
        ]
    }

    /// The same for the caller's customer.
    pub fn binding(&self, request: &Request, list: &str) -> Result<Binding, Problem> {
        let parts = self.parts(list);
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        Binding::of(request, &parts)
    }

    /// A page of tickets, whether there are more, and the cursor of those.
    pub fn page(
        &self,
        database: &Database,
        paging: &Paging,
        binding: &Binding,
    ) -> Result<(Vec<Summary>, Option<String>), Problem> {
        let start = self.start(paging.keys(binding)?)?;
        let words = search::words(database, self.text.as_deref())?;
        let mut tickets = self.run(database, &words, &start, paging)?;
        let more = paging.cut(&mut tickets);
        let last = tickets.last().filter(|_| more);
        let next = last.map(|last| Start::after(last).encode(binding));
        Ok((tickets, next))
    }

    /// How many tickets there are, counted to 10,001.
    pub fn count(&self, database: &Database) -> Result<i64, Problem> {
        let words = search::words(database, self.text.as_deref())?;
        let statement = match self.found_by() {
            FoundBy::Words => counts::words,
            FoundBy::Assignee => counts::assignee,
            FoundBy::Tag => counts::tag,
            FoundBy::Status => counts::status,
            FoundBy::Any => counts::any,
        };
        let count = statement(
            database,
            self.status.as_deref(),
            self.priority.as_deref(),
            self.assignee.as_deref(),
            self.tag.as_deref(),
            &words,
            self.updated_since.unwrap_or(FIRST),
        )?;
        Ok(count.count)
    }

    fn found_by(&self) -> FoundBy {
        match self {
            Filter { text: Some(_), .. } => FoundBy::Words,
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
        words: &[String],
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
            words,
            self.updated_since.unwrap_or(FIRST),
            start.time,
            &start.id,
            paging.offset(),
            paging.fetch(),
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

    fn encode(&self, binding: &Binding) -> String {
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

    fn binding(filter: &Filter, customer_id: &str) -> Binding {
        let keys = cursor::Keys::parse(&["A"; 43].concat()).unwrap();
        let parts = filter.parts("tickets");
        let parts = parts.iter().map(String::as_str);
        let parts: Vec<&str> = std::iter::once(customer_id).chain(parts).collect();
        Binding::new(keys, &parts)
    }

    #[test]
    fn a_cursor_holds_for_its_customer_filter_and_order() {
        let own = filter("status=open&q=a").unwrap();
        let start = Start {
            time: FIRST,
            id: "tkt_1".into(),
        };
        let token = start.encode(&binding(&own, "acme"));
        let keys = binding(&own, "acme").decode(&token).unwrap();
        assert_eq!(own.start(Some(keys)).unwrap(), start);
        assert!(binding(&own, "other").decode::<2>(&token).is_err());
        for other in [
            "status=open",
            "q=a&status=new",
            "status=open&q=a&sort=created_at",
        ] {
            let binding = binding(&filter(other).unwrap(), "acme");
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

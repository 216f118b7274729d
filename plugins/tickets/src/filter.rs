//! The filter of a list, a count or an export: which tickets, and in which order.

use hearth_plugin::cursor::Binding;
use hearth_plugin::fields::Field;
use hearth_plugin::prelude::*;

use crate::search::Search;
use crate::start::{FIRST, LAST, Sort};
use crate::{status, ticket};

/// Which tickets, in which order.
#[derive(Debug)]
pub struct Filter {
    /// None where all statuses are wanted, as of priorities.
    pub statuses: Vec<String>,
    pub priorities: Vec<String>,
    pub assignee: Option<String>,
    pub unassigned: bool,
    pub tag: Option<String>,
    pub kind: Option<String>,
    pub external_id: Option<String>,
    pub search: Option<Search>,
    pub updated_since: Option<Timestamp>,
    pub created_since: Option<Timestamp>,
    pub created_until: Option<Timestamp>,
    pub sort: Sort,
    /// The text of the search.
    text: Option<String>,
}

/// What the tickets of a filter are found by, where the order is that of creation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Way {
    All,
    Ranks,
    Assignee,
    Unassigned,
    Kind,
    Tag,
    Words,
}

impl Filter {
    pub fn read(query: &mut Query) -> Self {
        let (text, search) = Search::read(query).unzip();
        Filter {
            statuses: each(query.list("status"), &status::ALL, status::parse).or([]),
            priorities: each(
                query.list("priority"),
                &ticket::PRIORITIES,
                ticket::known_priority,
            )
            .or([]),
            assignee: query.text("assignee").length(1..=255).optional(),
            unassigned: query
                .boolean("unassigned")
                .check("not_allowed", "only true is allowed", |only| *only)
                .or(false),
            tag: query.text("tag").length(1..=64).optional(),
            kind: query.text("type").length(1..=64).optional(),
            external_id: query.text("external_id").length(1..=255).optional(),
            updated_since: query.timestamp("updated_since").optional(),
            created_since: query.timestamp("created_since").optional(),
            created_until: query.until("created_until").optional(),
            sort: Sort::read(query),
            text,
            search,
        }
    }

    /// What chooses rows and their order, each in its own text: what a cursor of
    /// this list belongs to.
    pub fn parts(&self, list: &str) -> Vec<String> {
        let given = |text: &Option<String>| text.as_ref().map(|text| ["=", text].concat());
        let text = |text: &Option<String>| given(text).unwrap_or_default();
        let time = |time: Option<Timestamp>| time.map(|time| time.to_string()).unwrap_or_default();
        vec![
            list.to_string(),
            self.statuses.join(","),
            self.priorities.join(","),
            text(&self.assignee),
            self.unassigned.to_string(),
            text(&self.tag),
            text(&self.kind),
            text(&self.external_id),
            text(&self.text),
            time(self.updated_since),
            time(self.created_since),
            time(self.created_until),
            format!("{:?}", self.sort),
        ]
    }

    /// The same for the caller's customer.
    pub fn binding(&self, request: &Request, list: &str) -> Result<Binding, Problem> {
        let parts = self.parts(list);
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        Binding::of(request, &parts)
    }

    /// How the tickets are found. Words are looked up by the rarest of them; few
    /// tickets have a given tag, assignee or type. Open tickets are fewer than solved
    /// ones, and so are unassigned ones.
    pub fn way(&self) -> Way {
        match self {
            Filter {
                search: Some(_), ..
            } => Way::Words,
            Filter { tag: Some(_), .. } => Way::Tag,
            Filter {
                assignee: Some(_), ..
            } => Way::Assignee,
            Filter { kind: Some(_), .. } => Way::Kind,
            filter if filter.is_at_work() => Way::Ranks,
            Filter {
                unassigned: true, ..
            } => Way::Unassigned,
            filter if filter.statuses.is_empty() && filter.priorities.is_empty() => Way::All,
            _ => Way::Ranks,
        }
    }

    /// Whether nothing is wanted that is done.
    fn is_at_work(&self) -> bool {
        let is_done = |status: &String| matches!(status.as_str(), "solved" | "closed");
        !self.statuses.is_empty() && !self.statuses.iter().any(is_done)
    }

    /// The statuses that tickets may have.
    pub fn wanted_statuses(&self) -> Vec<String> {
        match self.statuses.is_empty() {
            true => status::ALL.map(String::from).to_vec(),
            false => self.statuses.clone(),
        }
    }

    /// The priorities that tickets may have, in the order of the list.
    pub fn wanted_priorities(&self) -> Vec<String> {
        let all = ticket::PRIORITIES
            .iter()
            .map(|priority| priority.to_string());
        let is_wanted = |own: &String| self.priorities.is_empty() || self.priorities.contains(own);
        let mut wanted: Vec<String> = all.filter(is_wanted).collect();
        if self.sort == Sort::MostUrgent {
            wanted.reverse();
        }
        wanted
    }

    /// Since when tickets were updated: not before they were made.
    pub fn updated_from(&self) -> Timestamp {
        let created = self.created_from();
        self.updated_since
            .map_or(created, |since| since.max(created))
    }

    pub fn created_from(&self) -> Timestamp {
        self.created_since.unwrap_or(FIRST)
    }

    pub fn created_to(&self) -> Timestamp {
        self.created_until.unwrap_or(LAST)
    }
}

/// The values of a list, each once and in one order, as they are known by.
fn each<'f>(
    field: Field<'f, Vec<String>>,
    all: &[&str],
    known: fn(&str) -> Option<&'static str>,
) -> Field<'f, Vec<String>> {
    let detail = ["this must be one or more of ", &all.join(", ")].concat();
    field.convert("not_allowed", &detail, |values| {
        let values = values.iter().map(|value| known(value).map(String::from));
        let values = values.collect::<Option<Vec<String>>>()?;
        Some(ticket::sorted(values))
    })
}

#[cfg(test)]
mod tests {
    use hearth_plugin::cursor;

    use super::*;
    use crate::start::Start;

    fn filter(text: &str) -> Result<Filter, Problem> {
        let mut query = Query::parse(text)?;
        let filter = Filter::read(&mut query);
        query.finish().map(|()| filter)
    }

    #[test]
    fn wrong_filters_are_all_named() {
        let text = "status=open,done&priority=huge&updated_since=today&sort=id&colour=red\
                    &unassigned=false";
        let problem = filter(text).err().unwrap();
        assert_eq!((problem.status(), problem.field_errors().len()), (400, 6));
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
        let keys = || Some(["urgent".to_string(), "tkt_1".to_string()]);
        let start = Start::read(Sort::MostUrgent, keys()).unwrap();
        let token = binding(&own, "acme").encode(&["urgent", "tkt_1"]);
        let read = binding(&own, "acme").decode(&token).unwrap();
        assert_eq!(Start::read(Sort::MostUrgent, Some(read)).unwrap(), start);
        assert!(binding(&own, "other").decode::<2>(&token).is_err());
        for other in [
            "status=open",
            "q=a&status=new",
            "q=a&status=open,new",
            "q=a&type=open",
            "status=open&q=a&sort=created_at",
        ] {
            let binding = binding(&filter(other).unwrap(), "acme");
            assert!(binding.decode::<2>(&token).is_err(), "{other}");
        }
    }

    #[test]
    fn medium_means_normal_and_each_value_counts_once() {
        let filter = filter("priority=medium,high&priority=normal").unwrap();
        assert_eq!(filter.priorities, ["high", "normal"]);
        assert_eq!(filter.wanted_priorities(), ["normal", "high"]);
    }

    #[test]
    fn tickets_are_found_by_what_few_have() {
        for (text, way) in [
            ("", Way::All),
            ("updated_since=2026-11-23", Way::All),
            ("priority=high", Way::Ranks),
            ("unassigned=true&priority=high", Way::Unassigned),
            ("unassigned=true&status=open,new", Way::Ranks),
            ("unassigned=true&status=solved", Way::Unassigned),
            ("assignee=eve&status=open", Way::Assignee),
            ("type=bug&tag=t", Way::Tag),
            ("q=a&tag=t", Way::Words),
        ] {
            assert_eq!(filter(text).unwrap().way(), way, "{text}");
        }
    }
}

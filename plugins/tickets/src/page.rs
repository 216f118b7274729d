//! Pages of tickets, and how many there are: which statement finds them.
//!
//! Each filter by itself has an index in the order of creation, and each order one
//! without a filter; those by status have one by update too, and one by priority. For
//! any other filter and order all tickets that the filter may choose are looked up first.
//! Where they are a thousand at most, they are put into the order. Where they are more,
//! the index of the order has one of them soon.

use hearth_plugin::cursor::Binding;
use hearth_plugin::prelude::*;
use hearth_plugin::sql::Error;

use crate::filter::{Filter, Way};
use crate::sql::lists::{self, Count, ListedTicket, count};
use crate::sql::{candidates, id_by_external_id};
use crate::start::{Sort, Start};

/// Tickets that are put into an order at most.
const CANDIDATES_MAX: i64 = 1_000;
/// What a count is exact to.
pub const COUNT_MAX: i64 = 10_000;

/// A statement of `sql/lists.rs`.
type Statement<T> = fn(
    &dyn Connection,
    &[String],
    &[String],
    Option<&str>,
    Option<&str>,
    &[String],
    Timestamp,
    Timestamp,
    &str,
    i64,
    i64,
    Option<&str>,
    &str,
    i64,
    &[String],
    Option<&str>,
    bool,
    Timestamp,
    Timestamp,
) -> Result<T, Error>;

/// Rows of an order.
struct Extent {
    before: i64,
    rows: i64,
}

/// What tickets are found by.
enum Source {
    /// An index; the terms of a search, where they lead along it.
    Index(Vec<String>),
    /// Their ids.
    Chosen(Vec<String>),
}

/// A page of tickets, and whether there are more.
pub fn page(
    filter: &Filter,
    database: &Database,
    paging: &Paging,
    binding: &Binding,
) -> Result<(Vec<ListedTicket>, bool), Problem> {
    let start = Start::read(filter.sort, paging.keys(binding)?)?;
    let extent = Extent {
        before: paging.offset(),
        rows: paging.fetch(),
    };
    let (statement, found_by) = match source(filter, database)? {
        Source::Index(terms) => (along(filter), terms),
        Source::Chosen(ids) => (chosen(filter.sort), ids),
    };
    let mut found = run(statement, database, filter, &found_by, &start, &extent)?;
    let more = paging.cut(&mut found);
    Ok((found, more))
}

/// How many tickets there are, counted to one more than [`COUNT_MAX`].
pub fn count(mut filter: Filter, database: &Database) -> Result<i64, Problem> {
    filter.sort = Sort::Oldest;
    let start = Start::read(filter.sort, None)?;
    let extent = Extent {
        before: 0,
        rows: COUNT_MAX + 1,
    };
    let (statement, found_by) = match source(&filter, database)? {
        Source::Index(terms) => (counted(filter.way()), terms),
        Source::Chosen(ids) => (count::chosen as Statement<Count>, ids),
    };
    Ok(run(statement, database, &filter, &found_by, &start, &extent)?.count)
}

fn run<T>(
    statement: Statement<T>,
    database: &Database,
    filter: &Filter,
    found_by: &[String],
    start: &Start,
    extent: &Extent,
) -> Result<T, Error> {
    let [after_id, end_id] = start.ids(filter);
    let (priorities, starts) = start.ranks(filter);
    statement(
        database,
        &filter.wanted_statuses(),
        &priorities,
        filter.assignee.as_deref(),
        filter.tag.as_deref(),
        found_by,
        filter.updated_from(),
        start.time,
        &after_id,
        extent.before,
        extent.before + extent.rows,
        filter.search.as_ref().map(|search| search.query.as_str()),
        &end_id,
        extent.rows,
        &starts,
        filter.kind.as_deref(),
        filter.unassigned,
        filter.created_from(),
        filter.created_to(),
    )
}

fn source(filter: &Filter, database: &Database) -> Result<Source, Error> {
    if let Some(external_id) = &filter.external_id {
        let found = id_by_external_id(database, external_id)?;
        return Ok(Source::Chosen(
            found.into_iter().map(|found| found.id).collect(),
        ));
    }
    let terms = match &filter.search {
        Some(search) => search.terms(database)?,
        None => Vec::new(),
    };
    if filter.search.is_some() && terms.is_empty() {
        return Ok(Source::Chosen(Vec::new()));
    }
    if is_in_order(filter) {
        return Ok(Source::Index(terms));
    }
    let ids = candidates(filter, database, &terms)?;
    Ok(match i64::try_from(ids.len()) {
        Ok(number) if number <= CANDIDATES_MAX => Source::Chosen(ids),
        _ => Source::Index(terms),
    })
}

/// Whether an index has what the tickets are found by, in the order of the list.
fn is_in_order(filter: &Filter) -> bool {
    match (filter.way(), filter.sort) {
        (Way::All | Way::Ranks | Way::Unassigned, sort) if sort.is_by_creation() => {
            filter.updated_since.is_none()
        }
        (_, sort) if sort.is_by_creation() => true,
        (Way::Ranks, Sort::UpdatedLast | Sort::UpdatedFirst) => !filter.statuses.is_empty(),
        (Way::Ranks, Sort::MostUrgent | Sort::LeastUrgent) => true,
        (way, _) => way == Way::All,
    }
}

/// The ids of all tickets that the filter may choose, or of too many.
fn candidates(
    filter: &Filter,
    database: &Database,
    terms: &[String],
) -> Result<Vec<String>, Error> {
    let limit = CANDIDATES_MAX + 1;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let (statuses, priorities) = (filter.wanted_statuses(), filter.wanted_priorities());
    let found = match filter.way() {
        Way::Words => candidates::of_terms(database, terms, limit),
        Way::Tag => candidates::of_tag(database, &text(&filter.tag), limit),
        Way::Assignee => candidates::of_assignee(database, &text(&filter.assignee), limit),
        Way::Kind => candidates::of_type(database, &text(&filter.kind), limit),
        _ if filter.sort.is_by_creation() => {
            candidates::updated_since(database, filter.updated_from(), limit)
        }
        Way::Unassigned => candidates::unassigned(database, limit),
        Way::Ranks | Way::All => candidates::of_ranks(database, &statuses, &priorities, limit),
    };
    Ok(found?.into_iter().map(|found| found.id).collect())
}

/// The statement that goes along an index of the order.
fn along(filter: &Filter) -> Statement<Vec<ListedTicket>> {
    match filter.sort {
        Sort::Newest => newest(filter.way()),
        Sort::Oldest => oldest(filter.way()),
        Sort::UpdatedLast if filter.statuses.is_empty() => lists::updated_last,
        Sort::UpdatedLast => lists::status_updated_last,
        Sort::UpdatedFirst if filter.statuses.is_empty() => lists::updated_first,
        Sort::UpdatedFirst => lists::status_updated_first,
        Sort::MostUrgent | Sort::LeastUrgent => lists::by_priority,
        Sort::DueFirst => lists::due_first,
        Sort::DueLast => lists::due_last,
    }
}

fn newest(way: Way) -> Statement<Vec<ListedTicket>> {
    match way {
        Way::All => lists::newest,
        Way::Ranks => lists::ranked_newest,
        Way::Assignee => lists::assignee_newest,
        Way::Unassigned => lists::unassigned_newest,
        Way::Kind => lists::type_newest,
        Way::Tag => lists::tag_newest,
        Way::Words => lists::words_newest,
    }
}

fn oldest(way: Way) -> Statement<Vec<ListedTicket>> {
    match way {
        Way::All => lists::oldest,
        Way::Ranks => lists::ranked_oldest,
        Way::Assignee => lists::assignee_oldest,
        Way::Unassigned => lists::unassigned_oldest,
        Way::Kind => lists::type_oldest,
        Way::Tag => lists::tag_oldest,
        Way::Words => lists::words_oldest,
    }
}

/// The statement that puts tickets into the order.
fn chosen(sort: Sort) -> Statement<Vec<ListedTicket>> {
    match sort {
        Sort::Newest => lists::chosen_newest,
        Sort::Oldest => lists::chosen_oldest,
        Sort::UpdatedLast => lists::chosen_updated_last,
        Sort::UpdatedFirst => lists::chosen_updated_first,
        Sort::MostUrgent | Sort::LeastUrgent => lists::chosen_by_priority,
        Sort::DueFirst => lists::chosen_due_first,
        Sort::DueLast => lists::chosen_due_last,
    }
}

fn counted(way: Way) -> Statement<Count> {
    match way {
        Way::All => count::any,
        Way::Ranks => count::ranked,
        Way::Assignee => count::assignee,
        Way::Unassigned => count::unassigned,
        Way::Kind => count::of_type,
        Way::Tag => count::tag,
        Way::Words => count::words,
    }
}

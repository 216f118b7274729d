//! Pages of a list: by cursor, or by number for clients of the old functions.
//!
//! ```no_run
//! use hearth_plugin::cursor::Binding;
//! use hearth_plugin::prelude::*;
//! row! { pub struct Note { id: String, text: String } }
//! sql! {
//!     read fn after(id: &str, limit: i64, offset: i64) -> Vec<Note> =
//!         "SELECT id, text FROM notes WHERE id > $1 ORDER BY id LIMIT $2 OFFSET $3";
//! }
//! fn list(request: &Request) -> Answer {
//!     let mut query = request.query()?;
//!     let paging = Paging::read(&mut query);
//!     query.finish()?;
//!     let binding = Binding::of(request, &["notes"])?;
//!     let [id] = paging.keys(&binding)?.unwrap_or_default();
//!     let mut notes = after(&request.database(), &id, paging.fetch(), paging.offset())?;
//!     let more = paging.cut(&mut notes);
//!     let next = notes.last().filter(|_| more).map(|note| binding.encode(&[&note.id]));
//!     Ok(paging.link(request, next.as_deref(), Response::json(200, &notes)?))
//! }
//! # fn main() {}
//! ```

use crate::cursor::Binding;
use crate::problem::Problem;
use crate::query::Query;
use crate::request::Request;
use crate::response::Response;

/// Rows of a page where the client names no number (source: the four handlers'
/// contract, as are the next two).
const LIMIT_DEFAULT: i64 = 50;
/// Rows of a page at most.
const LIMIT_MAX: i64 = 100;
/// The last page that can be asked for by number; beyond it only a cursor goes,
/// for Postgres walks over every row of the pages before.
const PAGE_MAX: i64 = 100;

/// Which page of a list a client wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paging {
    limit: i64,
    page: Option<i64>,
    cursor: Option<String>,
}

impl Paging {
    /// Reads `limit` and `cursor`, or `page` and `per_page`. A cursor together
    /// with a page is a mistake.
    pub fn read(query: &mut Query) -> Self {
        let limit = query.integer("limit").range(1..=LIMIT_MAX).optional();
        let per_page = query.integer("per_page").range(1..=LIMIT_MAX).optional();
        let page = query.integer("page").range(1..=PAGE_MAX).optional();
        let cursor = query.text("cursor").optional();
        if cursor.is_some() && page.is_some() {
            query.refuse("page", "not_allowed", "give either a cursor or a page");
        }
        let page = page.or(per_page.filter(|_| cursor.is_none()).map(|_| 1));
        let limit = limit.or(per_page).unwrap_or(LIMIT_DEFAULT);
        Paging {
            limit,
            page,
            cursor,
        }
    }

    /// Reads `limit` and `cursor`, for a list that has no pages by number.
    pub fn by_cursor(query: &mut Query) -> Self {
        let limit = query.integer("limit").range(1..=LIMIT_MAX);
        Paging {
            limit: limit.or(LIMIT_DEFAULT),
            page: None,
            cursor: query.text("cursor").optional(),
        }
    }

    /// How many rows to ask Postgres for: one more than the page has, to know
    /// whether there is a next one.
    pub fn fetch(&self) -> i64 {
        self.limit + 1
    }

    /// How many rows come before the page.
    pub fn offset(&self) -> i64 {
        self.page.map_or(0, |page| (page - 1) * self.limit)
    }

    /// The number of the page, where the client counts in pages.
    pub fn page(&self) -> Option<i64> {
        self.page
    }

    /// Whether the list begins here: no cursor, and no page but the first.
    pub fn is_first(&self) -> bool {
        self.cursor.is_none() && self.page.is_none_or(|page| page == 1)
    }

    /// The keys in the client's cursor; `None` where it gave none, 400 where it
    /// is not one of this list.
    pub fn keys<const N: usize>(&self, binding: &Binding) -> Result<Option<[String; N]>, Problem> {
        self.cursor
            .as_deref()
            .map(|token| binding.decode(token))
            .transpose()
    }

    /// Cuts the rows to the page, and says whether there are more.
    pub fn cut<T>(&self, rows: &mut Vec<T>) -> bool {
        let limit = usize::try_from(self.limit).unwrap_or_default();
        let more = rows.len() > limit;
        rows.truncate(limit);
        more
    }

    /// Adds `Link: rel="next"`, with the request's own query, where there is a
    /// next page: one more by number, else by this cursor.
    pub fn link(&self, request: &Request, next: Option<&str>, response: Response) -> Response {
        let Some(next) = next else {
            return response;
        };
        let (name, value) = match self.page {
            Some(PAGE_MAX) => return response,
            Some(page) => ("page", (page + 1).to_string()),
            None => ("cursor", next.to_string()),
        };
        let mut query = Query::except(request.raw_query().unwrap_or_default(), name);
        if !query.is_empty() {
            query.push('&');
        }
        let path = request.path();
        response.header(
            "link",
            &format!("<{path}?{query}{name}={value}>; rel=\"next\""),
        )
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::context::{Context, Deadline};

    fn read(text: &str) -> Result<Paging, Problem> {
        let mut query = Query::parse(text)?;
        let paging = Paging::read(&mut query);
        query.finish().map(|()| paging)
    }

    fn link(target: &str) -> Option<String> {
        let deadline = Deadline::after(Duration::from_secs(1));
        let mount = "/m".to_string();
        let context = Context {
            request_id: "r".into(),
            caller: None,
            deadline,
            mount,
        };
        let request = Request::new("GET", target, context);
        let paging = read(request.raw_query().unwrap_or_default()).unwrap();
        let response = paging.link(&request, Some("next"), Response::new(200));
        response.get_header("link").map(String::from)
    }

    #[test]
    fn a_page_has_fifty_rows_and_at_most_a_hundred() {
        assert_eq!(read("").unwrap().fetch(), 51);
        assert_eq!(read("limit=100").unwrap().fetch(), 101);
        assert_eq!(read("page=3&per_page=20").unwrap().offset(), 40);
        for wrong in [
            "limit=0",
            "limit=101",
            "page=0",
            "page=101",
            "page=1&cursor=x",
        ] {
            assert_eq!(read(wrong).unwrap_err().status(), 400, "{wrong}");
        }
    }

    #[test]
    fn a_list_without_numbered_pages_has_a_cursor_alone() {
        let mut query = Query::parse("limit=2&cursor=x&page=1").unwrap();
        assert_eq!(Paging::by_cursor(&mut query).fetch(), 3);
        assert_eq!(query.finish().unwrap_err().field_errors().len(), 1);
    }

    #[test]
    fn rows_are_cut_to_the_page() {
        let paging = read("limit=2").unwrap();
        let mut rows = vec![1, 2, 3];
        assert!(paging.cut(&mut rows));
        assert_eq!(rows, [1, 2]);
        assert!(!paging.cut(&mut rows));
    }

    #[test]
    fn the_link_keeps_the_query() {
        let next = |query: &str| Some(format!("</m/n?{query}>; rel=\"next\""));
        assert_eq!(link("/m/n"), next("cursor=next"));
        assert_eq!(link("/m/n?cursor=x&limit=2"), next("limit=2&cursor=next"));
        assert_eq!(link("/m/n?page=2"), next("page=3"));
    }
}

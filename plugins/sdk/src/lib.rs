//! The SDK: everything that the author of a Hearth plugin needs.
//!
//! A plugin is a router, some handlers and some declared statements:
//!
//! ```
//! use hearth_plugin::prelude::*;
//!
//! row! {
//!     /// What the list answers.
//!     pub struct Note { id: String, text: String, created_at: Timestamp }
//! }
//!
//! sql! {
//!     /// The newest notes of the caller's customer.
//!     pub read fn newest(limit: i64) -> Vec<Note> =
//!         "SELECT id, text, created_at FROM notes ORDER BY created_at DESC LIMIT $1";
//!     pub write fn insert(id: &str, text: &str) -> Note =
//!         "INSERT INTO notes (id, text) VALUES ($1, $2) RETURNING id, text, created_at";
//! }
//!
//! fn list(request: &Request) -> Answer {
//!     let mut query = request.query()?;
//!     let limit = query.integer("limit").range(1..=100).or(50);
//!     query.finish()?;
//!     Response::json(200, &newest(&request.database(), limit)?)
//! }
//!
//! fn create(request: &Request) -> Answer {
//!     let mut fields = request.fields()?;
//!     let text = fields.text("text").length(1..=1000).required();
//!     fields.finish()?;
//!     let note = insert(&request.database(), &id::new("note"), &text)?;
//!     let location = request.link(&format!("/notes/{}", note.id));
//!     Response::created(&location, &note)
//! }
//!
//! fn router() -> Router {
//!     Router::new().get("/notes", list).post("/notes", create)
//! }
//!
//! hearth_plugin::handler!(router);
//! # fn main() {}
//! ```
//!
//! A `static` lives as long as its instance. By default that is one call; with
//! `[instances] reuse = "serial"` in the manifest it may be many, all of one customer.
//! So what is worth keeping can be kept there, and never meets another customer; only
//! `reuse = "shared"`, which an operator has to approve, takes that promise back.
//!
//! What a component does not use is not in it: a plugin that never logs does not
//! import `hearth:plugin/log`, and so does not ask for that grant.

#[doc(hidden)]
pub mod bindings;

pub mod base64url;
pub mod cache;
pub mod caller;
pub mod config;
pub mod consumer;
pub mod context;
pub mod csv;
pub mod cursor;
pub mod documents;
pub mod entry;
pub mod etag;
pub mod fields;
mod host;
pub mod id;
pub mod json;
mod keys;
pub mod log;
pub mod metrics;
pub mod outbound;
pub mod paging;
pub mod percent;
pub mod problem;
pub mod push;
pub mod query;
pub mod queue;
pub mod random;
pub mod request;
pub mod response;
pub mod router;
pub mod seal;
pub mod sql;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
pub mod time;
pub mod zone;

pub use caller::Caller;
pub use context::Context;
pub use fields::{Change, Fields};
pub use json::Json;
pub use paging::Paging;
pub use problem::{FieldError, Problem};
pub use query::Query;
pub use request::Request;
pub use response::Response;
pub use router::Router;
pub use time::Timestamp;

/// What a handler answers: a response, or a problem that becomes one.
///
/// ```
/// use hearth_plugin::{Answer, Problem, Request, Response};
/// fn show(request: &Request) -> Answer {
///     if request.header("x-please").is_none() {
///         return Err(Problem::not_found());
///     }
///     Ok(Response::no_content())
/// }
/// ```
pub type Answer = Result<Response, Problem>;

/// What most plugins import.
pub mod prelude {
    pub use crate::fields::{Change, Fields};
    pub use crate::json::{Map, Value, json};
    pub use crate::sql::{Connection, Database, Isolation, Transaction};
    pub use crate::{
        Answer, Caller, Json, Paging, Problem, Query, Request, Response, Router, Timestamp, config,
        cursor, id, metrics, row, sql,
    };
}

//! Handlers with typed path parameters.

use crate::Answer;
use crate::problem::Problem;
use crate::request::Request;

/// A type that a parameter of a path may have.
///
/// ```
/// use hearth_plugin::{id, router::PathParameter};
/// struct NoteId(String);
/// impl PathParameter for NoteId {
///     fn from_segment(text: &str) -> Option<Self> {
///         id::is("note", text).then(|| NoteId(text.to_string()))
///     }
/// }
/// assert!(NoteId::from_segment("note_1").is_none());
/// ```
pub trait PathParameter: Sized {
    /// Reads a decoded segment; `None` is 404.
    fn from_segment(text: &str) -> Option<Self>;
}

impl PathParameter for String {
    fn from_segment(text: &str) -> Option<Self> {
        Some(text.to_string())
    }
}

impl PathParameter for i64 {
    fn from_segment(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl PathParameter for u32 {
    fn from_segment(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

/// A function that answers requests: `fn(&Request) -> Answer`, or with one to
/// three path parameters behind the request. `P` is the tuple of their types.
pub trait Handler<P>: 'static {
    /// Answers a request whose path had these parameters.
    fn call(&self, request: &Request, parameters: &[String]) -> Answer;
}

fn read<T: PathParameter>(parameters: &[String], position: usize) -> Result<T, Problem> {
    let text = parameters.get(position).ok_or_else(Problem::not_found)?;
    T::from_segment(text).ok_or_else(Problem::not_found)
}

impl<F: Fn(&Request) -> Answer + 'static> Handler<()> for F {
    fn call(&self, request: &Request, _: &[String]) -> Answer {
        self(request)
    }
}

impl<A: PathParameter, F: Fn(&Request, A) -> Answer + 'static> Handler<(A,)> for F {
    fn call(&self, request: &Request, texts: &[String]) -> Answer {
        self(request, read(texts, 0)?)
    }
}

impl<A, B, F> Handler<(A, B)> for F
where
    A: PathParameter,
    B: PathParameter,
    F: Fn(&Request, A, B) -> Answer + 'static,
{
    fn call(&self, request: &Request, texts: &[String]) -> Answer {
        self(request, read(texts, 0)?, read(texts, 1)?)
    }
}

impl<A, B, C, F> Handler<(A, B, C)> for F
where
    A: PathParameter,
    B: PathParameter,
    C: PathParameter,
    F: Fn(&Request, A, B, C) -> Answer + 'static,
{
    fn call(&self, request: &Request, texts: &[String]) -> Answer {
        self(request, read(texts, 0)?, read(texts, 1)?, read(texts, 2)?)
    }
}

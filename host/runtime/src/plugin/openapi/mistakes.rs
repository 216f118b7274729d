//! What is wrong with a part, each mistake with its place.

use std::fmt;

use serde_json::{Map, Value};

/// How many mistakes are told at once.
const MISTAKES_MAX: usize = 100;

/// A place in the document, written as a JSON pointer (RFC 6901).
#[derive(Clone, Copy)]
pub(super) struct Pointer<'p> {
    above: Option<&'p Pointer<'p>>,
    key: &'p str,
}

impl<'p> Pointer<'p> {
    pub(super) const ROOT: Pointer<'static> = Pointer {
        above: None,
        key: "",
    };

    /// A member of the document itself.
    pub(super) fn top(key: &'p str) -> Pointer<'p> {
        Pointer {
            above: Some(&Pointer::ROOT),
            key,
        }
    }

    pub(super) fn under(&'p self, key: &'p str) -> Pointer<'p> {
        Pointer {
            above: Some(self),
            key,
        }
    }
}

impl fmt::Display for Pointer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(above) = self.above else {
            return Ok(());
        };
        let key = self.key.replace('~', "~0").replace('/', "~1");
        write!(f, "{above}/{key}")
    }
}

/// Every mistake, up to a bound.
#[derive(Default)]
pub(super) struct DocumentMistakes {
    told: Vec<String>,
    untold: usize,
}

impl DocumentMistakes {
    pub(super) fn at(&mut self, place: &Pointer<'_>, what: impl fmt::Display) {
        if self.told.len() >= MISTAKES_MAX {
            self.untold += 1;
        } else if place.above.is_none() {
            self.told.push(what.to_string());
        } else {
            self.told.push(format!("{place}: {what}"));
        }
    }

    /// The members of what must be an object.
    pub(super) fn object<'v>(
        &mut self,
        place: &Pointer<'_>,
        value: &'v Value,
    ) -> Option<&'v Map<String, Value>> {
        let members = value.as_object();
        if members.is_none() {
            self.at(place, "this must be an object");
        }
        members
    }

    /// The items of what must be a list.
    pub(super) fn list<'v>(&mut self, place: &Pointer<'_>, value: &'v Value) -> &'v [Value] {
        match value {
            Value::Array(items) => items,
            _ => {
                self.at(place, "this must be a list");
                &[]
            }
        }
    }

    pub(super) fn finish(mut self) -> Result<(), Vec<String>> {
        if self.untold > 0 {
            self.told.push(format!("and {} more", self.untold));
        }
        match self.told.is_empty() {
            true => Ok(()),
            false => Err(self.told),
        }
    }
}

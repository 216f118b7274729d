//! Reads JSON bodies field by field, and collects all errors.
//!
//! ```
//! use hearth_plugin::{Fields, Json};
//! let body = Json::parse(r#"{"subject": "", "colour": "red", "extra": 1}"#).unwrap();
//! let mut fields = Fields::of(body.0).unwrap();
//! let subject = fields.text("subject").length(1..=255).required();
//! let colour = fields.text("colour").one_of(&["green", "blue"]).or("green");
//! let problem = fields.finish().unwrap_err();
//! let codes: Vec<_> = problem.field_errors().iter().map(|error| error.code).collect();
//! assert_eq!(problem.status(), 422);
//! assert_eq!(codes, ["too_short", "not_allowed", "unknown"]);
//! ```

mod field;

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use crate::json::has_nul;
use crate::problem::{FieldError, Location, Problem};
use crate::time::Timestamp;

pub(crate) use field::State;
pub use field::{Change, Field};

/// How many unknown fields are named: a body may have any number.
const UNKNOWN_MAX: usize = 20;

/// The fields of a JSON object. Each is read by name and type; an invalid one returns a
/// default and is recorded; `finish` then returns 422 with every invalid field, and the
/// first 20 unknown ones. So do nothing with the values before `finish`.
#[derive(Debug)]
pub struct Fields {
    members: Map<String, Value>,
    prefix: String,
    errors: Vec<FieldError>,
}

impl Fields {
    /// The fields of a body; 422 where it is not an object.
    pub fn of(body: Value) -> Result<Self, Problem> {
        Fields::at(String::new(), body)
    }

    /// The fields of an object within the body. Their errors are reported below this
    /// JSON pointer; 422 if it is not an object.
    ///
    /// ```
    /// # use hearth_plugin::{Fields, json::json};
    /// let mut fields = Fields::at("/create/3".into(), json!({"subject": 1})).unwrap();
    /// fields.text("subject").optional();
    /// assert!(format!("{:?}", fields.finish()).contains("/create/3/subject"));
    /// ```
    pub fn at(pointer: String, value: Value) -> Result<Self, Problem> {
        match value {
            Value::Object(members) => Ok(Fields {
                members,
                prefix: pointer,
                errors: Vec::new(),
            }),
            _ => {
                let detail = "this must be a JSON object".to_string();
                let location = Location::Pointer(pointer);
                let error = FieldError {
                    location,
                    code: "wrong_type",
                    detail,
                };
                Err(Problem::invalid_fields(vec![error]))
            }
        }
    }

    /// A field that is text without NUL characters.
    pub fn text(&mut self, name: &str) -> Field<'_, String> {
        self.read(name, text_of)
    }

    /// A field that is a whole number of 64 bits. `1.0` is one, as in JSON Schema
    /// (Validation, section 6.1.1); past 2^53 a float no longer says which.
    pub fn integer(&mut self, name: &str) -> Field<'_, i64> {
        self.read(name, |value| {
            match value.as_i64().or_else(|| whole(&value)) {
                Some(number) => State::Value(number),
                None => State::wrong("wrong_type", "this must be a whole number"),
            }
        })
    }

    /// A field that is any number.
    pub fn number(&mut self, name: &str) -> Field<'_, f64> {
        self.read(name, |value| match value.as_f64() {
            Some(number) => State::Value(number),
            None => State::wrong("wrong_type", "this must be a number"),
        })
    }

    /// A field that is `true` or `false`.
    pub fn boolean(&mut self, name: &str) -> Field<'_, bool> {
        self.read(name, |value| match value.as_bool() {
            Some(boolean) => State::Value(boolean),
            None => State::wrong("wrong_type", "this must be true or false"),
        })
    }

    /// A field that is an RFC 3339 time.
    pub fn timestamp(&mut self, name: &str) -> Field<'_, Timestamp> {
        self.read(name, |value| {
            match value.as_str().and_then(Timestamp::parse) {
                Some(instant) => State::Value(instant),
                None => State::wrong("wrong_type", "this must be an RFC 3339 time"),
            }
        })
    }

    /// A field that is a list of texts. A wrong item is named by its index.
    pub fn texts(&mut self, name: &str) -> Field<'_, Vec<String>> {
        self.read(name, |value| match value {
            Value::Array(items) => texts_of(items),
            _ => State::wrong("wrong_type", "this must be a list of strings"),
        })
    }

    /// A field that is a list of anything; see [`Fields::at`] for lists of objects.
    pub fn list(&mut self, name: &str) -> Field<'_, Vec<Value>> {
        self.read(name, |value| match value {
            Value::Array(items) => State::Value(items),
            _ => State::wrong("wrong_type", "this must be a list"),
        })
    }

    /// A field that may be anything but null, without NUL characters: for the plugin
    /// to convert.
    ///
    /// ```
    /// # use hearth_plugin::{Fields, Json};
    /// let mut fields = Fields::of(Json::parse(r#"{"price": "1.50"}"#).unwrap().0).unwrap();
    /// let price = fields.value("price").convert("wrong_type", "this must be a price", |value| {
    ///     value.as_str().map(str::to_string)
    /// });
    /// assert_eq!(price.required(), "1.50");
    /// ```
    pub fn value(&mut self, name: &str) -> Field<'_, Value> {
        self.read(name, |value| match has_nul(&value) {
            true => nul(),
            false => State::Value(value),
        })
    }

    /// A field that is an object of any content, without NUL characters.
    pub fn object(&mut self, name: &str) -> Field<'_, Map<String, Value>> {
        self.read(name, |value| match value {
            value if has_nul(&value) => nul(),
            Value::Object(members) => State::Value(members),
            _ => State::wrong("wrong_type", "this must be an object"),
        })
    }

    /// Reads the fields of an object within this one; `None` where it is absent,
    /// null or not an object.
    ///
    /// ```
    /// # use hearth_plugin::{Fields, Json};
    /// let body = Json::parse(r#"{"owner": {"name": 1}}"#).unwrap();
    /// let mut fields = Fields::of(body.0).unwrap();
    /// fields.nested("owner", |owner| owner.text("name").required());
    /// assert!(format!("{:?}", fields.finish()).contains("/owner/name"));
    /// ```
    pub fn nested<T>(&mut self, name: &str, read: impl FnOnce(&mut Fields) -> T) -> Option<T> {
        let prefix = self.pointer(name);
        let object = self.read(name, |value| match value {
            Value::Object(members) => State::Value(members),
            _ => State::wrong("wrong_type", "this must be an object"),
        });
        let members = object.optional()?;
        let mut inner = Fields {
            members,
            prefix,
            errors: Vec::new(),
        };
        let answer = read(&mut inner);
        inner.name_unknown();
        self.errors.append(&mut inner.errors);
        Some(answer)
    }

    /// Reads a list of objects, of so many items; `None` where it is absent, null
    /// or not such a list. What is wrong in an item is named below its index.
    ///
    /// ```
    /// # use hearth_plugin::{Fields, Json};
    /// let body = Json::parse(r#"{"lines": [{"price": 1}, {"price": "x"}]}"#).unwrap();
    /// let mut fields = Fields::of(body.0).unwrap();
    /// fields.objects("lines", 0..=10, |line| line.integer("price").required());
    /// assert!(format!("{:?}", fields.finish()).contains("/lines/1/price"));
    /// ```
    pub fn objects<T>(
        &mut self,
        name: &str,
        count: RangeInclusive<usize>,
        mut read: impl FnMut(&mut Fields) -> T,
    ) -> Option<Vec<T>> {
        let prefix = self.pointer(name);
        let items = self.list(name).count(count).optional()?;
        let mut answers = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            match Fields::at(format!("{prefix}/{index}"), item) {
                Err(problem) => self.errors.extend_from_slice(problem.field_errors()),
                Ok(mut inner) => {
                    answers.push(read(&mut inner));
                    inner.name_unknown();
                    self.errors.append(&mut inner.errors);
                }
            }
        }
        Some(answers)
    }

    /// Remembers a mistake which only the plugin can see.
    pub fn refuse(&mut self, name: &str, code: &'static str, detail: impl Into<String>) {
        self.refuse_at(&[name], code, detail);
    }

    /// Remembers a mistake in a part of a field, such as an item of a list.
    ///
    /// ```
    /// # use hearth_plugin::{Fields, Json};
    /// let mut fields = Fields::of(Json::parse(r#"{"days": [1, 32]}"#).unwrap().0).unwrap();
    /// let days = fields.list("days").required();
    /// fields.refuse_at(&["days", "1"], "out_of_range", "there is no such day");
    /// assert!(format!("{:?}", fields.finish()).contains("/days/1"));
    /// ```
    pub fn refuse_at(&mut self, path: &[&str], code: &'static str, detail: impl Into<String>) {
        let names = path.iter().map(|name| escaped(name));
        let parts = names.fold(self.prefix.clone(), |pointer, name| pointer + "/" + &name);
        self.errors.push(FieldError {
            location: Location::Pointer(parts),
            code,
            detail: detail.into(),
        });
    }

    /// 422 where anything was wrong, naming all of it.
    pub fn finish(mut self) -> Result<(), Problem> {
        self.name_unknown();
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(Problem::invalid_fields(self.errors))
        }
    }

    fn name_unknown(&mut self) {
        let members = std::mem::take(&mut self.members);
        for name in members.keys().take(UNKNOWN_MAX) {
            self.refuse(name, "unknown", "unknown field");
        }
    }

    fn read<T>(&mut self, name: &str, read: fn(Value) -> State<T>) -> Field<'_, T> {
        let location = Location::Pointer(self.pointer(name));
        let state = match self.members.remove(name) {
            None => State::Absent,
            Some(Value::Null) => State::Null,
            Some(value) => read(value),
        };
        Field::new(&mut self.errors, location, state)
    }

    fn pointer(&self, name: &str) -> String {
        [&self.prefix, "/", &escaped(name)].concat()
    }
}

/// A name as a part of a JSON pointer (RFC 6901, section 3).
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn nul<T>() -> State<T> {
    State::wrong("nul_character", "NUL characters are not allowed")
}

fn text_of(value: Value) -> State<String> {
    match value {
        Value::String(text) if text.contains('\0') => nul(),
        Value::String(text) => State::Value(text),
        _ => State::wrong("wrong_type", "this must be a string"),
    }
}

fn texts_of(items: Vec<Value>) -> State<Vec<String>> {
    let (mut texts, mut wrong) = (Vec::with_capacity(items.len()), Vec::new());
    for (index, item) in items.into_iter().enumerate() {
        match text_of(item) {
            State::Value(text) => texts.push(text),
            State::Wrong(reasons) => {
                wrong.extend(reasons.into_iter().map(|reason| reason.at(index)))
            }
            State::Absent | State::Null => {}
        }
    }
    if wrong.is_empty() {
        State::Value(texts)
    } else {
        State::Wrong(wrong)
    }
}

fn whole(value: &Value) -> Option<i64> {
    const EXACT: f64 = (1_i64 << 53) as f64;
    let number = value.as_f64()?;
    let fits = number.fract() == 0.0 && number.abs() <= EXACT;
    fits.then_some(number as i64)
}

#[cfg(test)]
mod tests;

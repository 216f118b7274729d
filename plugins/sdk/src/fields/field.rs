//! One field while it is being checked.

use std::ops::RangeInclusive;

use crate::problem::{FieldError, Location};

/// How many wrong items of a list are named; the rest would only grow the answer.
const WRONG_ITEMS_MAX: usize = 20;

/// What a PATCH says about a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change<T> {
    /// Nothing: leave it.
    Keep,
    /// `null`: remove it.
    Clear,
    /// A new value.
    Set(T),
}

/// Why a value is wrong.
#[derive(Debug)]
pub(crate) struct Reason {
    code: &'static str,
    detail: String,
    index: Option<usize>,
}

impl Reason {
    /// The same of one item of a list.
    pub(crate) fn at(self, index: usize) -> Self {
        Reason {
            index: Some(index),
            ..self
        }
    }
}

#[derive(Debug)]
pub(crate) enum State<T> {
    Absent,
    Null,
    Value(T),
    Wrong(Vec<Reason>),
}

impl<T> State<T> {
    pub(crate) fn wrong(code: &'static str, detail: impl Into<String>) -> Self {
        State::Wrong(vec![Reason {
            code,
            detail: detail.into(),
            index: None,
        }])
    }
}

/// One field or parameter: check it, then take it with `required`, `optional`,
/// `or` or `change`. A value that a check refused counts as absent from then on,
/// and its mistake is reported by `finish`.
#[must_use = "a field is only read by `required`, `optional`, `or` or `change`"]
pub struct Field<'f, T> {
    errors: &'f mut Vec<FieldError>,
    location: Location,
    state: State<T>,
}

impl<'f, T> Field<'f, T> {
    pub(crate) fn new(
        errors: &'f mut Vec<FieldError>,
        location: Location,
        state: State<T>,
    ) -> Self {
        Field {
            errors,
            location,
            state,
        }
    }

    /// Refuses a value for a reason of the plugin's own: a code for programs and
    /// a text for people.
    ///
    /// ```
    /// # use hearth_plugin::{Fields, Json};
    /// # let mut fields = Fields::of(Json::parse(r#"{"n": 3}"#).unwrap().0).unwrap();
    /// let n = fields.integer("n").check("odd", "this must be even", |n| n % 2 == 0).optional();
    /// assert_eq!(n, None);
    /// assert!(fields.finish().is_err());
    /// ```
    pub fn check(
        mut self,
        code: &'static str,
        detail: &str,
        holds: impl FnOnce(&T) -> bool,
    ) -> Self {
        if let State::Value(value) = &self.state
            && !holds(value)
        {
            self.state = State::wrong(code, detail);
        }
        self
    }

    /// Refuses a value for a reason that depends on it; `None` takes it.
    ///
    /// ```
    /// # use hearth_plugin::{Fields, Json};
    /// # let mut fields = Fields::of(Json::parse(r#"{"n": 3}"#).unwrap().0).unwrap();
    /// let odd = |n: &i64| (n % 2 == 1).then(|| format!("{n} is odd"));
    /// assert_eq!(fields.integer("n").check_with("odd", odd).optional(), None);
    /// ```
    pub fn check_with<D: Into<String>>(
        mut self,
        code: &'static str,
        wrong: impl FnOnce(&T) -> Option<D>,
    ) -> Self {
        if let State::Value(value) = &self.state
            && let Some(detail) = wrong(value)
        {
            self.state = State::wrong(code, detail);
        }
        self
    }

    /// Turns the value into another type; `None` refuses it.
    ///
    /// ```
    /// # use hearth_plugin::Query;
    /// # let mut query = Query::parse("sort=-id").unwrap();
    /// let descending = query.text("sort").convert("not_allowed", "this must be id or -id", |sort| {
    ///     match sort.as_str() {
    ///         "id" => Some(false),
    ///         "-id" => Some(true),
    ///         _ => None,
    ///     }
    /// });
    /// assert_eq!(descending.optional(), Some(true));
    /// ```
    pub fn convert<U>(
        self,
        code: &'static str,
        detail: &str,
        convert: impl FnOnce(T) -> Option<U>,
    ) -> Field<'f, U> {
        let state = match self.state {
            State::Absent => State::Absent,
            State::Null => State::Null,
            State::Wrong(reasons) => State::Wrong(reasons),
            State::Value(value) => {
                convert(value).map_or_else(|| State::wrong(code, detail), State::Value)
            }
        };
        Field {
            errors: self.errors,
            location: self.location,
            state,
        }
    }

    /// The value; the error `required` if it is absent or null. The return value is
    /// then a default that must not be used: `finish` fails.
    pub fn required(mut self) -> T
    where
        T: Default,
    {
        if matches!(self.state, State::Absent | State::Null) {
            self.state = State::wrong("required", "this is required");
        }
        self.optional().unwrap_or_default()
    }

    /// The value; `None` where it is absent or null.
    pub fn optional(self) -> Option<T> {
        match self.change() {
            Change::Set(value) => Some(value),
            Change::Keep | Change::Clear => None,
        }
    }

    /// The value, or this one where it is absent or null.
    pub fn or(self, default: impl Into<T>) -> T {
        self.optional().unwrap_or_else(|| default.into())
    }

    /// The value as a PATCH means it: absent keeps, null clears.
    pub fn change(self) -> Change<T> {
        match self.state {
            State::Absent => Change::Keep,
            State::Null => Change::Clear,
            State::Value(value) => Change::Set(value),
            State::Wrong(reasons) => {
                report(self.errors, &self.location, reasons);
                Change::Keep
            }
        }
    }
}

fn report(errors: &mut Vec<FieldError>, location: &Location, reasons: Vec<Reason>) {
    for reason in reasons.into_iter().take(WRONG_ITEMS_MAX) {
        let location = match (location, reason.index) {
            (Location::Pointer(pointer), Some(index)) => {
                Location::Pointer(format!("{pointer}/{index}"))
            }
            (location, _) => location.clone(),
        };
        errors.push(FieldError {
            location,
            code: reason.code,
            detail: reason.detail,
        });
    }
}

/// Why a length is out of range, if it is.
fn length_reason(length: usize, range: &RangeInclusive<usize>, unit: &str) -> Option<Reason> {
    let (min, max) = (range.start(), range.end());
    let code = match length {
        length if length < *min => "too_short",
        length if length > *max => "too_long",
        _ => return None,
    };
    Some(Reason {
        code,
        detail: format!("this must have {min} to {max} {unit}"),
        index: None,
    })
}

impl Field<'_, String> {
    /// Bounds the length, in characters (Unicode scalar values), both ends
    /// included.
    pub fn length(mut self, range: RangeInclusive<usize>) -> Self {
        if let State::Value(text) = &self.state
            && let Some(reason) = length_reason(text.chars().count(), &range, "characters")
        {
            self.state = State::Wrong(vec![reason]);
        }
        self
    }

    /// Allows these texts and no others.
    pub fn one_of(mut self, allowed: &[&str]) -> Self {
        if let State::Value(text) = &self.state
            && !allowed.contains(&text.as_str())
        {
            let detail = ["this must be one of ", &allowed.join(", ")].concat();
            self.state = State::wrong("not_allowed", detail);
        }
        self
    }
}

impl Field<'_, i64> {
    /// Bounds the number, both ends included.
    pub fn range(mut self, range: RangeInclusive<i64>) -> Self {
        if let State::Value(number) = &self.state
            && !range.contains(number)
        {
            let detail = format!("this must be {} to {}", range.start(), range.end());
            self.state = State::wrong("out_of_range", detail);
        }
        self
    }
}

impl<T> Field<'_, Vec<T>> {
    /// Bounds the number of items, both ends included.
    pub fn count(mut self, range: RangeInclusive<usize>) -> Self {
        if let State::Value(items) = &self.state
            && let Some(reason) = length_reason(items.len(), &range, "items")
        {
            self.state = State::Wrong(vec![reason]);
        }
        self
    }
}

impl Field<'_, Vec<String>> {
    /// Bounds the length of each item, in characters.
    pub fn each_length(mut self, range: RangeInclusive<usize>) -> Self {
        if let State::Value(items) = &self.state {
            let items = items.iter().enumerate();
            let wrong: Vec<_> = items
                .filter_map(|(index, item)| {
                    let reason = length_reason(item.chars().count(), &range, "characters")?;
                    Some(reason.at(index))
                })
                .collect();
            if !wrong.is_empty() {
                self.state = State::Wrong(wrong);
            }
        }
        self
    }
}

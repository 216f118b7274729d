//! Reads the parameters of a query string one by one, and collects all errors.

use crate::fields::{Field, State};
use crate::percent;
use crate::problem::{FieldError, Location, Problem};
use crate::time::Timestamp;

/// The parameters of a query string. Each is read by name and type; `finish` then
/// returns 400 with every invalid, empty or unknown one.
///
/// ```
/// use hearth_plugin::Query;
/// let mut query = Query::parse("limit=500&status=open&x=1").unwrap();
/// let status = query.text("status").one_of(&["new", "open"]).optional();
/// let limit = query.integer("limit").range(1..=100).or(50);
/// let problem = query.finish().unwrap_err();
/// assert_eq!(status.as_deref(), Some("open"));
/// assert_eq!(problem.field_errors().len(), 2);
/// assert_eq!(limit, 50);
/// ```
#[derive(Debug)]
pub struct Query {
    parameters: Vec<(String, String)>,
    errors: Vec<FieldError>,
}

impl Query {
    /// Reads a query string. 400 where it is not percent-encoded UTF-8 or holds
    /// a NUL character.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let parameters: Option<_> = pairs.map(parse_pair).collect();
        let broken = || {
            let detail = "the query is invalid: it must be percent-encoded text without NUL \
                          characters";
            Problem::invalid_query(Vec::new()).detail(detail)
        };
        Ok(Query {
            parameters: parameters.ok_or_else(broken)?,
            errors: Vec::new(),
        })
    }

    /// A parameter that is text.
    pub fn text(&mut self, name: &str) -> Field<'_, String> {
        self.read(name, |text| Ok(text.to_string()))
    }

    /// A parameter that is a whole number.
    pub fn integer(&mut self, name: &str) -> Field<'_, i64> {
        self.read(name, |text| {
            text.parse().map_err(|_| "this must be a whole number")
        })
    }

    /// A parameter that is `true` or `false`.
    pub fn boolean(&mut self, name: &str) -> Field<'_, bool> {
        self.read(name, |text| {
            text.parse().map_err(|_| "this must be true or false")
        })
    }

    /// A parameter that is a list: values with commas between them, or the parameter
    /// once for each value, or both.
    ///
    /// ```
    /// use hearth_plugin::Query;
    /// let mut query = Query::parse("status=new,open&status=hold").unwrap();
    /// assert_eq!(query.list("status").or([]), ["new", "open", "hold"]);
    /// ```
    pub fn list(&mut self, name: &str) -> Field<'_, Vec<String>> {
        let location = Location::Parameter(name.to_string());
        let texts = self.take(name);
        let values = texts.iter().flat_map(|text| text.split(','));
        let values: Vec<String> = values.map(str::to_string).collect();
        let state = match values.iter().any(String::is_empty) {
            true => State::wrong("empty", "a value must not be empty"),
            false if values.is_empty() => State::Absent,
            false => State::Value(values),
        };
        Field::new(&mut self.errors, location, state)
    }

    /// A parameter that is an RFC 3339 time, from which on something counts. A date is
    /// where it begins, in UTC.
    pub fn timestamp(&mut self, name: &str) -> Field<'_, Timestamp> {
        self.read(name, |text| {
            let day = Timestamp::parse_day(text).map(|day| *day.start());
            day.or_else(|| Timestamp::parse(text)).ok_or(NO_TIME)
        })
    }

    /// A parameter that is an RFC 3339 time, up to which something counts. A date is
    /// its last microsecond, in UTC.
    ///
    /// ```
    /// use hearth_plugin::{Query, Timestamp};
    /// let mut query = Query::parse("until=2026-11-23").unwrap();
    /// let last = Timestamp::parse("2026-11-23T23:59:59.999999Z");
    /// assert_eq!(query.until("until").optional(), last);
    /// ```
    pub fn until(&mut self, name: &str) -> Field<'_, Timestamp> {
        self.read(name, |text| {
            let day = Timestamp::parse_day(text).map(|day| *day.end());
            day.or_else(|| Timestamp::parse(text)).ok_or(NO_TIME)
        })
    }

    /// A query string without one of its parameters, to make links to other pages.
    ///
    /// ```
    /// use hearth_plugin::Query;
    /// assert_eq!(Query::except("a=1&cursor=x&b=%20", "cursor"), "a=1&b=%20");
    /// ```
    pub fn except(text: &str, name: &str) -> String {
        let named = |pair: &str| pair.split('=').next() == Some(name);
        let kept: Vec<_> = text
            .split('&')
            .filter(|pair| !pair.is_empty() && !named(pair))
            .collect();
        kept.join("&")
    }

    /// Remembers a mistake which only the plugin can see.
    pub fn refuse(&mut self, name: &str, code: &'static str, detail: impl Into<String>) {
        let location = Location::Parameter(name.to_string());
        self.errors.push(FieldError {
            location,
            code,
            detail: detail.into(),
        });
    }

    /// 400 where anything was wrong, naming all of it.
    pub fn finish(mut self) -> Result<(), Problem> {
        for (name, _) in std::mem::take(&mut self.parameters) {
            self.refuse(&name, "unknown", "unknown parameter");
        }
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(Problem::invalid_query(self.errors))
        }
    }

    fn read<T>(&mut self, name: &str, read: fn(&str) -> Result<T, &'static str>) -> Field<'_, T> {
        let location = Location::Parameter(name.to_string());
        let texts = self.take(name);
        let state = match texts.as_slice() {
            [] => State::Absent,
            [text] if text.is_empty() => State::wrong("empty", "this must not be empty"),
            [text] => {
                read(text).map_or_else(|detail| State::wrong("wrong_type", detail), State::Value)
            }
            _ => State::wrong("repeated", "this may be given only once"),
        };
        Field::new(&mut self.errors, location, state)
    }

    fn take(&mut self, name: &str) -> Vec<String> {
        let taken = self.parameters.extract_if(.., |(own, _)| own == name);
        taken.map(|(_, text)| text).collect()
    }
}

const NO_TIME: &str = "this must be an RFC 3339 time, or a date";

fn parse_pair(pair: &str) -> Option<(String, String)> {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    Some((percent::decode_query(name)?, percent::decode_query(value)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nul_and_broken_escapes_are_400() {
        for text in ["q=%00", "q=%z", "q=%ff", "%00=1"] {
            assert_eq!(Query::parse(text).unwrap_err().status(), 400, "{text}");
        }
    }

    #[test]
    fn date_stands_for_where_it_begins_or_for_where_it_ends() {
        let mut query = Query::parse("a=2026-11-23&b=2026-11-23&c=2026-11-23T01:00:00Z").unwrap();
        let texts = [
            query.timestamp("a").optional(),
            query.until("b").optional(),
            query.until("c").optional(),
        ];
        let texts = texts.map(|time| time.unwrap().to_string());
        let expected = [
            "2026-11-23T00:00:00.000000Z",
            "2026-11-23T23:59:59.999999Z",
            "2026-11-23T01:00:00.000000Z",
        ];
        assert_eq!(texts, expected);
        for wrong in ["2026-02-30", "2026-2-3", "2026-11-23Z"] {
            let mut query = Query::parse(&["t=", wrong].concat()).unwrap();
            query.until("t").optional();
            assert_eq!(query.finish().unwrap_err().status(), 400, "{wrong}");
        }
    }

    #[test]
    fn list_has_commas_or_comes_again() {
        let list = |text: &str| {
            let mut query = Query::parse(text).unwrap();
            let list = query.list("s").optional();
            query.finish().map(|()| list)
        };
        let both = Some(vec!["a".to_string(), "b".to_string()]);
        assert_eq!(list("s=a,b").unwrap(), both);
        assert_eq!(list("s=a&s=b").unwrap(), both);
        assert_eq!(list("").unwrap(), None);
        for wrong in ["s=", "s=a,", "s=a&s=", "s=,"] {
            assert_eq!(list(wrong).unwrap_err().status(), 400, "{wrong}");
        }
    }

    #[test]
    fn all_mistakes_are_named_at_once() {
        let mut query = Query::parse("a=x&b=maybe&c=today&d=1&d=2&e=5&g=&").unwrap();
        query.integer("a").optional();
        query.boolean("b").optional();
        query.timestamp("c").optional();
        query.text("d").optional();
        query.text("f").required();
        query.text("g").optional();
        let errors = query.finish().unwrap_err().field_errors().to_vec();
        let codes: Vec<_> = errors.iter().map(|error| error.code).collect();
        let wrong = [
            "wrong_type",
            "wrong_type",
            "wrong_type",
            "repeated",
            "required",
            "empty",
            "unknown",
        ];
        assert_eq!(codes, wrong);
        assert_eq!(errors[6].location, Location::Parameter("e".into()));
    }
}

//! Reading a TOML table field by field, so that every mistake is found and told
//! with its line, where a derived reader would stop at the first.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::{Range, RangeInclusive};

use serde_spanned::Spanned;
use toml::de::{DeTable, DeValue};

use super::{ManifestError, Mistake};

/// The mistakes found so far in one text.
pub struct Mistakes<'t> {
    text: &'t str,
    found: RefCell<Vec<Mistake>>,
}

impl<'t> Mistakes<'t> {
    pub fn new(text: &'t str) -> Self {
        Mistakes {
            text,
            found: RefCell::default(),
        }
    }

    /// Notes a mistake at a byte of the text.
    pub fn note(&self, at: usize, reason: impl Into<String>) {
        let before = self.text.as_bytes().iter().take(at);
        let line = 1 + before.filter(|byte| **byte == b'\n').count();
        self.found.borrow_mut().push(Mistake {
            line,
            reason: reason.into(),
        });
    }

    /// The value, if there is one and there was no mistake at all. Where there is
    /// no value the reason was noted.
    pub fn into_result<T>(self, value: Option<T>) -> Result<T, ManifestError> {
        let mut mistakes = self.found.into_inner();
        mistakes.sort_by_key(|mistake| mistake.line);
        value
            .filter(|_| mistakes.is_empty())
            .ok_or(ManifestError { mistakes })
    }
}

/// A text of the manifest and where it stands.
#[derive(Clone, Default)]
pub struct Text {
    pub value: String,
    pub at: usize,
}

/// One table. Each field is taken once; `finish` calls the rest mistakes.
pub struct Fields<'a, 'i> {
    table: &'a DeTable<'i>,
    mistakes: &'a Mistakes<'a>,
    /// Where the table begins, for what is missing in it.
    at: usize,
    /// What stands before a field's name in a message, for example `limits.`.
    prefix: String,
    known: BTreeSet<&'static str>,
}

impl<'a, 'i> Fields<'a, 'i> {
    pub fn new(table: &'a Spanned<DeTable<'i>>, mistakes: &'a Mistakes<'a>) -> Self {
        Self::within(table.get_ref(), table.span(), String::new(), mistakes)
    }

    fn within(
        table: &'a DeTable<'i>,
        span: Range<usize>,
        prefix: String,
        mistakes: &'a Mistakes<'a>,
    ) -> Self {
        Fields {
            table,
            mistakes,
            at: span.start,
            prefix,
            known: BTreeSet::new(),
        }
    }

    /// Where the table begins.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Notes a mistake in this table.
    pub fn note(&self, at: usize, reason: impl Into<String>) {
        self.mistakes.note(at, reason);
    }

    /// Every field that nobody asked for is a mistake.
    pub fn finish(self) {
        for key in self.table.keys() {
            let name: &str = key.get_ref();
            if !self.known.contains(name) {
                let known = self.known.iter().copied().collect::<Vec<_>>().join(", ");
                let reason = format!("unknown field `{}{name}` (known: {known})", self.prefix);
                self.mistakes.note(key.span().start, reason);
            }
        }
    }

    /// Where a field stands, if it is there.
    pub fn position(&mut self, key: &'static str) -> Option<usize> {
        self.value(key).map(|value| value.span().start)
    }

    pub fn text(&mut self, key: &'static str) -> Option<Text> {
        let value = self.value(key)?;
        match value.get_ref().as_str() {
            Some(text) => Some(Text {
                value: text.to_owned(),
                at: value.span().start,
            }),
            None => self.wrong(key, value, "a string"),
        }
    }

    pub fn required_text(&mut self, key: &'static str) -> Text {
        let there = self.table.iter().any(|(name, _)| name.get_ref() == key);
        if !there {
            self.note(self.at, format!("`{}{key}` is missing", self.prefix));
        }
        self.text(key).unwrap_or_default()
    }

    pub fn flag(&mut self, key: &'static str, default: bool) -> bool {
        let Some(value) = self.value(key) else {
            return default;
        };
        match value.get_ref().as_bool() {
            Some(flag) => flag,
            None => self.wrong(key, value, "true or false").unwrap_or(default),
        }
    }

    pub fn number(&mut self, key: &'static str, default: u64, range: RangeInclusive<u64>) -> u64 {
        self.wanted(key, range).unwrap_or(default)
    }

    /// A number that must be there.
    pub fn required_number(&mut self, key: &'static str, range: RangeInclusive<u64>) -> u64 {
        let there = self.table.iter().any(|(name, _)| name.get_ref() == key);
        if !there {
            self.note(self.at, format!("`{}{key}` is missing", self.prefix));
        }
        self.wanted(key, range).unwrap_or_default()
    }

    /// A number that need not be there.
    pub fn wanted(&mut self, key: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        let value = self.value(key)?;
        let integer = value.get_ref().as_integer();
        let number = integer.and_then(|i| u64::from_str_radix(i.as_str(), i.radix()).ok());
        match number {
            Some(number) if range.contains(&number) => Some(number),
            _ => {
                let wanted = format!("a whole number from {} to {}", range.start(), range.end());
                self.wrong(key, value, &wanted)
            }
        }
    }

    pub fn texts(&mut self, key: &'static str) -> Vec<Text> {
        let Some(value) = self.value(key) else {
            return Vec::new();
        };
        let Some(array) = value.get_ref().as_array() else {
            return self
                .wrong(key, value, "a list of strings")
                .unwrap_or_default();
        };
        let text = |item: &Spanned<DeValue<'i>>| match item.get_ref().as_str() {
            Some(text) => Some(Text {
                value: text.to_owned(),
                at: item.span().start,
            }),
            None => self.wrong(key, item, "a list of strings"),
        };
        array.iter().filter_map(text).collect()
    }

    pub fn table(&mut self, key: &'static str) -> Option<Fields<'a, 'i>> {
        let value = self.value(key)?;
        self.nested(key, value)
    }

    pub fn tables(&mut self, key: &'static str) -> Vec<Fields<'a, 'i>> {
        let Some(value) = self.value(key) else {
            return Vec::new();
        };
        let Some(array) = value.get_ref().as_array() else {
            return self
                .wrong(key, value, "a list of tables")
                .unwrap_or_default();
        };
        array
            .iter()
            .filter_map(|item| self.nested(key, item))
            .collect()
    }

    fn nested(&self, key: &str, value: &'a Spanned<DeValue<'i>>) -> Option<Fields<'a, 'i>> {
        let prefix = format!("{}{key}.", self.prefix);
        match value.get_ref().as_table() {
            Some(table) => Some(Self::within(table, value.span(), prefix, self.mistakes)),
            None => self.wrong(key, value, "a table"),
        }
    }

    fn value(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'i>>> {
        self.known.insert(key);
        self.table
            .iter()
            .find(|(name, _)| name.get_ref() == key)
            .map(|(_, value)| value)
    }

    fn wrong<T>(&self, key: &str, value: &Spanned<DeValue<'_>>, wanted: &str) -> Option<T> {
        let reason = format!("`{}{key}` must be {wanted}", self.prefix);
        self.mistakes.note(value.span().start, reason);
        None
    }
}

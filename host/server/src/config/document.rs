//! A TOML text that knows where each of its keys stands.
//!
//! Serde stops at the first mistake. So a document is deserialised, the place
//! that was refused is noted and taken out, and the rest is tried again, until
//! nothing is refused. What is left are the defaults of what was wrong, which
//! lets the later checks run too.

use std::ops::Range;

use serde::de::DeserializeOwned;
use serde_spanned::Spanned;
use toml::de::{DeArray, DeTable, DeValue, Deserializer};

use super::message;
use super::mistake::Mistake;
use hearth_base::section::{Mistakes, Section};

/// Mistakes that are told at most; a file with more is no configuration.
const MISTAKES_MAX: usize = 200;

pub(super) struct Document<'t> {
    origin: String,
    text: &'t str,
    root: Spanned<DeTable<'t>>,
    nodes: Vec<Node>,
    mistakes: Vec<(usize, Mistake)>,
}

/// One key or list element, and where it and its value are.
struct Node {
    path: Vec<Step>,
    key: Range<usize>,
    value: Range<usize>,
    /// Whether it was refused, and is no longer in the tree.
    taken_out: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

impl Node {
    fn contains(&self, span: &Range<usize>) -> bool {
        self.value.start <= span.start && span.end <= self.value.end
    }

    fn is_at(&self, span: &Range<usize>) -> bool {
        self.key == *span || self.value == *span
    }
}

impl<'t> Document<'t> {
    /// Parses a text. Mistakes of syntax are noted, and what could be read is
    /// kept.
    pub(super) fn parse(origin: &str, text: &'t str) -> Self {
        let (root, errors) = DeTable::parse_recoverable(text);
        let mut nodes = Vec::new();
        list_table(root.get_ref(), &mut Vec::new(), &mut nodes);
        let mut document = Self {
            origin: origin.to_owned(),
            text,
            root,
            nodes,
            mistakes: Vec::new(),
        };
        for error in errors {
            let offset = error.span().map_or(text.len(), |span| span.start);
            document.note(Some(offset), String::new(), error.message().to_owned());
        }
        document
    }

    /// Reads a value of any type that has a default, noting every refusal.
    pub(super) fn read<T: DeserializeOwned + Default>(&mut self) -> T {
        let lines = self.broken_lines();
        loop {
            let error = match T::deserialize(Deserializer::from(self.root.clone())) {
                Ok(value) => return value,
                Err(error) => error,
            };
            let text = message::plain(error.message());
            let Some((path, span)) = error.span().and_then(|span| self.take_out(&span)) else {
                self.note(None, String::new(), text);
                return T::default();
            };
            // What a broken line was read as says nothing about its author.
            if !lines.contains(&self.position(span.start).0) {
                self.note(Some(span.start), path, text);
            }
            if self.mistakes.len() >= MISTAKES_MAX {
                return T::default();
            }
        }
    }

    /// Notes a mistake at a key, or at the file where the key is not in it.
    pub(super) fn blame(&mut self, path: &[&str], message: String) {
        let node = self.find(path);
        let offset = node.map(|node| node.value.start);
        self.note(offset, join(path), message);
    }

    /// Notes what is wrong with the values of a section and of those in it.
    pub(super) fn validate(&mut self, section: &impl Section) {
        let mut mistakes = Mistakes::default();
        section.validate(&mut mistakes);
        for (path, message) in mistakes {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            self.blame(&path, message);
        }
    }

    /// As `blame`, where nothing at this key or below was noted yet.
    pub(super) fn blame_once(&mut self, path: &[&str], message: &str) {
        let key = join(path);
        let below = |mistake: &Mistake| {
            let rest = mistake.key.strip_prefix(&key);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        if !self.mistakes.iter().any(|(_, mistake)| below(mistake)) {
            self.blame(path, message.to_owned());
        }
    }

    /// Whether the text has this key, be its value right or wrong.
    pub(super) fn has(&self, path: &[&str]) -> bool {
        self.find(path).is_some()
    }

    /// Every mistake in the order of the text.
    pub(super) fn into_mistakes(mut self) -> Vec<Mistake> {
        self.mistakes.sort_by_key(|(offset, _)| *offset);
        self.mistakes
            .into_iter()
            .map(|(_, mistake)| mistake)
            .collect()
    }
}

impl Document<'_> {
    fn find(&self, path: &[&str]) -> Option<&Node> {
        self.nodes.iter().find(|node| {
            let names = node.path.iter().map(|step| match step {
                Step::Key(key) => Some(key.as_str()),
                Step::Index(_) => None,
            });
            names.eq(path.iter().map(|name| Some(*name)))
        })
    }

    /// Removes the smallest node that a refusal points at, and tells its name
    /// and where the refusal is.
    fn take_out(&mut self, span: &Range<usize>) -> Option<(String, Range<usize>)> {
        let here = || {
            self.nodes
                .iter()
                .enumerate()
                .filter(|(_, node)| !node.taken_out)
        };
        let exact = here()
            .filter(|(_, node)| node.is_at(span))
            .max_by_key(|(_, node)| node.path.len());
        let around = || {
            let around = here().filter(|(_, node)| node.contains(span));
            around.min_by_key(|(_, node)| node.value.len())
        };
        let (index, _) = exact.or_else(around)?;
        let node = self.nodes.get(index)?;
        remove_from_table(self.root.get_mut(), &node.path, node);
        let path = node.path.clone();
        for node in self
            .nodes
            .iter_mut()
            .filter(|node| node.path.starts_with(&path))
        {
            node.taken_out = true;
        }
        Some((dotted(&path), span.clone()))
    }

    fn note(&mut self, offset: Option<usize>, key: String, message: String) {
        let position = offset.map(|offset| self.position(offset));
        let origin = self.origin.clone();
        let mistake = Mistake {
            origin,
            position,
            key,
            message,
        };
        self.mistakes.push((offset.unwrap_or(usize::MAX), mistake));
    }

    fn broken_lines(&self) -> Vec<usize> {
        let positions = self
            .mistakes
            .iter()
            .filter_map(|(_, mistake)| mistake.position);
        positions.map(|(line, _)| line).collect()
    }

    /// Line and column, both from 1, the column in characters.
    fn position(&self, offset: usize) -> (usize, usize) {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let column = before.get(start..).unwrap_or("").chars().count() + 1;
        (line, column)
    }
}

fn list_table(table: &DeTable<'_>, path: &mut Vec<Step>, nodes: &mut Vec<Node>) {
    for (key, value) in table {
        path.push(Step::Key(key.get_ref().to_string()));
        list_value(key.span(), value, path, nodes);
        path.pop();
    }
}

fn list_value(
    key: Range<usize>,
    value: &Spanned<DeValue<'_>>,
    path: &mut Vec<Step>,
    nodes: &mut Vec<Node>,
) {
    nodes.push(Node {
        path: path.clone(),
        key,
        value: value.span(),
        taken_out: false,
    });
    match value.get_ref() {
        DeValue::Table(table) => list_table(table, path, nodes),
        DeValue::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                path.push(Step::Index(index));
                list_value(element.span(), element, path, nodes);
                path.pop();
            }
        }
        _ => {}
    }
}

/// Keys are compared by place as well as by name, and elements by place alone,
/// since an earlier removal moved the ones behind it.
fn remove_from_table(table: &mut DeTable<'_>, path: &[Step], node: &Node) {
    let Some((Step::Key(name), rest)) = path.split_first() else {
        return;
    };
    if !rest.is_empty() {
        if let Some(value) = table.get_mut(name.as_str()) {
            remove_from_value(value.get_mut(), rest, node);
        }
        return;
    }
    let found = table.get_key_value(name.as_str());
    if found.is_some_and(|(key, _)| key.span() == node.key) {
        table.remove(name.as_str());
    }
}

fn remove_from_value(value: &mut DeValue<'_>, path: &[Step], node: &Node) {
    match value {
        DeValue::Table(table) => remove_from_table(table, path, node),
        DeValue::Array(elements) if path.len() == 1 => {
            let kept = std::mem::replace(elements, DeArray::new()).into_iter();
            *elements = kept
                .filter(|element| element.span() != node.value)
                .collect();
        }
        DeValue::Array(elements) => {
            let rest = path.get(1..).unwrap_or_default();
            for element in elements.iter_mut() {
                remove_from_value(element.get_mut(), rest, node);
            }
        }
        _ => {}
    }
}

fn dotted(path: &[Step]) -> String {
    let mut text = String::new();
    for step in path {
        match step {
            Step::Key(key) => push_key(&mut text, key),
            Step::Index(index) => text.push_str(&format!("[{index}]")),
        }
    }
    text
}

fn join(path: &[&str]) -> String {
    let mut text = String::new();
    for key in path {
        push_key(&mut text, key);
    }
    text
}

/// A key that is not bare stands in quotes, as it does in the file.
fn push_key(text: &mut String, key: &str) {
    if !text.is_empty() {
        text.push('.');
    }
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !key.is_empty() && key.chars().all(bare) {
        text.push_str(key);
    } else {
        text.push_str(&format!("{key:?}"));
    }
}

//! The answers that the host may keep for a plugin: `[[response_cache]]`.

use super::fields::{Fields, Text};
use super::read::MS_MAX;

/// Answers to GET at one route that the host may keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedRoute {
    /// Below the mount.
    pub path: Vec<Segment>,
    /// Milliseconds that an answer is served for.
    pub ttl_ms: u64,
    /// Under which `cache.invalidate-tag` finds an answer.
    pub tags: Vec<Vec<Piece>>,
    /// Whether a 404 is kept, too.
    pub not_found: bool,
    /// Request headers, in lower case, on which the answer depends.
    pub vary: Vec<String>,
}

/// A segment of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    Text(String),
    Parameter(String),
}

/// A part of a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Text(String),
    /// The value of the path's parameter at that place.
    Parameter(usize),
}

const ROUTES_MAX: usize = 100;
const TAGS_MAX: usize = 8;

/// Reads `[[response_cache]]`.
pub(super) fn routes(fields: &mut Fields<'_, '_>) -> Vec<CachedRoute> {
    let tables = fields.tables("response_cache");
    if tables.len() > ROUTES_MAX {
        fields.note(
            0,
            format!("`response_cache` has more than {ROUTES_MAX} routes"),
        );
    }
    tables.into_iter().map(route).collect()
}

fn route(mut fields: Fields<'_, '_>) -> CachedRoute {
    let path = path(&mut fields);
    let tags = fields.texts("tags");
    if let Some(tag) = tags.get(TAGS_MAX) {
        let reason = format!("`response_cache.tags`: a route has at most {TAGS_MAX} tags");
        fields.note(tag.at, reason);
    }
    let route = CachedRoute {
        tags: tags.iter().map(|text| tag(&fields, text, &path)).collect(),
        ttl_ms: fields.required_number("ttl_ms", 1..=MS_MAX),
        not_found: fields.flag("not_found", false),
        vary: vary(&mut fields),
        path,
    };
    fields.finish();
    route
}

fn path(fields: &mut Fields<'_, '_>) -> Vec<Segment> {
    let text = fields.required_text("path");
    if text.value.is_empty() {
        return Vec::new();
    }
    let segments: Option<Vec<Segment>> = match text.value.strip_prefix('/') {
        Some("") => Some(Vec::new()),
        Some(rest) => rest.split('/').map(segment).collect(),
        None => None,
    };
    let names: Vec<_> = segments.iter().flatten().filter_map(parameter).collect();
    let twice = |name| names.iter().filter(|other| *other == name).count() > 1;
    if segments.is_none() || names.iter().any(twice) || text.value.len() > 256 {
        let rule = "`response_cache.path` begins with `/`, is below the mount, and has segments \
                    of letters, digits, `-`, `_`, `.` and `~`, or `{name}`, each name once";
        fields.note(text.at, rule);
    }
    segments.unwrap_or_default()
}

fn parameter(segment: &Segment) -> Option<&String> {
    match segment {
        Segment::Parameter(name) => Some(name),
        Segment::Text(_) => None,
    }
}

fn segment(text: &str) -> Option<Segment> {
    if let Some(name) = text
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
    {
        let letters = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let is_name = !name.is_empty() && name.chars().all(letters);
        return is_name.then(|| Segment::Parameter(name.to_owned()));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.~".contains(c);
    let is_text = !["", ".", ".."].contains(&text) && text.chars().all(plain);
    is_text.then(|| Segment::Text(text.to_owned()))
}

/// `ticket:{id}`, where `{id}` is a parameter of the path.
fn tag(fields: &Fields<'_, '_>, text: &Text, path: &[Segment]) -> Vec<Piece> {
    let names: Vec<&String> = path.iter().filter_map(parameter).collect();
    let mut pieces = Vec::new();
    let mut rest = text.value.as_str();
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else {
            break;
        };
        match names.iter().position(|known| *known == name) {
            Some(place) => {
                pieces.push(Piece::Text(before.to_owned()));
                pieces.push(Piece::Parameter(place));
            }
            None => {
                let reason = format!("`response_cache.tags`: the path has no parameter `{name}`");
                fields.note(text.at, reason);
            }
        }
        rest = after;
    }
    if text.value.is_empty() || text.value.len() > 128 || rest.contains(['{', '}']) {
        fields.note(
            text.at,
            "`response_cache.tags`: a tag has 1 to 128 bytes, and `{name}` where a parameter goes",
        );
    }
    pieces.push(Piece::Text(rest.to_owned()));
    pieces
}

/// Headers that the host keeps to itself, or that change with every request, make
/// no sense here.
fn vary(fields: &mut Fields<'_, '_>) -> Vec<String> {
    let texts = fields.texts("vary");
    for text in &texts {
        let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if text.value.is_empty() || text.value.len() > 64 || !text.value.chars().all(letters) {
            let reason = format!(
                "`response_cache.vary`: `{}` is no header's name in lower case",
                text.value
            );
            fields.note(text.at, reason);
        }
    }
    texts.into_iter().map(|text| text.value).collect()
}

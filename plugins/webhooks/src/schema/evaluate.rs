//! Checks a payload against a schema.

use std::collections::BTreeMap;

use hearth_plugin::json::{Map, Value};
use regex_lite::Regex;

use super::equal::{are_different, compare, equal, is_multiple};
use super::{FAULTS_MAX, Fault, below, is_integer, pointer_of, regex};

/// Schemas that are applied to one payload at most. Alternatives within
/// alternatives could go on for ever.
const STEPS_MAX: usize = 20_000;
/// How deep schemas may be applied within each other: `$ref` can go round.
const DEPTH_MAX: usize = 64;

/// A keyword, what a number may be to its bound (less: -1, the same: 0, more: 1), and
/// that in words.
type Bound = (&'static str, fn(i8) -> bool, &'static str);

const BOUNDS: [Bound; 4] = [
    ("minimum", |than| than >= 0, "at least"),
    ("exclusiveMinimum", |than| than > 0, "more than"),
    ("maximum", |than| than <= 0, "at most"),
    ("exclusiveMaximum", |than| than < 0, "less than"),
];

/// Everything that is wrong with a value; nothing where it fits. The schema was
/// [checked](super::check).
pub fn evaluate(schema: &Value, value: &Value) -> Vec<Fault> {
    let mut evaluation = Evaluation {
        root: schema,
        faults: Vec::new(),
        steps: 0,
        depth: 0,
        is_exhausted: false,
        patterns: BTreeMap::new(),
    };
    evaluation.apply(schema, value, "");
    if evaluation.is_exhausted {
        let detail = "this value takes too many steps to check against the schema".to_string();
        let pointer = String::new();
        return vec![Fault { pointer, detail }];
    }
    evaluation.faults
}

struct Evaluation<'s> {
    root: &'s Value,
    faults: Vec<Fault>,
    steps: usize,
    depth: usize,
    is_exhausted: bool,
    patterns: BTreeMap<&'s str, Option<Regex>>,
}

impl<'s> Evaluation<'s> {
    fn fault(&mut self, pointer: &str, detail: impl Into<String>) {
        if self.faults.len() < FAULTS_MAX {
            let (pointer, detail) = (pointer.to_string(), detail.into());
            self.faults.push(Fault { pointer, detail });
        }
    }

    /// Counts work that grows with the schema or the value.
    fn spend(&mut self, steps: usize) {
        self.steps = self.steps.saturating_add(steps);
    }

    /// Applies a schema and keeps what is wrong.
    fn apply(&mut self, schema: &'s Value, value: &Value, pointer: &str) {
        self.steps += 1;
        if self.steps > STEPS_MAX || self.depth > DEPTH_MAX {
            self.is_exhausted = true;
        }
        if self.is_exhausted {
            return;
        }
        self.depth += 1;
        match schema {
            Value::Bool(false) => self.fault(pointer, "no value is allowed here"),
            Value::Object(keywords) => self.keywords(keywords, value, pointer),
            _ => {}
        }
        self.depth -= 1;
    }

    /// Whether a value fits, without keeping what is wrong.
    fn fits(&mut self, schema: &'s Value, value: &Value, pointer: &str) -> bool {
        let kept = std::mem::take(&mut self.faults);
        self.apply(schema, value, pointer);
        std::mem::replace(&mut self.faults, kept).is_empty()
    }

    fn keywords(&mut self, keywords: &'s Map<String, Value>, value: &Value, pointer: &str) {
        if let Some(Value::String(reference)) = keywords.get("$ref")
            && let Some(target) = pointer_of(reference).and_then(|place| self.root.pointer(&place))
        {
            self.apply(target, value, pointer);
        }
        self.any_type(keywords, value, pointer);
        self.in_place(keywords, value, pointer);
        match value {
            Value::Number(_) => self.number(keywords, value, pointer),
            Value::String(text) => self.text(keywords, text, pointer),
            Value::Array(items) => self.list(keywords, items, pointer),
            Value::Object(members) => {
                self.object(keywords, members, pointer);
                self.dependent(keywords, members, value, pointer);
            }
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn any_type(&mut self, keywords: &'s Map<String, Value>, value: &Value, pointer: &str) {
        if let Some(types) = keywords.get("type") {
            let of = |name: &Value| name.as_str().is_some_and(|name| is_of(value, name));
            let holds = match types {
                Value::Array(types) => types.iter().any(of),
                one => of(one),
            };
            if !holds {
                self.fault(pointer, format!("this must be of the type {types}"));
            }
        }
        if let Some(Value::Array(allowed)) = keywords.get("enum") {
            self.spend(allowed.len());
            if !allowed.iter().any(|allowed| equal(allowed, value)) {
                self.fault(pointer, "this is not one of the allowed values");
            }
        }
        if let Some(only) = keywords.get("const")
            && !equal(only, value)
        {
            self.fault(pointer, "this is not the allowed value");
        }
    }

    /// The keywords that apply other schemas to the same value.
    fn in_place(&mut self, keywords: &'s Map<String, Value>, value: &Value, pointer: &str) {
        for schema in schemas(keywords, "allOf") {
            self.apply(schema, value, pointer);
        }
        if keywords.contains_key("anyOf") {
            let mut any = schemas(keywords, "anyOf").iter();
            if !any.any(|schema| self.fits(schema, value, pointer)) {
                self.fault(pointer, "this matches none of the alternatives");
            }
        }
        if keywords.contains_key("oneOf") {
            let all = schemas(keywords, "oneOf").iter();
            let count = all
                .filter(|schema| self.fits(schema, value, pointer))
                .count();
            if count != 1 {
                self.fault(
                    pointer,
                    format!("this matches {count} of the alternatives; it must match exactly one"),
                );
            }
        }
        if let Some(not) = keywords.get("not")
            && self.fits(not, value, pointer)
        {
            self.fault(pointer, "this matches the schema that it must not match");
        }
        if let Some(condition) = keywords.get("if") {
            let name = match self.fits(condition, value, pointer) {
                true => "then",
                false => "else",
            };
            if let Some(consequence) = keywords.get(name) {
                self.apply(consequence, value, pointer);
            }
        }
    }

    fn number(&mut self, keywords: &'s Map<String, Value>, value: &Value, pointer: &str) {
        for (keyword, holds, words) in BOUNDS {
            if let Some(bound) = keywords.get(keyword)
                && !compare(value, bound).is_some_and(holds)
            {
                self.fault(pointer, format!("this must be {words} {bound}"));
            }
        }
        if let Some(of) = keywords.get("multipleOf")
            && !is_multiple(value, of)
        {
            self.fault(pointer, format!("this must be a multiple of {of}"));
        }
    }

    fn text(&mut self, keywords: &'s Map<String, Value>, text: &str, pointer: &str) {
        let counted = |keyword| keywords.contains_key(keyword);
        if counted("minLength") || counted("maxLength") {
            let bounds = ("minLength", "maxLength", "characters");
            self.bounds(keywords, bounds, text.chars().count(), pointer);
        }
        if let Some(Value::String(pattern)) = keywords.get("pattern")
            && !self.is_match(pattern, text)
        {
            self.fault(pointer, format!("this must match {pattern}"));
        }
    }

    fn is_match(&mut self, pattern: &'s str, text: &str) -> bool {
        self.spend(1 + text.len() / 64);
        let compiled = self
            .patterns
            .entry(pattern)
            .or_insert_with(|| regex(pattern));
        compiled.as_ref().is_some_and(|regex| regex.is_match(text))
    }

    fn bounds(
        &mut self,
        keywords: &'s Map<String, Value>,
        (min, max, unit): (&str, &str, &str),
        count: usize,
        pointer: &str,
    ) {
        let count = count as f64;
        if let Some(least) = keywords.get(min).and_then(Value::as_f64)
            && count < least
        {
            self.fault(pointer, format!("this must have at least {least} {unit}"));
        }
        if let Some(most) = keywords.get(max).and_then(Value::as_f64)
            && count > most
        {
            self.fault(pointer, format!("this must have at most {most} {unit}"));
        }
    }

    fn list(&mut self, keywords: &'s Map<String, Value>, items: &[Value], pointer: &str) {
        self.bounds(
            keywords,
            ("minItems", "maxItems", "items"),
            items.len(),
            pointer,
        );
        if keywords.get("uniqueItems") == Some(&Value::Bool(true)) && !are_different(items) {
            self.fault(pointer, "the items must be unique");
        }
        let first = schemas(keywords, "prefixItems");
        let rest = keywords.get("items");
        for (index, item) in items.iter().enumerate() {
            if let Some(schema) = first.get(index).or(rest) {
                self.apply(schema, item, &below(pointer, &index.to_string()));
            }
        }
        if let Some(schema) = keywords.get("contains") {
            self.contains(keywords, schema, items, pointer);
        }
    }

    fn contains(
        &mut self,
        keywords: &'s Map<String, Value>,
        schema: &'s Value,
        items: &[Value],
        pointer: &str,
    ) {
        let found = items
            .iter()
            .filter(|item| self.fits(schema, item, pointer))
            .count();
        let least = keywords.get("minContains").and_then(Value::as_f64);
        if (found as f64) < least.unwrap_or(1.0) {
            self.fault(pointer, "too few items match `contains`");
        }
        let most = keywords.get("maxContains").and_then(Value::as_f64);
        if most.is_some_and(|most| found as f64 > most) {
            self.fault(pointer, "too many items match `contains`");
        }
    }

    fn object(
        &mut self,
        keywords: &'s Map<String, Value>,
        members: &Map<String, Value>,
        pointer: &str,
    ) {
        let bounds = ("minProperties", "maxProperties", "members");
        self.bounds(keywords, bounds, members.len(), pointer);
        for name in names(keywords.get("required")) {
            self.required(members, name, pointer);
        }
        for (trigger, wanted) in objects(keywords, "dependentRequired") {
            for name in names(Some(wanted)).filter(|_| members.contains_key(trigger)) {
                self.required(members, name, pointer);
            }
        }
        for (name, member) in members {
            self.member(keywords, name, member, pointer);
        }
    }

    fn dependent(
        &mut self,
        keywords: &'s Map<String, Value>,
        members: &Map<String, Value>,
        value: &Value,
        pointer: &str,
    ) {
        for (trigger, schema) in objects(keywords, "dependentSchemas") {
            if members.contains_key(trigger) {
                self.apply(schema, value, pointer);
            }
        }
    }

    fn required(&mut self, members: &Map<String, Value>, name: &str, pointer: &str) {
        self.spend(1);
        if !members.contains_key(name) {
            self.fault(&below(pointer, name), "this is required");
        }
    }

    fn member(
        &mut self,
        keywords: &'s Map<String, Value>,
        name: &str,
        member: &Value,
        pointer: &str,
    ) {
        let pointer = below(pointer, name);
        if let Some(schema) = keywords.get("propertyNames")
            && !self.fits(schema, &Value::String(name.to_string()), &pointer)
        {
            self.fault(&pointer, "a member of this name is not allowed");
        }
        let own = keywords
            .get("properties")
            .and_then(|schemas| schemas.get(name));
        let mut is_known = own.is_some();
        if let Some(schema) = own {
            self.apply(schema, member, &pointer);
        }
        for (pattern, schema) in objects(keywords, "patternProperties") {
            if self.is_match(pattern, name) {
                is_known = true;
                self.apply(schema, member, &pointer);
            }
        }
        if let Some(schema) = keywords.get("additionalProperties").filter(|_| !is_known) {
            match schema {
                Value::Bool(false) => self.fault(&pointer, "this member is not allowed"),
                schema => self.apply(schema, member, &pointer),
            }
        }
    }
}

fn is_of(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        _ => is_integer(value),
    }
}

fn schemas<'s>(keywords: &'s Map<String, Value>, keyword: &str) -> &'s [Value] {
    match keywords.get(keyword) {
        Some(Value::Array(schemas)) => schemas,
        _ => &[],
    }
}

fn objects<'s>(
    keywords: &'s Map<String, Value>,
    keyword: &str,
) -> impl Iterator<Item = (&'s String, &'s Value)> + use<'s> {
    let members = keywords.get(keyword).and_then(Value::as_object);
    members.into_iter().flatten()
}

fn names(list: Option<&Value>) -> impl Iterator<Item = &str> {
    let names = list.and_then(Value::as_array);
    names.into_iter().flatten().filter_map(Value::as_str)
}

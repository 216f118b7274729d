//! Checks whether a value is a supported schema, before it is stored.

use std::collections::BTreeSet;

use hearth_plugin::json::{Map, Value};

use super::decimal::Decimal;
use super::{FAULTS_MAX, Fault, below, is_integer, pointer_of, regex};

/// The only draft that `$schema` may name.
const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";
/// Schemas within one at most, and how deep they may lie in each other.
const COUNT_MAX: usize = 1_000;
const DEPTH_MAX: usize = 32;

const TYPES: [&str; 7] = [
    "null", "boolean", "object", "array", "number", "string", "integer",
];

/// What the value of a keyword must be.
enum Shape {
    Schema,
    Schemas,
    SchemasByName,
    SchemasByPattern,
    Type,
    Anything,
    Values,
    Number,
    PositiveNumber,
    Count,
    Pattern,
    Reference,
    Draft,
    Text,
    Flag,
    Names,
    NamesByName,
}

fn shape(keyword: &str) -> Option<Shape> {
    Some(match keyword {
        "items"
        | "contains"
        | "additionalProperties"
        | "propertyNames"
        | "not"
        | "if"
        | "then"
        | "else"
        | "contentSchema" => Shape::Schema,
        "prefixItems" | "allOf" | "anyOf" | "oneOf" => Shape::Schemas,
        "properties" | "dependentSchemas" | "$defs" => Shape::SchemasByName,
        "patternProperties" => Shape::SchemasByPattern,
        "type" => Shape::Type,
        "const" | "default" => Shape::Anything,
        "enum" | "examples" => Shape::Values,
        "maximum" | "exclusiveMaximum" | "minimum" | "exclusiveMinimum" => Shape::Number,
        "multipleOf" => Shape::PositiveNumber,
        "maxLength" | "minLength" | "maxItems" | "minItems" | "maxContains" | "minContains"
        | "maxProperties" | "minProperties" => Shape::Count,
        "pattern" => Shape::Pattern,
        "$ref" => Shape::Reference,
        "$schema" => Shape::Draft,
        "$id" | "$comment" | "title" | "description" | "format" | "contentEncoding"
        | "contentMediaType" => Shape::Text,
        "deprecated" | "readOnly" | "writeOnly" | "uniqueItems" => Shape::Flag,
        "required" => Shape::Names,
        "dependentRequired" => Shape::NamesByName,
        _ => return None,
    })
}

/// Everything that is wrong with a schema; nothing where it can be used.
pub fn check(schema: &Value) -> Vec<Fault> {
    let mut checking = Checking::default();
    checking.schema("", schema, 0);
    let dangling = checking.references.iter().filter(|(_, to)| {
        let to = to.as_ref();
        !to.is_some_and(|to| checking.places.contains(to))
    });
    let detail = "this reference was not found in the schema".to_string();
    let fault = |(pointer, _): &(String, _)| Fault {
        pointer: pointer.clone(),
        detail: detail.clone(),
    };
    let mut faults = checking.faults;
    faults.extend(dangling.map(fault));
    faults.truncate(FAULTS_MAX);
    faults
}

#[derive(Default)]
struct Checking {
    faults: Vec<Fault>,
    /// Where schemas are.
    places: BTreeSet<String>,
    /// Where references are, and where they lead.
    references: Vec<(String, Option<String>)>,
}

impl Checking {
    fn fault(&mut self, pointer: &str, detail: &str) {
        if self.faults.len() < FAULTS_MAX {
            let (pointer, detail) = (pointer.to_string(), detail.to_string());
            self.faults.push(Fault { pointer, detail });
        }
    }

    fn schema(&mut self, pointer: &str, schema: &Value, depth: usize) {
        self.places.insert(pointer.to_string());
        if depth > DEPTH_MAX || self.places.len() > COUNT_MAX {
            return self.fault(pointer, "the schema is too large or nested too deeply");
        }
        match schema {
            Value::Bool(_) => {}
            Value::Object(keywords) => {
                for (keyword, value) in keywords {
                    self.keyword(&below(pointer, keyword), keyword, value, depth);
                }
            }
            _ => self.fault(pointer, "a schema must be an object, true or false"),
        }
    }

    fn keyword(&mut self, pointer: &str, keyword: &str, value: &Value, depth: usize) {
        let Some(shape) = shape(keyword) else {
            return self.fault(pointer, "this keyword is not supported");
        };
        if keyword == "$id" && depth > 0 {
            return self.fault(pointer, "$id is allowed only at the root of the schema");
        }
        let wrong = match shape {
            Shape::Schema => return self.schema(pointer, value, depth + 1),
            Shape::Schemas => return self.schemas(pointer, value, depth),
            Shape::SchemasByName => return self.by_name(pointer, value, depth),
            Shape::SchemasByPattern => return self.by_pattern(pointer, value, depth),
            Shape::Reference => return self.reference(pointer, value),
            Shape::Anything => None,
            shape => plain(&shape, value),
        };
        if let Some(detail) = wrong {
            self.fault(pointer, detail);
        }
    }

    fn schemas(&mut self, pointer: &str, value: &Value, depth: usize) {
        match value.as_array() {
            Some(schemas) if !schemas.is_empty() => {
                for (index, schema) in schemas.iter().enumerate() {
                    self.schema(&below(pointer, &index.to_string()), schema, depth + 1);
                }
            }
            _ => self.fault(pointer, "this must be a list of schemas"),
        }
    }

    fn by_name(&mut self, pointer: &str, value: &Value, depth: usize) {
        match value.as_object() {
            Some(schemas) => self.members(pointer, schemas, depth),
            None => self.fault(pointer, "this must be an object of schemas"),
        }
    }

    fn by_pattern(&mut self, pointer: &str, value: &Value, depth: usize) {
        for pattern in value.as_object().iter().flat_map(|schemas| schemas.keys()) {
            if regex(pattern).is_none() {
                self.fault(
                    &below(pointer, pattern),
                    "this pattern is invalid or not supported",
                );
            }
        }
        self.by_name(pointer, value, depth);
    }

    fn members(&mut self, pointer: &str, schemas: &Map<String, Value>, depth: usize) {
        for (name, schema) in schemas {
            self.schema(&below(pointer, name), schema, depth + 1);
        }
    }

    fn reference(&mut self, pointer: &str, value: &Value) {
        let to = value.as_str().and_then(pointer_of);
        self.references.push((pointer.to_string(), to));
    }
}

/// What is wrong with the value of a keyword that holds no schema.
fn plain(shape: &Shape, value: &Value) -> Option<&'static str> {
    let count = || is_integer(value) && value.as_f64().is_some_and(|number| number >= 0.0);
    let (holds, detail) = match shape {
        Shape::Type => (
            is_type(value),
            "this must be a JSON type, or a list of JSON types",
        ),
        Shape::Values => (value.is_array(), "this must be a list"),
        Shape::Number => (value.is_number(), "this must be a number"),
        Shape::PositiveNumber => {
            let positive = Decimal::of(value).is_some_and(|number| number.is_divisor());
            (
                positive,
                "this must be a number above 0, of at most 37 digits",
            )
        }
        Shape::Count => (count(), "this must be a whole number, 0 or more"),
        Shape::Pattern => {
            let known = value.as_str().is_some_and(|text| regex(text).is_some());
            (known, "this pattern is invalid or not supported")
        }
        Shape::Draft => {
            let draft = value.as_str().map(|text| text.trim_end_matches('#'));
            (draft == Some(DRAFT), "only draft 2020-12 is supported")
        }
        Shape::Text => (value.is_string(), "this must be a string"),
        Shape::Flag => (value.is_boolean(), "this must be true or false"),
        Shape::Names => (are_names(value), "this must be a list of different names"),
        Shape::NamesByName => {
            let lists = value.as_object();
            let names = lists.is_some_and(|lists| lists.values().all(are_names));
            (names, "this must be an object of lists of different names")
        }
        _ => return None,
    };
    (!holds).then_some(detail)
}

fn is_type(value: &Value) -> bool {
    let known = |value: &Value| value.as_str().is_some_and(|text| TYPES.contains(&text));
    match value.as_array() {
        Some(types) => !types.is_empty() && types.iter().all(known) && are_names(value),
        None => known(value),
    }
}

fn are_names(value: &Value) -> bool {
    let Some(names) = value.as_array() else {
        return false;
    };
    let different: BTreeSet<_> = names.iter().filter_map(Value::as_str).collect();
    different.len() == names.len()
}

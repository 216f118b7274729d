//! JSON Schemas of event types: a subset of draft 2020-12, each keyword in full.
//!
//! The crates that know all of it are too large for a component of a megabyte
//! (measured, optimised for size: boon 0.6 1.5 MB, jsonschema 0.61 2.8 MB, both
//! mostly for Unicode's regular expressions and for URLs). What is here is what
//! payloads are described with:
//!
//! - `type enum const`, numbers (`multipleOf maximum exclusiveMaximum minimum
//!   exclusiveMinimum`), texts (`maxLength minLength pattern`), lists (`items
//!   prefixItems contains minContains maxContains maxItems minItems uniqueItems`),
//!   objects (`properties patternProperties additionalProperties propertyNames
//!   required dependentRequired dependentSchemas maxProperties minProperties`);
//! - `allOf anyOf oneOf not if then else`;
//! - `$defs`, and `$ref` to a place in the same schema (`#`, `#/$defs/line`);
//! - what only describes: `$schema` (of this draft), `$id` (of the whole), `$comment`, `title
//!   description default deprecated examples readOnly writeOnly format
//!   contentEncoding contentMediaType contentSchema`. As the draft has it, `format`
//!   checks nothing.
//!
//! Numbers are compared and divided by all of their digits.
//!
//! A schema with any other keyword (`unevaluatedProperties`, `$dynamicRef`, `$anchor`
//! and so on) is rejected when it is put, so that no one relies on a check that is not
//! made. `pattern` is that of the crate regex-lite, without look-around, references and
//! Unicode classes; a pattern that it does not support is rejected, too.

mod check;
mod decimal;
mod equal;
mod evaluate;
#[cfg(test)]
mod tests;

use hearth_plugin::json::Value;

use self::decimal::Decimal;

pub use check::check;
pub use evaluate::evaluate;

/// Bytes of a schema at most, as JSON text.
pub const BYTES_MAX: usize = 32 * 1024;
/// The most errors that are reported at once.
const FAULTS_MAX: usize = 20;

/// What is wrong at a place of a value.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// A JSON pointer (RFC 6901) into the value.
    pub pointer: String,
    pub detail: String,
}

/// A pointer and one more step.
fn below(pointer: &str, step: &str) -> String {
    [pointer, "/", &step.replace('~', "~0").replace('/', "~1")].concat()
}

/// The place in a schema that a `$ref` names: `#` and a pointer, percent-encoded.
fn pointer_of(reference: &str) -> Option<String> {
    let fragment = reference.strip_prefix('#')?;
    hearth_plugin::percent::decode(fragment)
}

/// The pattern as it is used. Every keyword with a pattern finds it anywhere.
fn regex(pattern: &str) -> Option<regex_lite::Regex> {
    /// Bytes of a compiled pattern at most.
    const COMPILED_BYTES_MAX: usize = 64 * 1024;
    let mut builder = regex_lite::RegexBuilder::new(pattern);
    builder.size_limit(COMPILED_BYTES_MAX).build().ok()
}

/// Whether a value is a whole number: `1.0` is one (Validation, section 6.1.1).
fn is_integer(value: &Value) -> bool {
    Decimal::of(value).is_some_and(|number| number.is_whole())
}

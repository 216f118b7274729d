//! The vectors are in the manner of the draft's own test suite. Whether another
//! implementation judges alike is tested through the host (tests/webhooks).

use hearth_plugin::Json;
use hearth_plugin::json::{Value, json};

use super::{check, evaluate};

/// Whether each value fits the schema, which itself must be right.
fn judged(schema: Value, cases: &[(Value, bool)]) {
    assert_eq!(check(&schema), [], "{schema}");
    for (value, fits) in cases {
        let faults = evaluate(&schema, value);
        assert_eq!(faults.is_empty(), *fits, "{schema} on {value}: {faults:?}");
    }
}

fn pointers(schema: &Value, value: &Value) -> Vec<String> {
    let faults = evaluate(schema, value);
    faults.into_iter().map(|fault| fault.pointer).collect()
}

#[test]
fn types_and_values() {
    judged(
        json!({"type": "integer"}),
        &[(json!(1), true), (json!(1.0), true), (json!(1.5), false)],
    );
    judged(
        json!({"type": ["string", "null"]}),
        &[(json!(null), true), (json!(1), false)],
    );
    judged(
        json!({"enum": [1, "a", {"b": [1.0]}]}),
        &[
            (json!(1.0), true),
            (json!({"b": [1]}), true),
            (json!(true), false),
        ],
    );
    judged(
        json!({"const": {"a": 1, "b": 2}}),
        &[(json!({"b": 2, "a": 1.0}), true), (json!({}), false)],
    );
    judged(json!(false), &[(json!(null), false)]);
    judged(json!(true), &[(json!(null), true)]);
}

#[test]
fn numbers() {
    judged(
        json!({"minimum": 1.1, "exclusiveMaximum": 3}),
        &[
            (json!(1.1), true),
            (json!(1), false),
            (json!(3.0), false),
            (json!("1"), true),
        ],
    );
    judged(
        json!({"multipleOf": 0.01}),
        &[(json!(19.99), true), (json!(0.075), false)],
    );
    judged(
        json!({"multipleOf": 1.5}),
        &[(json!(4.5), true), (json!(35), false)],
    );
    judged(
        json!({"multipleOf": 3}),
        &[(json!(9), true), (json!(7), false)],
    );
    judged(
        json!({"maximum": 9_007_199_254_740_993_i64}),
        &[(json!(9_007_199_254_740_994_i64), false)],
    );
}

#[test]
fn numbers_of_more_digits_than_a_float_has() {
    let read = |text: &str| Json::parse(text).unwrap().0;
    for (schema, value, fits) in [
        (
            r#"{"maximum": 18446744073709551616}"#,
            "18446744073709551617",
            false,
        ),
        (
            r#"{"maximum": 18446744073709551616}"#,
            "18446744073709551616",
            true,
        ),
        (
            r#"{"const": 0.30000000000000004441}"#,
            "0.30000000000000004442",
            false,
        ),
        (r#"{"multipleOf": 0.1}"#, "0.30000000000000000001", false),
        (
            r#"{"type": "integer"}"#,
            "123456789012345678901234567890.0",
            true,
        ),
        (
            r#"{"uniqueItems": true}"#,
            "[18446744073709551616, 18446744073709551617]",
            true,
        ),
    ] {
        judged(read(schema), &[(read(value), fits)]);
    }
}

#[test]
fn texts() {
    judged(
        json!({"minLength": 2, "maxLength": 2}),
        &[(json!("\u{1f600}ä"), true), (json!("a"), false)],
    );
    judged(
        json!({"pattern": "^a+$"}),
        &[(json!("aa"), true), (json!("ab"), false), (json!(1), true)],
    );
    judged(json!({"pattern": "b"}), &[(json!("abc"), true)]);
}

#[test]
fn lists() {
    judged(
        json!({"prefixItems": [{"type": "integer"}], "items": {"type": "string"}}),
        &[
            (json!([1, "a", "b"]), true),
            (json!([1, 2]), false),
            (json!([]), true),
        ],
    );
    judged(
        json!({"contains": {"const": 1}, "minContains": 2, "maxContains": 3}),
        &[
            (json!([1, 1.0, 2]), true),
            (json!([1, 2]), false),
            (json!([1, 1, 1, 1]), false),
        ],
    );
    judged(
        json!({"contains": true, "minContains": 0}),
        &[(json!([]), true)],
    );
    judged(
        json!({"uniqueItems": true}),
        &[
            (json!([1, true, "1", [1], {"a": 1}]), true),
            (json!([1, 1.0]), false),
            (json!([{"a": 1, "b": 2}, {"b": 2, "a": 1}]), false),
            (json!([0, 0.0]), false),
        ],
    );
    judged(
        json!({"minItems": 1, "maxItems": 2}),
        &[(json!([]), false), (json!([1, 2, 3]), false)],
    );
}

#[test]
fn objects() {
    let schema = json!({
        "properties": {"a": {"type": "integer"}},
        "patternProperties": {"^x-": {"type": "string"}},
        "additionalProperties": false,
        "required": ["a"],
    });
    judged(
        schema.clone(),
        &[
            (json!({"a": 1, "x-b": "c"}), true),
            (json!({"a": 1, "b": 2}), false),
            (json!({"x-b": "c"}), false),
            (json!([]), true),
        ],
    );
    assert_eq!(
        pointers(&schema, &json!({"x-b": 1, "c/d~": 2})),
        ["/a", "/c~1d~0", "/x-b"]
    );
    judged(
        json!({"propertyNames": {"maxLength": 2}}),
        &[(json!({"abc": 1}), false)],
    );
    judged(
        json!({"dependentRequired": {"a": ["b"]}}),
        &[
            (json!({"a": 1}), false),
            (json!({"a": 1, "b": 1}), true),
            (json!({"c": 1}), true),
        ],
    );
    judged(
        json!({"dependentSchemas": {"a": {"maxProperties": 1}}}),
        &[(json!({"a": 1, "b": 1}), false)],
    );
    judged(json!({"minProperties": 1}), &[(json!({}), false)]);
}

#[test]
fn schemas_of_schemas() {
    judged(
        json!({"allOf": [{"minimum": 1}, {"maximum": 2}]}),
        &[(json!(3), false), (json!(2), true)],
    );
    judged(
        json!({"anyOf": [{"type": "string"}, {"minimum": 3}]}),
        &[(json!(1), false), (json!("a"), true)],
    );
    judged(
        json!({"oneOf": [{"minimum": 1}, {"maximum": 3}]}),
        &[(json!(2), false), (json!(0), true)],
    );
    judged(
        json!({"not": {"type": "null"}}),
        &[(json!(null), false), (json!(1), true)],
    );
    judged(
        json!({"if": {"minimum": 10}, "then": {"multipleOf": 10}, "else": {"const": 1}}),
        &[
            (json!(20), true),
            (json!(15), false),
            (json!(1), true),
            (json!(2), false),
        ],
    );
}

#[test]
fn references_lead_within_the_schema() {
    let tree = json!({
        "$ref": "#/$defs/no%64e",
        "$defs": {"node": {"type": "object", "properties": {"children": {"items": {"$ref": "#"}}}}},
    });
    judged(
        tree,
        &[
            (json!({"children": [{"children": []}]}), true),
            (json!({"children": [{"children": [1]}]}), false),
        ],
    );
}

#[test]
fn what_is_no_schema_or_not_known_is_refused_with_its_place() {
    for (schema, pointer) in [
        (json!(1), ""),
        (
            json!({"unevaluatedProperties": false}),
            "/unevaluatedProperties",
        ),
        (json!({"$dynamicRef": "#a"}), "/$dynamicRef"),
        (json!({"$anchor": "a"}), "/$anchor"),
        (json!({"items": {"$id": "a"}}), "/items/$id"),
        (
            json!({"properties": {"a/b": {"typ": "string"}}}),
            "/properties/a~1b/typ",
        ),
        (json!({"type": "text"}), "/type"),
        (json!({"type": []}), "/type"),
        (json!({"minimum": "1"}), "/minimum"),
        (json!({"multipleOf": 0}), "/multipleOf"),
        (json!({"minLength": -1}), "/minLength"),
        (json!({"minLength": 1.5}), "/minLength"),
        (json!({"pattern": "(?=a)"}), "/pattern"),
        (json!({"pattern": "("}), "/pattern"),
        (
            json!({"patternProperties": {"(": true}}),
            "/patternProperties/(",
        ),
        (json!({"required": ["a", "a"]}), "/required"),
        (json!({"allOf": []}), "/allOf"),
        (json!({"items": [true]}), "/items"),
        (json!({"$ref": "https://example.com/x"}), "/$ref"),
        (json!({"$ref": "#/$defs/none"}), "/$ref"),
        (json!({"$ref": "#/enum/0", "enum": [{}]}), "/$ref"),
        (
            json!({"$schema": "http://json-schema.org/draft-07/schema#"}),
            "/$schema",
        ),
    ] {
        let faults = check(&schema);
        assert_eq!(faults.len(), 1, "{schema}: {faults:?}");
        assert_eq!(faults[0].pointer, pointer, "{schema}");
    }
}

#[test]
fn a_schema_that_would_run_for_ever_ends() {
    let round = json!({"$ref": "#"});
    assert_eq!(check(&round), []);
    assert_eq!(evaluate(&round, &json!(1)).len(), 1);
    let mut wide = json!({"anyOf": [false]});
    for _ in 0..14 {
        wide = json!({"anyOf": [wide.clone(), wide]});
        if check(&wide).is_empty() {
            evaluate(&wide, &json!(1));
        }
    }
    assert!(
        !check(&wide).is_empty(),
        "the schema is too large or nested too deeply"
    );
    let doubling = json!({"$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}]}},
        "$ref": "#/$defs/a"});
    assert_eq!(evaluate(&doubling, &json!(1)).len(), 1);
    let mut deep = json!({});
    for _ in 0..100 {
        deep = json!({"not": deep});
    }
    assert!(!check(&deep).is_empty(), "too deep");
}

#[test]
fn only_so_many_mistakes_are_told() {
    let schema = json!({"items": {"type": "string"}});
    let value: Value = (0..1000).collect::<Vec<_>>().into();
    assert_eq!(evaluate(&schema, &value).len(), 20);
}

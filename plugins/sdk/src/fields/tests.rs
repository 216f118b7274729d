use super::*;
use crate::json::Json;

fn fields(text: &str) -> Fields {
    Fields::of(Json::parse(text).unwrap().0).unwrap()
}

fn mistakes(fields: Fields) -> Vec<(String, &'static str)> {
    let problem = fields.finish().unwrap_err();
    assert_eq!(problem.status(), 422);
    let pointer = |error: &FieldError| match &error.location {
        Location::Pointer(pointer) => pointer.clone(),
        Location::Parameter(name) => panic!("{name} is a parameter"),
    };
    problem
        .field_errors()
        .iter()
        .map(|error| (pointer(error), error.code))
        .collect()
}

#[test]
fn every_wrong_field_is_named_at_once() {
    let mut fields = fields(
        r#"{"subject": "", "priority": 3, "count": 11, "when": "now", "tags": ["a", 1, ""],
            "on": "yes", "object": [], "a/b~c": 1}"#,
    );
    fields.text("subject").length(1..=255).required();
    fields.text("description").required();
    fields.text("priority").one_of(&["low"]).optional();
    fields.integer("count").range(1..=10).or(1);
    fields.timestamp("when").optional();
    fields.texts("tags").each_length(1..=64).optional();
    fields.boolean("on").or(false);
    fields.object("object").optional();
    let expected = [
        ("/subject", "too_short"),
        ("/description", "required"),
        ("/priority", "wrong_type"),
        ("/count", "out_of_range"),
        ("/when", "wrong_type"),
        ("/tags/1", "wrong_type"),
        ("/on", "wrong_type"),
        ("/object", "wrong_type"),
        ("/a~1b~0c", "unknown"),
    ];
    let expected: Vec<_> = expected
        .iter()
        .map(|(pointer, code)| (pointer.to_string(), *code))
        .collect();
    assert_eq!(mistakes(fields), expected);
}

#[test]
fn nul_characters_are_refused_everywhere() {
    let mut fields =
        fields(r#"{"text": "a\u0000b", "texts": ["\u0000"], "object": {"a": {"\u0000": 1}}}"#);
    fields.text("text").required();
    fields.texts("texts").required();
    fields.object("object").required();
    let codes: Vec<_> = mistakes(fields).into_iter().map(|(_, code)| code).collect();
    assert_eq!(codes, ["nul_character"; 3]);
}

#[test]
fn length_counts_characters_and_includes_both_ends() {
    for (text, holds) in [("", false), ("é", true), ("éé", true), ("ééé", false)] {
        let mut fields = fields(&format!(r#"{{"text": "{text}"}}"#));
        fields.text("text").length(1..=2).optional();
        assert_eq!(fields.finish().is_ok(), holds, "{text}");
    }
}

#[test]
fn a_patch_tells_absent_from_null_from_a_value() {
    let mut fields = fields(r#"{"cleared": null, "set": "x"}"#);
    assert_eq!(fields.text("kept").change(), Change::Keep);
    assert_eq!(fields.text("cleared").change(), Change::Clear);
    assert_eq!(fields.text("set").change(), Change::Set("x".to_string()));
    assert!(fields.finish().is_ok());
}

#[test]
fn numbers_that_are_not_whole_or_do_not_fit_are_no_integers() {
    for number in [
        "1.5",
        "1e300",
        "9007199254740993.0e1",
        "9223372036854775808",
    ] {
        let mut fields = fields(&format!(r#"{{"n": {number}}}"#));
        fields.integer("n").optional();
        assert_eq!(
            mistakes(fields),
            [("/n".to_string(), "wrong_type")],
            "{number}"
        );
    }
}

#[test]
fn floats_that_are_whole_are_integers() {
    for (text, number) in [("1.0", 1), ("1e3", 1_000), ("-0.0", 0)] {
        let mut fields = fields(&format!(r#"{{"n": {text}}}"#));
        assert_eq!(fields.integer("n").optional(), Some(number), "{text}");
    }
}

#[test]
fn a_body_that_is_no_object_is_422() {
    assert_eq!(Fields::of(Value::Null).unwrap_err().status(), 422);
}

#[test]
fn whole_numbers_may_be_written_with_a_fraction_of_zero() {
    let mut fields = fields(r#"{"a": 81.0, "b": -2e3, "c": 1.5, "d": 1e300, "e": 9e18, "f": "1"}"#);
    assert_eq!(fields.integer("a").required(), 81);
    assert_eq!(fields.integer("b").required(), -2000);
    for wrong in ["c", "d", "e", "f"] {
        assert_eq!(fields.integer(wrong).optional(), None, "{wrong}");
    }
    assert_eq!(mistakes(fields).len(), 4);
}

#[test]
fn of_any_number_of_unknown_fields_the_first_are_named() {
    let body = (0..1_000).map(|number| (format!("f{number}"), Value::Null));
    let fields = Fields::of(Value::Object(body.collect())).unwrap();
    let problem = fields.finish().unwrap_err();
    assert_eq!(problem.field_errors().len(), UNKNOWN_MAX);
}

//! Event types: what they refuse, and whether another implementation of JSON Schema
//! judges as they do.

use std::io::Write;
use std::process::{Command, Stdio};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::fixture::Webhooks;
use crate::harness::python::python;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn payload_that_does_not_fit_its_type_is_refused_with_its_places() {
    let webhooks = Webhooks::start();
    let schema = json!({"type": "object", "required": ["amount"], "additionalProperties": false,
        "properties": {"amount": {"type": "integer", "minimum": 1}, "lines": {"items": {"$ref": "#/$defs/line"}}},
        "$defs": {"line": {"type": "object", "required": ["price"]}}});
    let wrong = json!({"schema": schema, "example": {"amount": 0}});
    let path = "/event-types/invoice.paid";
    let (status, told) = webhooks.ask(Method::PUT, path, wrong).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(told["errors"][0]["pointer"], "/example/amount");
    let right = json!({"schema": schema, "example": {"amount": 1}, "description": "Paid"});
    let (status, made) = webhooks.ask(Method::PUT, path, right.clone()).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let (status, _) = webhooks.ask(Method::PUT, path, right).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(webhooks.get(path).await["schema"], schema);
    let payload = json!({"lines": [{"price": 1}, {}], "x": 1});
    let event = json!({"type": "invoice.paid", "payload": payload});
    let (status, told) = webhooks.ask(Method::POST, "/events", event).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let errors = told["errors"].as_array().unwrap().iter();
    let mut pointers: Vec<_> = errors
        .map(|error| error["pointer"].as_str().unwrap())
        .collect();
    pointers.sort_unstable();
    assert_eq!(
        pointers,
        ["/payload/amount", "/payload/lines/1/price", "/payload/x"]
    );
    let event = json!({"type": "invoice.paid", "payload": {"amount": 2}});
    let (status, _) = webhooks.ask(Method::POST, "/events", event).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let (status, _) = webhooks.ask(Method::DELETE, path, Value::Null).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let event = json!({"type": "invoice.paid", "payload": {}});
    let (status, _) = webhooks.ask(Method::POST, "/events", event).await;
    assert_eq!(status, StatusCode::ACCEPTED, "nobody describes it any more");
}

/// Schemas, and payloads on which two implementations might differ.
fn cases() -> Vec<(Value, Vec<Value>)> {
    let payloads = || {
        vec![
            json!({}),
            json!({"a": 1}),
            json!({"a": 1.0, "b": "x"}),
            json!({"a": -0.5, "b": null, "c": [1, 1.0]}),
            json!({"a": "1", "c": [1, 2, "x", {"a": 1}]}),
            json!({"a": true, "b": {"a": {"a": 3}}, "x-y": "z"}),
            json!({"a": [], "c": [], "d": "\u{e4}\u{1f600}"}),
            json!({"a": 19.75, "c": [[1], [1]], "d": ""}),
        ]
    };
    let schemas = vec![
        json!({"required": ["a"], "properties": {"a": {"type": "integer"}}}),
        json!({"properties": {"a": {"type": ["number", "boolean"], "multipleOf": 0.5}}}),
        json!({"properties": {"c": {"uniqueItems": true}}}),
        json!({"properties": {"c": {"prefixItems": [{"const": 1}], "items": {"type": "number"}}}}),
        json!({"properties": {"c": {"contains": {"type": "object"}, "minContains": 0, "maxContains": 1}}}),
        json!({"properties": {"d": {"minLength": 2, "maxLength": 2}}}),
        json!({"patternProperties": {"^x-": {"type": "string"}}, "additionalProperties": {"type": "number"}}),
        json!({"propertyNames": {"pattern": "^[a-d]$"}, "maxProperties": 2}),
        json!({"dependentRequired": {"a": ["b"]}, "dependentSchemas": {"c": {"minProperties": 3}}}),
        json!({"oneOf": [{"required": ["a"]}, {"required": ["b"]}, {"required": ["c"]}]}),
        json!({"if": {"required": ["b"]}, "then": {"required": ["c"]}, "else": {"not": {"required": ["d"]}}}),
        json!({"anyOf": [{"properties": {"a": {"enum": [1, true, "1"]}}, "required": ["a"]}, {"maxProperties": 0}]}),
        json!({"$ref": "#/$defs/node", "$defs": {"node": {"properties": {"a": {"$ref": "#/$defs/node"}, "b": {"$ref": "#"}}, "maxProperties": 2}}}),
        json!({"properties": {"a": {"exclusiveMinimum": -0.5, "maximum": 1}, "b": false}}),
    ];
    schemas
        .into_iter()
        .map(|schema| (schema, payloads()))
        .collect()
}

/// Verdicts of PyPI's jsonschema, in order.
fn judged_by_python(cases: &[(Value, Vec<Value>)]) -> Vec<bool> {
    let script = "import json, sys\nfrom jsonschema import Draft202012Validator as V\n\
                  print(json.dumps([V(s).is_valid(p) for s, ps in json.load(sys.stdin) for p in ps]))";
    let mut child = Command::new(python("python"))
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let text = serde_json::to_vec(cases).unwrap();
    child.stdin.take().unwrap().write_all(&text).unwrap();
    let output = child.wait_with_output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schemas_judge_as_the_library_of_pypi_does() {
    let webhooks = Webhooks::start();
    let cases = cases();
    let mut expected = judged_by_python(&cases).into_iter();
    for (schema, payloads) in &cases {
        let body = json!({"schema": schema});
        let (status, told) = webhooks.ask(Method::PUT, "/event-types/a", body).await;
        assert!(status.is_success(), "{schema}: {told}");
        for payload in payloads {
            let event = json!({"type": "a", "payload": payload});
            let (status, told) = webhooks.ask(Method::POST, "/events", event).await;
            let fits = status == StatusCode::ACCEPTED;
            assert_eq!(
                Some(fits),
                expected.next(),
                "{schema} on {payload}: {status} {told}"
            );
        }
    }
    assert_eq!(expected.next(), None);
}

use serde_json::{Value, json};

use super::{Fragment, OPENAPI_BYTES_MAX, PartOwner, common};

const WHOSE: PartOwner<'static> = PartOwner {
    plugin: "notes",
    own_mount: "/notes",
    mount: "/notes",
};

fn read(document: &Value) -> Result<Fragment, Vec<String>> {
    Fragment::read(&document.to_string(), WHOSE)
}

/// A part with these paths and components.
fn part(paths: Value, components: Value) -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Notes", "version": "1"},
        "paths": paths,
        "components": components,
    })
}

fn get(id: &str, response: Value) -> Value {
    json!({"get": {"operationId": id, "responses": {"200": response}}})
}

fn mistakes(document: &Value) -> Vec<String> {
    read(document).expect_err("it has mistakes")
}

#[test]
fn the_common_part_is_json_with_everything_that_a_document_begins_with() {
    let common = Value::Object(common());
    for pointer in [
        "/info/title",
        "/paths/~1openapi.json/get",
        "/components/securitySchemes/ApiKey",
        "/components/schemas/Problem",
        "/components/responses/TooManyRequests",
    ] {
        assert!(common.pointer(pointer).is_some(), "{pointer}");
    }
}

#[test]
fn paths_with_the_mount_and_without_it_lie_below_the_operator_s_mount() {
    let paths = json!({
        "/notes": get("a", json!({"description": "."})),
        "/notes/all": get("b", json!({"description": "."})),
        "/noteshelf": get("c", json!({"description": "."})),
    });
    let whose = PartOwner {
        mount: "/team/n",
        ..WHOSE
    };
    let part = Fragment::read(&part(paths, json!({})).to_string(), whose).unwrap();
    let paths: Vec<&String> = part.paths.keys().collect();
    assert_eq!(paths, ["/team/n", "/team/n/all", "/team/n/noteshelf"]);
}

#[test]
fn names_and_references_to_them_become_the_plugin_s_own() {
    let schema = json!({"type": "object", "properties": {
        "next": {"$ref": "#/components/schemas/Note"},
        "example": {"$ref": "#/components/schemas/Note/properties/next"},
        "problem": {"$ref": "#/components/schemas/Problem"},
    }});
    let response = json!({"description": ".", "content": {"application/json": {
        "schema": {"$ref": "#/components/schemas/Note"},
        "example": {"$ref": "stays"},
    }}, "links": {"again": {"operationId": "list"}}});
    let document = part(
        json!({"/": get("list", response)}),
        json!({"schemas": {"Note": schema}}),
    );
    let part = read(&document).unwrap();
    let operation = &part.paths["/notes/"]["get"];
    assert_eq!(operation["operationId"], "notes.list");
    let response = &operation["responses"]["200"];
    assert_eq!(response["links"]["again"]["operationId"], "notes.list");
    let media = &response["content"]["application/json"];
    assert_eq!(media["schema"]["$ref"], "#/components/schemas/notes.Note");
    assert_eq!(media["example"]["$ref"], "stays");
    let properties = &part.components["schemas"]["notes.Note"]["properties"];
    assert_eq!(
        properties["next"]["$ref"],
        "#/components/schemas/notes.Note"
    );
    assert_eq!(
        properties["example"]["$ref"],
        "#/components/schemas/notes.Note/properties/next"
    );
    assert_eq!(
        properties["problem"]["$ref"],
        "#/components/schemas/Problem"
    );
}

#[test]
fn every_mistake_is_told_at_once_with_its_place() {
    let document = json!({
        "openapi": "3.0.3",
        "servers": [],
        "colour": "red",
        "paths": {
            "notes": {},
            "/../healthz": {},
            "/a/{id}": {"get": {"operationId": "a b", "responses": {}, "sumary": "."}},
            "/a/{name}": {"fetch": {}},
            "/b": {
                "get": {"responses": {"2000": {"description": "."}, "200": {}}},
                "put": {
                    "operationId": "put",
                    "security": [{"Basic": []}],
                    "parameters": [{"name": "id", "in": "path"}, {"in": "body"}, 1],
                    "responses": {"200": {"$ref": "#/components/responses/None"}},
                },
                "post": {"operationId": "put", "responses": {"200": {"$ref": "other.json"}}},
            },
        },
        "components": {"securitySchemes": {}, "things": {}, "schemas": {"a b": {}, "c": 1}},
    });
    let told = mistakes(&document);
    for expected in [
        "/openapi: this must be a version 3.1, as \"3.1.0\"",
        "/servers: where a plugin is served is the host's to say",
        "/colour: there is no such member",
        "/paths/notes: a path begins with `/`",
        "/paths/~1..~1healthz: a path begins",
        "/paths/~1a~1{id}/get/sumary: there is no such member of an operation",
        "/paths/~1a~1{id}/get/operationId: a name has",
        "/paths/~1a~1{id}/get/responses: an operation has at least one response",
        "/paths/~1a~1{id}/get: the path's parameter `id` is not among its parameters",
        "/paths/~1a~1{name}: another path differs by the names of its parameters only",
        "/paths/~1a~1{name}/fetch: there is no such member of a path",
        "/paths/~1b/get/operationId: this must be given",
        "/paths/~1b/get/responses/2000: this must be a status",
        "/paths/~1b/get/responses/200: a response has a description",
        "/paths/~1b/put/security: `Basic` is no security scheme of the host",
        "/paths/~1b/put/parameters/0: a parameter has a schema or a content",
        "/paths/~1b/put/parameters/0/required: a path's parameter is always required",
        "/paths/~1b/put/parameters/1/in: this must be query",
        "/paths/~1b/put/parameters/2: this must be an object",
        "/paths/~1b/put: the path has no parameter `id`",
        "/paths/~1b/put/responses/200/$ref: `#/components/responses/None` leads to nothing",
        "/paths/~1b/post/responses/200/$ref: references lead to #/components/ alone",
        "`put` is there twice",
        "/components/securitySchemes: the host checks keys",
        "/components/things: there is no such section",
        "/components/schemas/a b: a name has",
        "/components/schemas/c: this must be an object",
    ] {
        assert!(
            told.iter().any(|one| one.contains(expected)),
            "{expected}\n{told:#?}"
        );
    }
}

#[test]
fn a_path_that_is_there_twice_is_refused() {
    let response = json!({"description": "."});
    let paths = json!({"/notes/a": get("a", response.clone()), "/a": get("b", response)});
    assert!(mistakes(&part(paths, json!({})))[0].contains("with the mount and without"));
}

#[test]
fn what_is_no_document_or_too_long_is_refused_and_many_mistakes_have_an_end() {
    for text in ["", "[]", "1", "{", "\u{0}"] {
        assert!(Fragment::read(text, WHOSE).is_err(), "{text}");
    }
    let long = " ".repeat(OPENAPI_BYTES_MAX + 1);
    let told = Fragment::read(&long, WHOSE).unwrap_err();
    assert!(told[0].contains("openapi_bytes_max"), "{told:?}");
    let deep = format!("{}{}", "{\"a\":".repeat(5_000), "}".repeat(5_000));
    assert!(Fragment::read(&deep, WHOSE).is_err());
    let names = (0..1_000).map(|at| (format!("bad {at}"), json!({})));
    let schemas: serde_json::Map<String, Value> = names.collect();
    let told = mistakes(&part(json!({}), json!({"schemas": schemas})));
    assert_eq!((told.len(), told[100].as_str()), (101, "and 900 more"));
}

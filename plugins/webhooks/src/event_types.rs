//! `/event-types`: the customer's descriptions of its events, and the schemas that
//! events are checked by.

use hearth_plugin::cursor::Binding;
use hearth_plugin::etag;
use hearth_plugin::prelude::*;
use hearth_plugin::router::PathParameter;

use crate::events::errors;
use crate::sql::events::{
    EventType, Put, delete_event_type, event_type_by_name, event_types_after, lock_event_type,
    put_event_type,
};
use crate::{accept, schema, topic};

/// The name of an event type in a path; anything else there is 404.
pub struct TypeName(pub String);

impl PathParameter for TypeName {
    fn from_segment(text: &str) -> Option<Self> {
        topic::is_name(text).then(|| TypeName(text.to_string()))
    }
}

/// `GET /event-types`: by name, without schemas and examples.
pub fn list(request: &Request) -> Answer {
    let mut query = request.query()?;
    let paging = Paging::by_cursor(&mut query);
    query.finish()?;
    let binding = Binding::of(request, &["event-types"])?;
    let [after] = paging.keys(&binding)?.unwrap_or_default();
    let mut types = event_types_after(&request.database(), &after, paging.fetch())?;
    let more = paging.cut(&mut types);
    let last = types.last().filter(|_| more);
    let next = last.map(|last| binding.encode(&[&last.name]));
    let body = json!({"event_types": types, "has_more": more, "next_cursor": next});
    Ok(paging.link(request, next.as_deref(), Response::json(200, &body)?))
}

/// `GET /event-types/{name}`.
pub fn show(request: &Request, TypeName(name): TypeName) -> Answer {
    let found = event_type_by_name(&request.database(), &name)?;
    Response::json(200, &found.ok_or_else(Problem::not_found)?)
}

/// `PUT /event-types/{name}`: creates it, 201, or replaces it. From then on an event of
/// this type whose payload does not match the schema is rejected.
pub fn replace(request: &Request, TypeName(name): TypeName) -> Answer {
    let mut wanted = read(request.fields()?, name)?;
    let now = Timestamp::now();
    let put = request
        .database()
        .transaction(Isolation::ReadCommitted, |tx| {
            let before = lock_event_type(tx, &wanted.name)?;
            check(request, before.as_ref())?;
            let put = put(tx, &wanted, now)?.ok_or_else(too_many)?;
            if before.is_none() && !put.created {
                request.check_preconditions(Some(etag::UNKNOWN))?;
            }
            Ok::<_, Problem>(put)
        })?;
    (wanted.created_at, wanted.updated_at) = (put.created_at, now);
    match put.created {
        true => Response::created(
            &request.link(&["/event-types/", &wanted.name].concat()),
            &wanted,
        ),
        false => Response::json(200, &wanted),
    }
}

/// 412 where the client wants another than this one, which has the tag of what `show`
/// answers.
fn check(request: &Request, found: Option<&EventType>) -> Result<(), Problem> {
    let shown = found.map(|found| Response::json(200, found)).transpose()?;
    request.check_preconditions(shown.map(|shown| shown.etag()).as_deref())
}

fn put(tx: &Transaction, wanted: &EventType, now: Timestamp) -> Result<Option<Put>, sql::Error> {
    let (schema, example) = (wanted.schema.clone(), wanted.example.clone());
    let description = wanted.description.as_deref();
    put_event_type(tx, &wanted.name, description, schema, example, now)
}

fn read(mut fields: Fields, name: String) -> Result<EventType, Problem> {
    let description = fields.text("description").length(0..=1000).optional();
    let schema =
        fields
            .value("schema")
            .check("too_long", "this must be at most 32 KiB", |schema| {
                schema.to_string().len() <= schema::BYTES_MAX
            });
    let schema = schema.optional();
    let fits =
        |example: &Map<String, Value>| accept::fits(&Value::Object(example.clone()).to_string());
    let example = fields.object("example");
    let example = example.check(
        "too_long",
        "this must be at most 20,000 bytes as JSON",
        fits,
    );
    let example = example.optional().map(Value::Object);
    fields.finish()?;
    let mut wrong = schema.as_ref().map(schema::check).unwrap_or_default();
    let mut mistakes = errors("/schema", "invalid_schema", std::mem::take(&mut wrong));
    if let (Some(schema), Some(example), true) = (&schema, &example, mistakes.is_empty()) {
        mistakes = errors("/example", "schema", schema::evaluate(schema, example));
    }
    if !mistakes.is_empty() {
        return Err(Problem::invalid_fields(mistakes));
    }
    Ok(EventType {
        name,
        description,
        schema: schema.map(Json),
        example: example.map(Json),
        created_at: Timestamp::default(),
        updated_at: Timestamp::default(),
    })
}

fn too_many() -> Problem {
    let detail = "too many event types: at most 1,000 are allowed; delete some first";
    Problem::new(409, "too-many-event-types", "Too many event types").detail(detail)
}

/// `DELETE /event-types/{name}`: 204. Events of this type are no longer checked.
pub fn delete(request: &Request, TypeName(name): TypeName) -> Answer {
    request
        .database()
        .transaction(Isolation::ReadCommitted, |tx| {
            let found = lock_event_type(tx, &name)?.ok_or_else(Problem::not_found)?;
            check(request, Some(&found))?;
            delete_event_type(tx, &name)?;
            Ok(Response::no_content())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointers(body: Value) -> Vec<String> {
        let read = read(Fields::of(body).unwrap(), "a".into());
        let problem = read.err().unwrap();
        assert_eq!(problem.status(), 422);
        let errors = problem.field_errors().iter();
        errors
            .map(|error| format!("{:?}", error.location))
            .collect()
    }

    #[test]
    fn the_example_has_to_fit_the_schema() {
        let schema = json!({"type": "object", "required": ["a"]});
        let body = json!({"schema": schema, "example": {"a": 1}});
        assert!(read(Fields::of(body).unwrap(), "a".into()).is_ok());
        let wrong = pointers(json!({"schema": schema, "example": {"b": 1}}));
        assert_eq!(wrong, [r#"Pointer("/example/a")"#]);
    }

    #[test]
    fn a_schema_with_words_that_are_not_known_is_refused() {
        let wrong = pointers(json!({"schema": {"properties": {"a": {"unevaluatedItems": false}}}}));
        assert_eq!(
            wrong,
            [r#"Pointer("/schema/properties/a/unevaluatedItems")"#]
        );
        assert_eq!(pointers(json!({"schema": 1})), [r#"Pointer("/schema")"#]);
    }
}

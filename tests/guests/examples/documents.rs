//! Does with documents what it is told to, and says what came of it.

use hearth_plugin::documents::{self, Condition, Error, Item, Key, Range};
use hearth_plugin::prelude::*;

fn key(partition: &str, sort: &str) -> Key {
    Key {
        partition: partition.into(),
        sort: sort.into(),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn shown(item: &Item) -> Value {
    json!({"sort": item.sort, "attributes": item.attributes})
}

fn outcomes(results: Vec<Result<(), Error>>) -> Answer {
    let shown = |result: &Result<(), Error>| match result {
        Ok(()) => "ok".to_owned(),
        Err(error) => format!("{error:?}"),
    };
    let shown: Vec<String> = results.iter().map(shown).collect();
    Response::json(200, &shown)
}

fn show(_: &Request, partition: String, sort: String) -> Answer {
    let item = documents::get(&key(&partition, &sort))?;
    Response::json(200, &item.as_ref().map(shown))
}

fn put(request: &Request, partition: String, sort: String) -> Answer {
    documents::put(&Item::new(&partition, &sort, &request.json()?))?;
    Ok(Response::no_content())
}

fn remove(_: &Request, partition: String, sort: String) -> Answer {
    documents::delete(&key(&partition, &sort))?;
    Ok(Response::no_content())
}

/// The body is an object of sort keys and attributes.
fn put_many(request: &Request, partition: String) -> Answer {
    let body = request.json()?;
    let members = body.as_object().into_iter().flatten();
    let items: Vec<Item> = members
        .map(|(sort, attributes)| Item::new(&partition, sort, attributes))
        .collect();
    outcomes(documents::put_many(&items))
}

/// The body is a list of sort keys.
fn delete_many(request: &Request, partition: String) -> Answer {
    let body = request.json()?;
    let sorts = body.as_array().into_iter().flatten();
    let keys: Vec<Key> = sorts.map(|sort| key(&partition, text(sort))).collect();
    outcomes(documents::delete_many(&keys))
}

/// All of it, page by page.
fn list(_: &Request, partition: String) -> Answer {
    let (mut items, mut cursor) = (Vec::new(), None);
    loop {
        let page = documents::query(&partition, &Range::All, 100, cursor.as_deref(), false)?;
        items.extend(page.items.iter().map(shown));
        cursor = page.cursor;
        if cursor.is_none() {
            return Response::json(200, &items);
        }
    }
}

fn count(_: &Request, partition: String) -> Answer {
    Response::json(200, &documents::count(&partition, &Range::All, 10_000)?)
}

/// Counts in the attribute `n`, beginning with an item that must not be there.
fn tally(_: &Request, partition: String, sort: String) -> Answer {
    let key = key(&partition, &sort);
    let begin = [documents::Change::Set("n".into(), json!(1))];
    let item = match documents::update(&key, &begin, &Condition::Absent) {
        Err(Error::ConditionFailed) => documents::update(
            &key,
            &[documents::Change::Add("n".into(), 1)],
            &Condition::Exists,
        )?,
        other => other?,
    };
    Response::json(200, &shown(&item))
}

fn router() -> Router {
    Router::new()
        .get("/items/{partition}/{sort}", show)
        .put("/items/{partition}/{sort}", put)
        .delete("/items/{partition}/{sort}", remove)
        .post("/many/{partition}", put_many)
        .delete("/many/{partition}", delete_many)
        .get("/list/{partition}", list)
        .get("/count/{partition}", count)
        .post("/tally/{partition}/{sort}", tally)
}

hearth_plugin::handler!(router);

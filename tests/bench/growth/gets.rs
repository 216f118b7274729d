//! What is asked: every GET as it stands, and once with each filter that it has.

use serde_json::Value;

use super::dataset::Dataset;

/// Filters and orders that lists have, with values that some of the rows have.
const FILTERS: [(&str, &str); 14] = [
    ("status", "open"),
    ("priority", "normal"),
    ("assignee", "agent7"),
    ("tag", "tag7"),
    ("q", "word7"),
    ("updated_since", "2020-01-01T00:00:00Z"),
    ("sort", "-updated_at"),
    ("recipient", "user:42"),
    ("unread", "true"),
    ("category", "category-7"),
    ("type", "type7"),
    ("outcome", "failed"),
    ("endpoint_id", "{endpoint}"),
    ("group_by", "service"),
];

/// The host's own, which no row is behind.
const OWN: [&str; 4] = ["/openapi.json", "/docs", "/healthz", "/readyz"];

/// A path with places for ids, which [`Dataset::fill_in`] fills.
pub struct Get {
    pub name: String,
    pub path: String,
    pub is_stream: bool,
}

pub async fn every_get(dataset: &Dataset) -> Vec<Get> {
    let url = format!("{}/openapi.json", dataset.host.url);
    let document: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
    let paths = document["paths"].as_object().unwrap().iter();
    let paths = paths.filter(|(path, item)| {
        item["get"].is_object() && !OWN.iter().any(|own| path.starts_with(own))
    });
    paths
        .flat_map(|(path, item)| of_path(&document, path, item))
        .collect()
}

fn of_path(document: &Value, path: &str, item: &Value) -> Vec<Get> {
    let content = &item["get"]["responses"]["200"]["content"];
    let is_stream = content["text/event-stream"].is_object();
    let get = |path: String| Get {
        name: format!("GET {path}"),
        path,
        is_stream,
    };
    let mut all = vec![get(path.to_string())];
    // A stream is none, and of one thing there is nothing to be filtered.
    let is_list = !is_stream && !path.ends_with('}');
    let filters = FILTERS.iter().filter(|_| is_list);
    for (name, value) in filters.filter(|(name, _)| has(document, item, name)) {
        all.push(get(format!("{path}?{name}={value}")));
    }
    all
}

/// Whether there is such a parameter of the query.
fn has(document: &Value, item: &Value, name: &str) -> bool {
    let lists = [&item["parameters"], &item["get"]["parameters"]];
    let all = lists.into_iter().filter_map(Value::as_array).flatten();
    let mut all = all.map(|parameter| match parameter["$ref"].as_str() {
        Some(place) => document.pointer(place.trim_start_matches('#')).unwrap(),
        None => parameter,
    });
    all.any(|parameter| parameter["in"] == "query" && parameter["name"] == name)
}

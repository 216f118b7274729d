//! Notes, at `/template-full`: write one, read one, list the newest. The words of each are
//! counted behind the answer, by a message of the plugin to itself.

mod count;

use hearth_plugin::prelude::*;
use hearth_plugin::queue::Message;

/// The queue that the manifest names.
const QUEUE: &str = "template-full";

row! {
    /// A note, as it is answered. Its words are not counted at once.
    pub struct Note { id: String, text: String, words: Option<i64>, created_at: Timestamp }
}

// Each statement becomes a function. The host checks all of them against the migrated
// tables when the plugin is deployed, so a typo fails the deploy and never a request.
sql! {
    pub read fn newest(limit: i64) -> Vec<Note> =
        "SELECT id, text, words, created_at FROM notes ORDER BY id DESC LIMIT $1";
    pub read fn by_id(id: &str) -> Option<Note> =
        "SELECT id, text, words, created_at FROM notes WHERE id = $1";
    pub write fn insert(id: &str, text: &str) -> Note =
        "INSERT INTO notes (id, text) VALUES ($1, $2) RETURNING id, text, words, created_at";
}

fn list(request: &Request) -> Answer {
    let mut query = request.query()?;
    let limit = query.integer("limit").range(1..=100).or(50);
    query.finish()?;
    Response::json(200, &newest(&request.database(), limit)?)
}

/// The note and the message are there together, or neither is.
fn create(request: &Request) -> Answer {
    let mut fields = request.fields()?;
    let text = fields.text("text").length(1..=1000).required();
    fields.finish()?;
    let id = id::new("note");
    let database = request.database();
    let note = database.transaction(Isolation::ReadCommitted, |tx| {
        let note = insert(tx, &id, &text)?;
        tx.enqueue(QUEUE, Message::json(&json!({"note": id})))?;
        Ok::<_, Problem>(note)
    })?;
    Response::created(&request.link(&format!("/{id}")), &note)
}

fn show(request: &Request, id: String) -> Answer {
    if !id::is("note", &id) {
        return Err(Problem::not_found());
    }
    let note = by_id(&request.database(), &id)?.ok_or_else(Problem::not_found)?;
    Response::json(200, &note)
}

fn router() -> Router {
    Router::new()
        .get("/", list)
        .post("/", create)
        .get("/{id}", show)
}

hearth_plugin::handler!(router);
hearth_plugin::consumer!(count::consume);

#[cfg(test)]
mod tests;

//! Notes, at `/template-http`: write one, read one, list the newest.

use hearth_plugin::prelude::*;

row! {
    /// A note, as it is answered.
    pub struct Note { id: String, text: String, created_at: Timestamp }
}

// Each statement becomes a function. The host checks all of them against the migrated
// tables when the plugin is deployed, so a typo fails the deploy and never a request.
sql! {
    pub read fn newest(limit: i64) -> Vec<Note> =
        "SELECT id, text, created_at FROM notes ORDER BY id DESC LIMIT $1";
    pub read fn by_id(id: &str) -> Option<Note> =
        "SELECT id, text, created_at FROM notes WHERE id = $1";
    pub write fn insert(id: &str, text: &str) -> Note =
        "INSERT INTO notes (id, text) VALUES ($1, $2) RETURNING id, text, created_at";
}

fn list(request: &Request) -> Answer {
    let mut query = request.query()?;
    let limit = query.integer("limit").range(1..=100).or(50);
    query.finish()?;
    Response::json(200, &newest(&request.database(), limit)?)
}

fn create(request: &Request) -> Answer {
    let mut fields = request.fields()?;
    let text = fields.text("text").length(1..=1000).required();
    fields.finish()?;
    let note = insert(&request.database(), &id::new("note"), &text)?;
    Response::created(&request.link(&format!("/{}", note.id)), &note)
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

#[cfg(test)]
mod tests;

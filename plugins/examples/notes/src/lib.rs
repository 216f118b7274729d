//! Notes: `GET /notes` lists the newest, `POST /notes` writes one, `GET /notes/{id}` shows
//! one. docs/plugins/guide.md goes through this file.

use hearth_plugin::prelude::*;

row! {
    /// What the list answers.
    pub struct Note { id: String, text: String, created_at: Timestamp }
}

sql! {
    /// The newest notes of the caller's customer.
    pub read fn newest(limit: i64) -> Vec<Note> =
        "SELECT id, text, created_at FROM notes ORDER BY created_at DESC LIMIT $1";
    pub read fn with_id(id: &str) -> Option<Note> =
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

fn show(request: &Request, id: String) -> Answer {
    let note = with_id(&request.database(), &id)?.ok_or_else(Problem::not_found)?;
    Response::json(200, &note)
}

fn create(request: &Request) -> Answer {
    let mut fields = request.fields()?;
    let text = fields.text("text").length(1..=1000).required();
    fields.finish()?;
    let note = insert(&request.database(), &id::new("note"), &text)?;
    let location = request.link(&format!("/{}", note.id));
    Response::created(&location, &note)
}

fn router() -> Router {
    Router::new()
        .get("/", list)
        .post("/", create)
        .get("/{id}", show)
}

hearth_plugin::handler!(router);

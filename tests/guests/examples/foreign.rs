//! Tries to reach the rows of another customer.

use hearth_plugin::prelude::*;

row! {
    /// A row and whose it is.
    pub struct Owned { customer_id: String, id: String }
}

sql! {
    /// Without any filter.
    pub read fn all() -> Vec<Owned> = "SELECT customer_id, id FROM rows ORDER BY id";
    /// With a filter for another customer.
    pub read fn of(customer: &str) -> Vec<Owned> =
        "SELECT customer_id, id FROM rows WHERE customer_id = $1";
    /// An honest row.
    pub write fn insert(id: &str) -> u64 = "INSERT INTO rows (id) VALUES ($1)";
    /// A row in another customer's name.
    pub write fn plant(customer: &str, id: &str) -> u64 =
        "INSERT INTO rows (customer_id, id) VALUES ($1, $2)";
    /// Gives the caller's rows away.
    pub write fn give(customer: &str) -> u64 = "UPDATE rows SET customer_id = $1";
    /// Deletes everything that it can see.
    pub write fn wipe() -> u64 = "DELETE FROM rows";
    /// Every customer's name.
    pub read fn customers() -> Vec<Customer> = "SELECT id, tier FROM hearth.customer";
}

row! {
    /// A customer as the host shows it.
    pub struct Customer { id: String, tier: String }
}

fn rows(rows: &[Owned]) -> Answer {
    let told: Vec<_> = rows.iter().map(|row| [&row.customer_id, &row.id]).collect();
    Response::json(200, &told)
}

fn everything(request: &Request) -> Answer {
    rows(&all(&request.database())?)
}

fn theirs(request: &Request, customer: String) -> Answer {
    rows(&of(&request.database(), &customer)?)
}

fn honest(request: &Request, id: String) -> Answer {
    Response::json(200, &insert(&request.database(), &id)?)
}

fn planted(request: &Request, customer: String) -> Answer {
    Response::json(
        200,
        &plant(&request.database(), &customer, &id::new("row"))?,
    )
}

fn given(request: &Request, customer: String) -> Answer {
    Response::json(200, &give(&request.database(), &customer)?)
}

fn wiped(request: &Request) -> Answer {
    Response::json(200, &wipe(&request.database())?)
}

fn who(request: &Request) -> Answer {
    let found = customers(&request.database())?;
    let told: Vec<_> = found
        .iter()
        .map(|customer| [&customer.id, &customer.tier])
        .collect();
    Response::json(200, &told)
}

fn router() -> Router {
    Router::new()
        .get("/", everything)
        .get("/of/{customer}", theirs)
        .post("/rows/{id}", honest)
        .post("/plant/{customer}", planted)
        .post("/give/{customer}", given)
        .post("/wipe", wiped)
        .get("/customers", who)
}

hearth_plugin::handler!(router);

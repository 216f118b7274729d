//! Keeps in a static what its last caller told it, and says what it found there: what a
//! plugin with a careless cache would do.

use std::sync::Mutex;

use hearth_plugin::consumer::{Batch, Disposition};
use hearth_plugin::prelude::*;
use hearth_plugin::queue::{self, Message};

const QUEUE: &str = "secrets";

#[derive(Clone)]
struct Kept {
    customer: String,
    secret: String,
}

static KEPT: Mutex<Option<Kept>> = Mutex::new(None);

/// Leaves this and answers what was left before.
fn exchange(kept: Kept) -> Option<Kept> {
    KEPT.lock().ok()?.replace(kept)
}

/// Nobody is a customer without a name.
fn customer(request: &Request) -> String {
    let caller = request.caller();
    caller.map_or_else(|_| String::new(), |caller| caller.customer_id.clone())
}

fn keep(request: &Request) -> Answer {
    let found = exchange(Kept {
        customer: customer(request),
        secret: String::from_utf8_lossy(request.body()).into_owned(),
    });
    let found = found.map(|found| [found.customer, found.secret]);
    Response::json(200, &found)
}

/// Sends as many messages as the path says.
fn send(request: &Request, count: i64) -> Answer {
    let secret = request.body().to_vec();
    let messages = (0..count).map(|_| Message::new(secret.clone()));
    for sent in queue::send_many(QUEUE, messages.collect()) {
        sent?;
    }
    Ok(Response::no_content())
}

/// A message whose call found what another customer left is a dead letter.
fn consume(batch: &Batch) -> Vec<Disposition> {
    let customer = batch.customer().unwrap_or_default();
    let judged = batch.messages.iter().map(|message| {
        let found = exchange(Kept {
            customer: customer.to_owned(),
            secret: message.text().unwrap_or_default().to_owned(),
        });
        match found {
            Some(found) if found.customer != customer => {
                Disposition::DeadLetter(format!("found what {} left", found.customer))
            }
            _ => Disposition::Done,
        }
    });
    judged.collect()
}

fn router() -> Router {
    Router::new()
        .post("/", keep)
        .post("/messages/{count}", send)
}

hearth_plugin::handler!(router);
hearth_plugin::consumer!(consume);

//! Hears what other plugins tell, and writes it down in the order in which it comes.

use hearth_plugin::consumer::{Batch, Disposition, Message};
use hearth_plugin::log;
use hearth_plugin::prelude::*;

sql! {
    pub write fn hear(messages: &Json) -> u64 =
        "INSERT INTO heard (queue, body) SELECT queue, body FROM jsonb_to_recordset($1)
         AS given (place bigint, queue text, body jsonb) ORDER BY place";
}

fn consume(batch: &Batch) -> Vec<Disposition> {
    let messages = batch.messages.iter().enumerate().map(row).collect();
    match hear(&batch.database(), &Json(messages)) {
        Ok(_) => vec![Disposition::Done; batch.messages.len()],
        Err(error) => {
            log::warn!("not heard", error = format!("{error:?}"));
            std::process::abort()
        }
    }
}

fn row((place, message): (usize, &Message)) -> Value {
    let body: Value = message.json().unwrap_or_default();
    json!({"place": place, "queue": message.queue, "body": body})
}

hearth_plugin::consumer!(consume);

//! Letters: keeps each message of the queue `template-worker` once, however often it comes.

use std::time::Duration;

use hearth_plugin::consumer::{Batch, Disposition, Message};
use hearth_plugin::log;
use hearth_plugin::prelude::*;

// The statement becomes a function. The host checks it against the migrated tables when the
// plugin is deployed, so a typo fails the deploy and never a message.
sql! {
    /// Answers 1, and 0 where the letter is there already.
    pub write fn keep(id: &str, text: &str) -> u64 =
        "INSERT INTO letters (id, text) VALUES ($1, $2) ON CONFLICT DO NOTHING";
}

/// Answers for each message what shall become of it.
fn consume(batch: &Batch) -> Vec<Disposition> {
    let messages = batch.messages.iter();
    messages.map(|message| take(batch, message)).collect()
}

fn take(batch: &Batch, message: &Message) -> Disposition {
    let Some(text) = text(message) else {
        return Disposition::DeadLetter("the message body is not a JSON object with a text".into());
    };
    match keep(&batch.database(), &message.id, &text) {
        Ok(0) => Disposition::Done,
        Ok(_) => {
            log::info!("a letter came", text = text);
            Disposition::Done
        }
        Err(error) => {
            log::warn!("a letter waits", error = format!("{error:?}"));
            Disposition::RetryAfter(Duration::from_secs(1))
        }
    }
}

fn text(message: &Message) -> Option<String> {
    let body: Value = message.json()?;
    Some(body.get("text")?.as_str()?.to_owned())
}

hearth_plugin::consumer!(consume);

#[cfg(test)]
mod tests;

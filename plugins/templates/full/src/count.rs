//! Counts the words of notes: what the messages of the queue ask for.

use std::time::Duration;

use hearth_plugin::consumer::{Batch, Disposition, Message};
use hearth_plugin::log;
use hearth_plugin::prelude::*;

sql! {
    /// The same however often the message comes.
    pub write fn set_words(id: &str, words: i64) -> u64 =
        "UPDATE notes SET words = $2 WHERE id = $1";
}

/// Answers for each message what shall become of it.
pub fn consume(batch: &Batch) -> Vec<Disposition> {
    let messages = batch.messages.iter();
    messages.map(|message| take(batch, message)).collect()
}

fn take(batch: &Batch, message: &Message) -> Disposition {
    let Some(id) = note(message) else {
        return Disposition::DeadLetter("the body names no note".into());
    };
    match count(batch, &id) {
        Ok(()) => Disposition::Done,
        Err(error) => {
            log::warn!("a note waits", note = id, error = format!("{error:?}"));
            Disposition::RetryAfter(Duration::from_secs(1))
        }
    }
}

fn count(batch: &Batch, id: &str) -> Result<(), hearth_plugin::sql::Error> {
    let database = batch.database();
    if let Some(note) = crate::by_id(&database, id)? {
        set_words(&database, id, words(&note.text))?;
    }
    Ok(())
}

/// The note that a message names.
pub fn note(message: &Message) -> Option<String> {
    let body: Value = message.json()?;
    Some(body.get("note")?.as_str()?.to_owned())
}

pub fn words(text: &str) -> i64 {
    i64::try_from(text.split_whitespace().count()).unwrap_or(i64::MAX)
}

//! The words of a search. A ticket is found where its subject and description
//! together have all of them, in any case and order. Words are what Postgres's
//! parser takes for words (configuration `simple`), of a text that is searched for
//! as of the tickets.

use hearth_plugin::prelude::*;
use hearth_plugin::{FieldError, problem::Place};

use crate::sql::counts::words_of;

/// Different words of a search at most: each is looked up for each ticket that
/// the rarest is in.
const WORDS_MAX: usize = 8;

/// The different words of a text, the rarest first: the search walks along its
/// tickets. None where nothing is searched for; 400 where there is no word in the
/// text, or too many.
pub fn words(database: &Database, text: Option<&str>) -> Result<Vec<String>, Problem> {
    let Some(text) = text else {
        return Ok(Vec::new());
    };
    let words = words_of(database, text)?;
    match words.len() {
        0 => Err(refused("too_short", "there is no word in this")),
        1..=WORDS_MAX => Ok(words.into_iter().map(|word| word.word).collect()),
        _ => Err(refused("too_long", "this may have 8 different words")),
    }
}

fn refused(code: &'static str, detail: &str) -> Problem {
    Problem::invalid_query(vec![FieldError {
        place: Place::Parameter("q".into()),
        code,
        detail: detail.into(),
    }])
}

//! Full-text search. A ticket is found if its subject and description together have all
//! words of the search, in any case and order, with or without accents; a word also
//! finds words that begin with it. In scripts without spaces each part of the search
//! between two spaces is found anywhere in a sentence.
//!
//! Tickets are looked up by the rarest word (`sql/words.rs`), and each of those is
//! compared with the whole search by Postgres's `@@`. That operator is not leakproof,
//! so under row-level security no index answers it.

use hearth_plugin::prelude::*;

use crate::fold::{self, Run};
use crate::sql::terms::begun;

/// Different words of a search at most: the entries of each are counted before.
const WORDS_MAX: usize = 8;
/// Terms of a search at most by which tickets are looked up. A sentence has many, and
/// each by itself leads to all tickets that the search finds.
const RANGES_MAX: usize = 16;
/// What sorts behind every term that begins as a word does, and what sorts behind a term
/// and before every longer one.
const AFTER_BEGINNING: char = '\u{10ffff}';
const AFTER_TERM: char = '\u{1}';

/// A search.
#[derive(Debug)]
pub struct Search {
    /// As the text of a `tsquery`.
    pub query: String,
    /// The terms that it has to find, from one to before another.
    lows: Vec<String>,
    highs: Vec<String>,
}

impl Search {
    /// Reads the parameter `q`.
    pub fn read(query: &mut Query) -> Option<(String, Self)> {
        let text = query.text("q").length(1..=255);
        let text = text
            .check("too_short", "this contains no word", |text| {
                fold::runs(text).next().is_some()
            })
            .check(
                "too_long",
                "this may have at most 8 different words",
                |text| distinct(text).len() <= WORDS_MAX,
            )
            .optional()?;
        let search = Search::of(&text);
        Some((text, search))
    }

    fn of(text: &str) -> Self {
        let runs = distinct(text);
        let parts: Vec<String> = runs.iter().map(part).collect();
        let ranges = runs.iter().flat_map(ranges).take(RANGES_MAX);
        let (lows, highs) = ranges.unzip();
        Search {
            query: parts.join(" & "),
            lows,
            highs,
        }
    }

    /// The terms by which its tickets are found: of the rarest word.
    pub fn terms(&self, database: &Database) -> Result<Vec<String>, sql::Error> {
        let begun = begun(database, &self.lows, &self.highs)?;
        Ok(begun.into_iter().map(|begun| begun.term).collect())
    }
}

fn distinct(text: &str) -> Vec<Run> {
    let mut distinct = Vec::new();
    for run in fold::runs(text) {
        if !distinct.contains(&run) {
            distinct.push(run);
        }
    }
    distinct
}

/// A run as a part of a `tsquery`: what begins so, or each two neighbours in their order.
fn part(run: &Run) -> String {
    match run {
        Run::Word(word) => format!("'{word}':*"),
        Run::Sentence(letters) => match letters.as_slice() {
            [letter] => format!("'{letter}':*"),
            letters => {
                let pairs: Vec<String> = fold::pairs(letters).map(|pair| quoted(&pair)).collect();
                format!("({})", pairs.join(" <-> "))
            }
        },
    }
}

fn quoted(term: &str) -> String {
    format!("'{term}'")
}

/// The terms that a run has to find.
fn ranges(run: &Run) -> Vec<(String, String)> {
    let from = |low: String, behind: char| {
        let high = format!("{low}{behind}");
        (low, high)
    };
    match run {
        Run::Word(word) => vec![from(word.clone(), AFTER_BEGINNING)],
        Run::Sentence(letters) => match letters.as_slice() {
            [letter] => vec![from(letter.to_string(), AFTER_BEGINNING)],
            letters => fold::pairs(letters)
                .map(|pair| from(pair, AFTER_TERM))
                .collect(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_beginnings_and_sentences_are_whole() {
        let search = Search::of("Crème, PRINT creme");
        assert_eq!(search.query, "'creme':* & 'print':*");
        assert_eq!(search.lows, ["creme", "print"]);
        assert_eq!(search.highs, ["creme\u{10ffff}", "print\u{10ffff}"]);
        let search = Search::of("暗い所 所");
        assert_eq!(search.query, "('暗い' <-> 'い所') & '所':*");
        assert_eq!(search.highs[1], "い所\u{1}");
    }

    #[test]
    fn search_without_a_word_or_with_nine_is_400() {
        let read = |text: &str| {
            let mut query = Query::parse(&["q=", text].concat()).unwrap();
            let search = Search::read(&mut query);
            query.finish().map(|()| search)
        };
        for wrong in ["!!!", "a+b+c+d+e+f+g+h+i", "", "%CC%81"] {
            assert_eq!(read(wrong).unwrap_err().status(), 400, "{wrong}");
        }
        for right in [
            "a+b+c+d+e+f+g+h",
            "a+a+a+a+a+a+a+a+A",
            &"%E6%9A%97".repeat(255),
        ] {
            assert!(read(right).unwrap().is_some(), "{right}");
        }
    }
}

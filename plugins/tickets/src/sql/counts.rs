//! The statements of `GET /tickets/count`, one for each column that rows are
//! found by, and the one that looks at the words of a search.

use hearth_plugin::prelude::*;

row! {
    /// How many rows, counted no further than one past the bound.
    pub struct Count { count: i64 }

    /// A word of a search, and in how many tickets it is, counted to 5,000.
    pub struct Word { word: String, tickets: i64 }
}

sql! {
    /// The words of a text, the rarest first; one more than a search may have.
    pub read fn words_of(text: &str) -> Vec<Word> =
        "SELECT given.lexeme AS word, (SELECT count(*) FROM (SELECT 1 AS one FROM ticket_terms \
         WHERE term = given.lexeme LIMIT 5000) AS few) AS tickets \
         FROM unnest(to_tsvector('simple', $1)) AS given (lexeme, positions, weights) \
         ORDER BY 2, 1 LIMIT 9";
}

macro_rules! counts {
    ($($name:ident: $found_by:ident;)*) => {
        sql! {$(
            /// How many tickets these filters choose, counted to 10,001.
            pub read fn $name(
                status: Option<&str>,
                priority: Option<&str>,
                assignee: Option<&str>,
                tag: Option<&str>,
                words: &[String],
                updated_since: Timestamp,
            ) -> Count = concat!(
                "SELECT count(*) AS count FROM (SELECT 1 AS one FROM ",
                $crate::sql::lists::found_by!($found_by),
                " AND ($2::text IS NULL OR priority = $2) AND updated_at >= $6 \
                 LIMIT 10001) AS found",
            );
        )*}
    };
}

counts! {
    any: any;
    status: status;
    assignee: assignee;
    tag: tag;
    words: words;
}

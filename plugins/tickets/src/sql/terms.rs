//! The statements of search terms.
//!
//! Each term of a ticket's `search` is also a row of ticket_terms, to find tickets by
//! it: equality and order of text are leakproof, so an index answers them under
//! row-level security. Code that writes one must write the other.

use hearth_plugin::prelude::*;

use crate::sql::Described;

row! {
    /// A term of a ticket.
    pub struct Term { term: String }

    /// A ticket that is not folded yet.
    pub struct Unfolded { id: String, subject: String, description: String }
}

sql! {
    /// The terms in the rarest of some ranges, in order, at most 50: a search for words
    /// that begin with a letter finds the first 50 of such words. Entries are counted
    /// up to 5,000, and each next term is looked up after the one before, so the cost
    /// does not depend on the number of tickets.
    pub read fn begun(lows: &[String], highs: &[String]) -> Vec<Term> =
        "WITH RECURSIVE rarest AS (SELECT low, high FROM (SELECT low, high, \
         CASE WHEN cardinality($1::text[]) > 1 THEN (SELECT count(*) FROM (SELECT 1 AS one \
         FROM ticket_terms WHERE term >= low AND term < high LIMIT 5000) AS few) END AS entries \
         FROM unnest($1::text[], $2::text[]) AS given (low, high)) AS counted \
         ORDER BY entries LIMIT 1), \
         begun AS (SELECT first.term, high, 1 AS place FROM rarest CROSS JOIN LATERAL \
         (SELECT term FROM ticket_terms WHERE term >= low AND term < high \
         ORDER BY term LIMIT 1) AS first \
         UNION ALL SELECT next.term, high, place + 1 FROM begun CROSS JOIN LATERAL \
         (SELECT ticket_terms.term FROM ticket_terms WHERE ticket_terms.term > begun.term \
         AND ticket_terms.term < begun.high ORDER BY ticket_terms.term LIMIT 1) AS next \
         WHERE place < 50) SELECT term FROM begun";

    /// Removes the terms of a ticket whose text is about to change.
    pub write fn remove_terms(ticket_id: &str) -> u64 =
        "DELETE FROM ticket_terms WHERE ticket_id = $1 AND term = ANY (ARRAY( \
         SELECT words.lexeme FROM tickets CROSS JOIN LATERAL \
         unnest(tickets.search) AS words (lexeme, positions, weights) WHERE tickets.id = $1))";

    /// Writes what a ticket is found by from now on.
    pub write fn write_terms(ticket_id: &str, search: &str) -> u64 =
        "WITH folded AS (UPDATE tickets SET search = ($2::text)::tsvector, folded = true \
         WHERE id = $1 RETURNING id, search) \
         INSERT INTO ticket_terms (term, ticket_id) SELECT words.term, folded.id FROM folded \
         CROSS JOIN LATERAL unnest(tsvector_to_array(folded.search)) AS words (term) \
         ON CONFLICT DO NOTHING";

    pub read fn description_of(id: &str) -> Option<Described> =
        "SELECT id, description FROM tickets WHERE id = $1";

    /// The first tickets without terms that are not locked by others, locked. They are
    /// as many as one call can process if all have the maximum size.
    pub write fn lock_unfolded() -> Vec<Unfolded> =
        "SELECT id, subject, description FROM tickets WHERE NOT folded ORDER BY id LIMIT 10 \
         FOR UPDATE SKIP LOCKED";
}

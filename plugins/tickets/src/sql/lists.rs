//! The statements of `GET /tickets`: one for each column that rows are found by
//! and each order, so that each has an index that fits. All have the same
//! parameters; a filter that is not given is NULL.
//!
//! Postgres may plan a statement once for all its parameters. Then it cannot see
//! how few rows `LIMIT $9` wants, guesses a tenth of the table, and reads and
//! sorts every ticket of the customer: half a second for 200,000 of them, where
//! the index gives the page in a tenth of a millisecond. So the limit is a
//! constant, one more than the longest page; an offset, for which the same holds,
//! is only in statements of its own; and so is a search for words, whose cost
//! would make the one plan look cheap.

macro_rules! lists {
    ($first:literal, $offset:literal) => {
        $crate::sql::lists::statements! {
            $first, $offset;
            any_newest: any, "id < $8 AND $7::timestamptz IS NOT NULL", "id DESC";
            any_oldest: any, "id > $8 AND $7::timestamptz IS NOT NULL", "id";
            any_updated_last: any, "(updated_at, id) < ($7, $8)", "updated_at DESC, id DESC";
            any_updated_first: any, "(updated_at, id) > ($7, $8)", "updated_at, id";
            status_newest: status, "id < $8 AND $7::timestamptz IS NOT NULL", "id DESC";
            status_oldest: status, "id > $8 AND $7::timestamptz IS NOT NULL", "id";
            status_updated_last: status, "(updated_at, id) < ($7, $8)", "updated_at DESC, id DESC";
            status_updated_first: status, "(updated_at, id) > ($7, $8)", "updated_at, id";
            assignee_newest: assignee, "id < $8 AND $7::timestamptz IS NOT NULL", "id DESC";
            assignee_oldest: assignee, "id > $8 AND $7::timestamptz IS NOT NULL", "id";
            assignee_updated_last: assignee, "(updated_at, id) < ($7, $8)",
                "updated_at DESC, id DESC";
            assignee_updated_first: assignee, "(updated_at, id) > ($7, $8)", "updated_at, id";
            tag_newest: tag, "ticket_id < $8 AND $7::timestamptz IS NOT NULL", "ticket_id DESC";
            tag_oldest: tag, "ticket_id > $8 AND $7::timestamptz IS NOT NULL", "ticket_id";
            tag_updated_last: tag, "(updated_at, id) < ($7, $8)", "updated_at DESC, id DESC";
            tag_updated_first: tag, "(updated_at, id) > ($7, $8)", "updated_at, id";
            words_newest: words, "id < $8 AND $7::timestamptz IS NOT NULL", "id DESC";
            words_oldest: words, "id > $8 AND $7::timestamptz IS NOT NULL", "id";
            words_updated_last: words, "(updated_at, id) < ($7, $8)", "updated_at DESC, id DESC";
            words_updated_first: words, "(updated_at, id) > ($7, $8)", "updated_at, id";
        }
    };
}

macro_rules! statements {
    ($first:literal, $offset:literal;
     $($name:ident: $found_by:ident, $after:literal, $order:literal;)*) => {
        use hearth_plugin::prelude::*;

        use crate::ticket::Summary;

        sql! {$(
            /// One page of tickets, those after `after_time` (or `after_id`) in
            /// this order.
            pub read fn $name(
                status: Option<&str>,
                priority: Option<&str>,
                assignee: Option<&str>,
                tag: Option<&str>,
                words: Option<&str>,
                updated_since: Timestamp,
                after_time: Timestamp,
                after_id: &str,
                offset: i64,
            ) -> Vec<Summary> = concat!(
                "SELECT id, version, status, priority, type, subject, assignee, external_id, \
                 tags, custom_fields, created_at, updated_at, solved_at FROM ",
                $crate::sql::lists::found_by!($found_by),
                " AND ($2::text IS NULL OR priority = $2) AND updated_at >= $6 AND ",
                $after, " ", $first,
                " ORDER BY ", $order, " LIMIT 101", $offset,
            );
        )*}
    };
}

/// The tables, and the condition that an index answers; then the others.
macro_rules! found_by {
    (any) => {
        "tickets WHERE ($1::text IS NULL OR status = $1) \
         AND ($3::text IS NULL OR assignee = $3) AND ($4::text IS NULL OR $4 = ANY (tags)) \
         AND $5::text IS NULL"
    };
    (status) => {
        "tickets WHERE status = $1 AND ($3::text IS NULL OR assignee = $3) \
         AND ($4::text IS NULL OR $4 = ANY (tags)) AND $5::text IS NULL"
    };
    (assignee) => {
        "tickets WHERE assignee = $3 AND ($1::text IS NULL OR status = $1) \
         AND ($4::text IS NULL OR $4 = ANY (tags)) AND $5::text IS NULL"
    };
    (tag) => {
        "ticket_tags JOIN tickets ON tickets.id = ticket_tags.ticket_id WHERE tag = $4 \
         AND ($1::text IS NULL OR status = $1) AND ($3::text IS NULL OR assignee = $3) \
         AND $5::text IS NULL"
    };
    (words) => {
        "tickets WHERE search @@ websearch_to_tsquery('simple', $5) \
         AND ($1::text IS NULL OR status = $1) AND ($3::text IS NULL OR assignee = $3) \
         AND ($4::text IS NULL OR $4 = ANY (tags))"
    };
}

/// From a cursor onwards, or from the beginning.
pub mod by_cursor {
    super::lists! { "AND $9::int8 = 0", "" }
}

/// Pages by number, as the old functions had them.
pub mod by_page {
    super::lists! { "", " OFFSET $9" }
}

pub(crate) use {found_by, lists, statements};

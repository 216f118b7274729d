//! The statements of `GET /tickets`: one for each column that rows are found by
//! and each order, so that each has an index that fits.
//!
//! Postgres may plan a statement once for all its parameters, and each filter that may
//! be NULL makes it expect fewer rows: by itself it would read and sort every ticket of
//! the customer, half a second for 200,000 of them where the index gives the page in
//! a tenth of a millisecond. The host leaves it index scans alone, and of those the one
//! in the wanted order is the cheapest as long as no other condition has an index of
//! its own. So the filters are no more than can be given (`Filter::found_by` chooses
//! by the first that is), and offsets have statements of their own. A search walks
//! along the entries of its rarest word, in the order of the tickets, and looks each
//! of the others up. What is looked up for each row is a LATERAL with LIMIT 1: without
//! statistics, or with those of when the table was small, Postgres would rather join
//! with all of the customer's rows. All have the same parameters, so a statement names
//! those that it does not need in a condition that always holds, which is checked once
//! and which Postgres's estimates take for that.

macro_rules! lists {
    ($first:literal, $offset:literal) => {
        $crate::sql::lists::statements! {
            $first, $offset;
            any_newest: any, before_id, "id DESC";
            any_oldest: any, after_id, "id";
            any_updated_last: any, before_update, "updated_at DESC, id DESC";
            any_updated_first: any, after_update, "updated_at, id";
            status_newest: status, before_id, "id DESC";
            status_oldest: status, after_id, "id";
            status_updated_last: status, before_update, "updated_at DESC, id DESC";
            status_updated_first: status, after_update, "updated_at, id";
            assignee_newest: assignee, before_id, "id DESC";
            assignee_oldest: assignee, after_id, "id";
            assignee_updated_last: assignee, before_update, "updated_at DESC, id DESC";
            assignee_updated_first: assignee, after_update, "updated_at, id";
            tag_newest: tag, before_tagged, "ticket_id DESC";
            tag_oldest: tag, after_tagged, "ticket_id";
            tag_updated_last: tag, before_update, "updated_at DESC, id DESC";
            tag_updated_first: tag, after_update, "updated_at, id";
            words_newest: words, before_tagged, "ticket_terms.ticket_id DESC";
            words_oldest: words, after_tagged, "ticket_terms.ticket_id";
            words_updated_last: words, before_update, "updated_at DESC, id DESC";
            words_updated_first: words, after_update, "updated_at, id";
        }
    };
}

macro_rules! statements {
    ($first:literal, $offset:literal;
     $($name:ident: $found_by:ident, $after:ident, $order:literal;)*) => {
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
                words: &[String],
                updated_since: Timestamp,
                after_time: Timestamp,
                after_id: &str,
                offset: i64,
                limit: i64,
            ) -> Vec<Summary> = concat!(
                "SELECT id, version, status, priority, type, subject, assignee, external_id, \
                 tags, custom_fields, satisfaction, satisfaction_comment, merged_into, \
                 created_at, updated_at, solved_at FROM ",
                $crate::sql::lists::found_by!($found_by),
                " AND ($2::text IS NULL OR priority = $2) AND ",
                $crate::sql::lists::starting!($after), " ", $first,
                " ORDER BY ", $order, " LIMIT $10", $offset,
            );
        )*}
    };
}

/// The tables, the condition that an index answers, and the filters that may be
/// given beside it.
macro_rules! found_by {
    (any) => {
        "tickets WHERE coalesce($1::text, $3::text, $4::text, ($5::text[])[1], '') IS NOT NULL"
    };
    (status) => {
        "tickets WHERE status = $1 AND coalesce($3::text, $4::text, ($5::text[])[1], '') IS NOT NULL"
    };
    (tag) => {
        "ticket_tags CROSS JOIN LATERAL (SELECT id, version, status, priority, type, subject, assignee, external_id, tags, \
         custom_fields, satisfaction, satisfaction_comment, merged_into, created_at, updated_at, \
         solved_at FROM tickets \
         WHERE tickets.id = ticket_tags.ticket_id LIMIT 1) AS tickets WHERE tag = $4 \
         AND ($1::text IS NULL OR status = $1) AND coalesce($3::text, ($5::text[])[1], '') IS NOT NULL"
    };
    (assignee) => {
        "tickets WHERE assignee = $3 AND ($1::text IS NULL OR status = $1) \
         AND ($4::text IS NULL OR $4 = ANY (tags)) AND coalesce(($5::text[])[1], '') IS NOT NULL"
    };
    (words) => {
        "ticket_terms CROSS JOIN LATERAL (SELECT id, version, status, priority, type, subject, assignee, external_id, tags, \
         custom_fields, satisfaction, satisfaction_comment, merged_into, created_at, updated_at, \
         solved_at FROM tickets \
         WHERE tickets.id = ticket_terms.ticket_id LIMIT 1) AS tickets \
         WHERE ticket_terms.term = ($5::text[])[1] AND (cardinality($5::text[]) = 1 OR \
         (SELECT count(*) FROM unnest($5::text[]) AS wanted (word) CROSS JOIN LATERAL \
         (SELECT 1 AS one FROM ticket_terms AS other WHERE other.term = wanted.word \
         AND other.ticket_id = ticket_terms.ticket_id LIMIT 1) AS found) \
         = cardinality($5::text[])) \
         AND ($1::text IS NULL OR status = $1) AND ($3::text IS NULL OR assignee = $3) \
         AND ($4::text IS NULL OR $4 = ANY (tags))"
    };
}

/// Where a page starts, and since when its tickets were updated. By creation that is
/// said so that no index answers it: Postgres would go along that one and sort.
macro_rules! starting {
    (before_id) => {
        "id < $8 AND coalesce(updated_at, $6) >= $6 \
         AND coalesce($7::timestamptz, 'epoch') IS NOT NULL"
    };
    (after_id) => {
        "id > $8 AND coalesce(updated_at, $6) >= $6 \
         AND coalesce($7::timestamptz, 'epoch') IS NOT NULL"
    };
    (before_tagged) => {
        "ticket_id < $8 AND coalesce(updated_at, $6) >= $6 \
         AND coalesce($7::timestamptz, 'epoch') IS NOT NULL"
    };
    (after_tagged) => {
        "ticket_id > $8 AND coalesce(updated_at, $6) >= $6 \
         AND coalesce($7::timestamptz, 'epoch') IS NOT NULL"
    };
    (before_update) => {
        "updated_at >= $6 AND (updated_at, id) < ($7, $8)"
    };
    (after_update) => {
        "updated_at >= $6 AND (updated_at, id) > ($7, $8)"
    };
}

/// From a cursor onwards, or from the beginning.
pub mod by_cursor {
    super::lists! { "AND coalesce($9::int8, 0) IS NOT NULL", "" }
}

/// Pages by number, as the old functions had them.
pub mod by_page {
    super::lists! { "", " OFFSET $9" }
}

pub(crate) use {found_by, lists, starting, statements};

//! The statements of `GET /tickets`: one for each way to find rows and each order.
//!
//! Postgres may plan a statement once for all its parameters, without statistics or with
//! those of when the table was small. So a statement leaves it no choice but the index
//! that fits: the one condition that it can look up is that of the way, with where the
//! page starts. All filters stand beside it once more within `coalesce`, which no index
//! answers and which is taken for half of the rows whatever there is in it. What has
//! several stretches in an index (of statuses, of priorities, of terms) takes a page of
//! each, and what is looked up for each row is a LATERAL with LIMIT 1. For a page by its
//! number the rows of those before are read as well.
//!
//! All have the same parameters, so that all are called in one way:
//!
//! | | |
//! |---|---|
//! | $1, $2 | statuses, and priorities in their order; all where none are given |
//! | $3, $4, $15 | assignee, tag, type, or NULL |
//! | $5 | terms, or ids, by which tickets are found |
//! | $6, $17, $18 | updated since; created since, and until |
//! | $7, $8, $14 | where the page starts: a time, an id, an id for each priority |
//! | $9, $10, $13 | rows before the page, rows to its end, rows of it |
//! | $11 | the search as a `tsquery`, or NULL |
//! | $12 | the id at which an order of creation ends |
//! | $16 | whether tickets without an assignee alone |

use hearth_plugin::prelude::*;

row! {
    /// A ticket of a page, and its due time in the order of due times.
    pub struct ListedTicket {
        id: String,
        version: i64,
        status: String,
        priority: String,
        r#type: Option<String>,
        subject: String,
        assignee: Option<String>,
        external_id: Option<String>,
        requester: Option<Json>,
        tags: Vec<String>,
        custom_fields: Json,
        satisfaction: Option<String>,
        satisfaction_comment: Option<String>,
        merged_into: Option<String>,
        created_at: Timestamp,
        updated_at: Timestamp,
        solved_at: Option<Timestamp>,
        due_at: Option<Timestamp>,
    }

    /// How many rows, counted no further than was asked for.
    pub struct Count { count: i64 }
}

macro_rules! columns {
    () => {
        "id, version, status, priority, type, subject, assignee, external_id, requester, tags, \
         custom_fields, satisfaction, satisfaction_comment, merged_into, created_at, updated_at, \
         solved_at"
    };
}

/// Every filter. Those parameters that are no filter are named so that each statement
/// has them all.
macro_rules! filters {
    () => {
        "coalesce(status = ANY ($1) AND priority = ANY ($2) \
         AND ($3::text IS NULL OR assignee = $3) AND ($4::text IS NULL OR $4 = ANY (tags)) \
         AND ($15::text IS NULL OR type = $15) AND ($16::boolean IS NOT TRUE OR assignee IS NULL) \
         AND updated_at >= $6 AND created_at >= $17 AND created_at <= $18 \
         AND ($11::text IS NULL OR search @@ ($11::text)::tsquery) \
         AND num_nulls($5::text[], $7::timestamptz, $8::text, $10::int8, $12::text, \
         $14::text[]) = 0, false)"
    };
}

/// One stretch of an index on tickets.
macro_rules! along {
    ($found_by:expr, $start:expr, $order:expr) => {
        concat!(
            "(SELECT ",
            columns!(),
            ", NULL::timestamptz AS due_at FROM tickets WHERE ",
            $found_by,
            $start,
            " AND ",
            filters!(),
            " ORDER BY ",
            $order,
            " LIMIT $10) AS found"
        )
    };
}

/// The ticket with the id of an entry.
macro_rules! looked_up {
    ($id:expr) => {
        concat!(
            " CROSS JOIN LATERAL (SELECT ",
            columns!(),
            " FROM tickets WHERE tickets.id = ",
            $id,
            " AND ",
            filters!(),
            " LIMIT 1) AS tickets"
        )
    };
}

/// A stretch for each status and priority.
macro_rules! ranked {
    ($start:expr, $order:expr) => {
        concat!(
            "unnest($1::text[]) AS chosen (wanted_status) \
             CROSS JOIN unnest($2::text[], $14::text[]) WITH ORDINALITY \
             AS ranked (wanted_priority, start, place) CROSS JOIN LATERAL ",
            along!(
                "status = wanted_status AND priority = wanted_priority AND ",
                $start,
                $order
            )
        )
    };
}

/// The entries of a tag. Their end names the tag too, so that no other index has both
/// bounds.
macro_rules! tagged {
    ($start:expr, $order:expr) => {
        concat!(
            "(SELECT ",
            columns!(),
            ", NULL::timestamptz AS due_at FROM ticket_tags",
            looked_up!("ticket_tags.ticket_id"),
            " WHERE tag = $4 AND ",
            $start,
            " ORDER BY ",
            $order,
            " LIMIT $10) AS found"
        )
    };
}

/// The entries of each term.
macro_rules! worded {
    ($start:expr, $order:expr) => {
        concat!(
            "unnest($5::text[]) AS begun (wanted_term) CROSS JOIN LATERAL (SELECT ",
            columns!(),
            ", NULL::timestamptz AS due_at FROM ticket_terms",
            looked_up!("ticket_terms.ticket_id"),
            " WHERE ticket_terms.term = wanted_term AND ",
            $start,
            " ORDER BY ",
            $order,
            " LIMIT $10) AS found"
        )
    };
}

/// The entries of all due times.
macro_rules! due {
    ($start:expr, $order:expr) => {
        concat!(
            "(SELECT ",
            columns!(),
            ", due_at FROM ticket_clocks",
            looked_up!("ticket_clocks.ticket_id"),
            " WHERE ",
            $start,
            " ORDER BY ",
            $order,
            " LIMIT $10) AS found"
        )
    };
}

/// The due time of a given ticket.
macro_rules! clocks {
    () => {
        " CROSS JOIN LATERAL (SELECT due_at FROM ticket_clocks \
         WHERE ticket_clocks.ticket_id = given_id LIMIT 1) AS clocks"
    };
}

/// The tickets with these ids.
macro_rules! chosen {
    ($due_at:expr, $further:expr, $start:expr) => {
        concat!(
            "(SELECT ",
            columns!(),
            ", ",
            $due_at,
            " AS due_at FROM unnest($5::text[]) AS given (given_id)",
            looked_up!("given_id"),
            $further,
            ") AS found WHERE ",
            $start
        )
    };
}

/// Statements with all parameters of the table above.
macro_rules! filtered {
    ($(#[doc = $doc:literal] $name:ident -> $answer:ty = $text:expr;)*) => {
        sql! {$(
            #[doc = $doc]
            pub read fn $name(
                statuses: &[String],
                priorities: &[String],
                assignee: Option<&str>,
                tag: Option<&str>,
                found_by: &[String],
                updated_since: Timestamp,
                after_time: Timestamp,
                after_id: &str,
                offset: i64,
                reach: i64,
                search: Option<&str>,
                end_id: &str,
                limit: i64,
                starts: &[String],
                kind: Option<&str>,
                unassigned: bool,
                created_since: Timestamp,
                created_until: Timestamp,
            ) -> $answer = $text;
        )*}
    };
}

macro_rules! pages {
    ($($name:ident: $select:literal, $from:expr, $order:literal;)*) => {
        filtered! {$(
            /// A page of tickets.
            $name -> Vec<ListedTicket> = concat!(
                $select, columns!(), ", due_at FROM ", $from,
                " ORDER BY ", $order, " OFFSET $9 LIMIT $13",
            );
        )*}
    };
}

macro_rules! counts {
    ($($name:ident: $id:literal, $from:expr;)*) => {
        /// How many tickets there are, each found as in a page.
        pub mod count {
            use super::*;

            filtered! {$(
                /// How many tickets the filters choose.
                $name -> Count = concat!(
                    "SELECT count(*) AS count FROM (SELECT ", $id, " FROM ", $from,
                    " OFFSET $9 LIMIT $13) AS counted",
                );
            )*}
        }
    };
}

pages! {
    newest: "SELECT ", along!("", "id < $8 AND id > $12", "id DESC"), "id DESC";
    oldest: "SELECT ", along!("", "id > $8 AND id < $12", "id"), "id";
    ranked_newest: "SELECT ", ranked!("id < start AND id > $12", "id DESC"), "id DESC";
    ranked_oldest: "SELECT ", ranked!("id > start AND id < $12", "id"), "id";
    assignee_newest: "SELECT ", along!("assignee = $3 AND ", "id < $8 AND id > $12", "id DESC"), "id DESC";
    assignee_oldest: "SELECT ", along!("assignee = $3 AND ", "id > $8 AND id < $12", "id"), "id";
    unassigned_newest: "SELECT ", along!("assignee IS NULL AND ", "id < $8 AND id > $12", "id DESC"), "id DESC";
    unassigned_oldest: "SELECT ", along!("assignee IS NULL AND ", "id > $8 AND id < $12", "id"), "id";
    type_newest: "SELECT ", along!("type = $15 AND ", "id < $8 AND id > $12", "id DESC"), "id DESC";
    type_oldest: "SELECT ", along!("type = $15 AND ", "id > $8 AND id < $12", "id"), "id";
    tag_newest: "SELECT ", tagged!("ticket_id < $8 AND (tag, ticket_id) > ($4, $12)", "ticket_id DESC"), "id DESC";
    tag_oldest: "SELECT ", tagged!("ticket_id > $8 AND (tag, ticket_id) < ($4, $12)", "ticket_id"), "id";
    words_newest: "SELECT DISTINCT ON (id) ",
        worded!("ticket_id < $8 AND ticket_id > $12", "ticket_terms.ticket_id DESC"), "id DESC";
    words_oldest: "SELECT DISTINCT ON (id) ",
        worded!("ticket_id > $8 AND ticket_id < $12", "ticket_terms.ticket_id"), "id";

    updated_last: "SELECT ",
        along!("updated_at >= $6 AND ", "(updated_at, id) < ($7, $8)", "updated_at DESC, id DESC"),
        "updated_at DESC, id DESC";
    updated_first: "SELECT ",
        along!("updated_at >= $6 AND ", "(updated_at, id) > ($7, $8)", "updated_at, id"),
        "updated_at, id";
    status_updated_last: "SELECT ",
        concat!("unnest($1::text[]) AS chosen (wanted_status) CROSS JOIN LATERAL ",
            along!("status = wanted_status AND updated_at >= $6 AND ",
                "(updated_at, id) < ($7, $8)", "updated_at DESC, id DESC")),
        "updated_at DESC, id DESC";
    status_updated_first: "SELECT ",
        concat!("unnest($1::text[]) AS chosen (wanted_status) CROSS JOIN LATERAL ",
            along!("status = wanted_status AND updated_at >= $6 AND ",
                "(updated_at, id) > ($7, $8)", "updated_at, id")),
        "updated_at, id";

    by_priority: "SELECT ", ranked!("id < start AND id > $12", "id DESC"), "place, id DESC";
    due_first: "SELECT ",
        due!("(due_at, ticket_id) > ($7, $8)", "due_at, ticket_id"), "due_at, id";
    due_last: "SELECT ",
        due!("(due_at, ticket_id) < ($7, $8)", "due_at DESC, ticket_id DESC"),
        "due_at DESC, id DESC";

    chosen_newest: "SELECT ", chosen!("NULL::timestamptz", "", "id < $8 AND id > $12"), "id DESC";
    chosen_oldest: "SELECT ", chosen!("NULL::timestamptz", "", "id > $8 AND id < $12"), "id";
    chosen_updated_last: "SELECT ",
        chosen!("NULL::timestamptz", "", "(updated_at, id) < ($7, $8)"),
        "updated_at DESC, id DESC";
    chosen_updated_first: "SELECT ",
        chosen!("NULL::timestamptz", "", "(updated_at, id) > ($7, $8)"), "updated_at, id";
    chosen_by_priority: "SELECT ",
        chosen!("NULL::timestamptz", "", "id < ($14::text[])[array_position($2::text[], priority)]"),
        "array_position($2::text[], priority), id DESC";
    chosen_due_first: "SELECT ",
        chosen!("clocks.due_at", clocks!(), "(due_at, id) > ($7, $8)"),
        "due_at, id";
    chosen_due_last: "SELECT ",
        chosen!("clocks.due_at", clocks!(), "(due_at, id) < ($7, $8)"),
        "due_at DESC, id DESC";
}

counts! {
    any: "id", along!("", "id > $8 AND id < $12", "id");
    ranked: "id", ranked!("id > start AND id < $12", "id");
    assignee: "id", along!("assignee = $3 AND ", "id > $8 AND id < $12", "id");
    unassigned: "id", along!("assignee IS NULL AND ", "id > $8 AND id < $12", "id");
    of_type: "id", along!("type = $15 AND ", "id > $8 AND id < $12", "id");
    tag: "id", tagged!("ticket_id > $8 AND (tag, ticket_id) < ($4, $12)", "ticket_id");
    words: "DISTINCT id", worded!("ticket_id > $8 AND ticket_id < $12", "ticket_terms.ticket_id");
    chosen: "id", chosen!("NULL::timestamptz", "", "id > $8 AND id < $12");
}

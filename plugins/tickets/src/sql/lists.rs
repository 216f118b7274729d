//! The statements of `GET /tickets`: one for each column that rows are found by
//! and each order, so that each has an index that fits. A filter that is not
//! given is NULL. What was found about them is written beside the indexes, in
//! migrations/0001_tickets.sql.

use hearth_plugin::prelude::*;

use crate::ticket::Summary;

macro_rules! lists {
    ($($name:ident: $from:expr, $found_by:expr, $after:expr, $order:literal;)*) => {
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
                limit: i64,
                offset: i64,
            ) -> Vec<Summary> = concat!(
                "SELECT id, version, status, priority, type, subject, assignee, external_id, \
                 tags, custom_fields, created_at, updated_at, solved_at FROM ", $from,
                " WHERE ", $found_by,
                " AND ($2::text IS NULL OR priority = $2)",
                " AND ($5::text IS NULL OR search @@ websearch_to_tsquery('simple', $5))",
                " AND updated_at >= $6 AND ", $after,
                " ORDER BY ", $order, " LIMIT $9 OFFSET $10",
            );
        )*}
    };
}

macro_rules! any {
    () => {
        "($1::text IS NULL OR status = $1) AND ($3::text IS NULL OR assignee = $3) \
         AND ($4::text IS NULL OR $4 = ANY (tags))"
    };
}
macro_rules! by_status {
    () => {
        "status = $1 AND ($3::text IS NULL OR assignee = $3) \
         AND ($4::text IS NULL OR $4 = ANY (tags))"
    };
}
macro_rules! by_assignee {
    () => {
        "assignee = $3 AND ($1::text IS NULL OR status = $1) \
         AND ($4::text IS NULL OR $4 = ANY (tags))"
    };
}
macro_rules! by_tag {
    () => {
        "tag = $4 AND ($1::text IS NULL OR status = $1) \
         AND ($3::text IS NULL OR assignee = $3)"
    };
}

macro_rules! tagged {
    () => {
        "ticket_tags JOIN tickets ON tickets.id = ticket_tags.ticket_id"
    };
}

// All have the same parameters; those in the order of creation say of the time,
// which they do not need, that it is there.
macro_rules! before_id {
    () => {
        "id < $8 AND $7::timestamptz IS NOT NULL"
    };
}
macro_rules! after_id {
    () => {
        "id > $8 AND $7::timestamptz IS NOT NULL"
    };
}
macro_rules! before_update {
    () => {
        "(updated_at, id) < ($7, $8)"
    };
}
macro_rules! after_update {
    () => {
        "(updated_at, id) > ($7, $8)"
    };
}

lists! {
    any_newest: "tickets", any!(), before_id!(), "id DESC";
    any_oldest: "tickets", any!(), after_id!(), "id";
    any_updated_last: "tickets", any!(), before_update!(), "updated_at DESC, id DESC";
    any_updated_first: "tickets", any!(), after_update!(), "updated_at, id";
    status_newest: "tickets", by_status!(), before_id!(), "id DESC";
    status_oldest: "tickets", by_status!(), after_id!(), "id";
    status_updated_last: "tickets", by_status!(), before_update!(), "updated_at DESC, id DESC";
    status_updated_first: "tickets", by_status!(), after_update!(), "updated_at, id";
    assignee_newest: "tickets", by_assignee!(), before_id!(), "id DESC";
    assignee_oldest: "tickets", by_assignee!(), after_id!(), "id";
    assignee_updated_last: "tickets", by_assignee!(), before_update!(), "updated_at DESC, id DESC";
    assignee_updated_first: "tickets", by_assignee!(), after_update!(), "updated_at, id";
    tag_newest: tagged!(), by_tag!(), before_id!(), "id DESC";
    tag_oldest: tagged!(), by_tag!(), after_id!(), "id";
    tag_updated_last: tagged!(), by_tag!(), before_update!(), "updated_at DESC, id DESC";
    tag_updated_first: tagged!(), by_tag!(), after_update!(), "updated_at, id";
}

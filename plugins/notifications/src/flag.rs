//! Flags of notifications: seen, read, archived, snoozed, deleted. Each flag is a
//! separate item beside the notification, which never changes.

use hearth_plugin::documents::{Item, Key};
use hearth_plugin::prelude::*;
use serde::{Deserialize, Serialize};

use crate::inbox::Inbox;

/// What a client says of one notification or of all: three things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Archived,
    Read,
    Seen,
}

impl Kind {
    pub const ALL: [Kind; 3] = [Kind::Archived, Kind::Read, Kind::Seen];

    /// Whether there is a list of those that are so: whoever lists them by it.
    pub const fn is_listed(self) -> bool {
        matches!(self, Kind::Archived | Kind::Read)
    }

    /// As the flag's sort key ends, and as clients name it.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Archived => "archived",
            Kind::Read => "read",
            Kind::Seen => "seen",
        }
    }
}

/// The end of the sort key of what hides a notification until its time.
pub const SNOOZED: &str = "snoozed";
/// The end of the sort key of what stays of one that was deleted, for as long as it
/// would have lived: it does not come back when it is sent again.
pub const DELETED: &str = "deleted";

/// Whether it is so, and since when, in microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flag {
    pub on: bool,
    pub at: i64,
}

/// Until when it is hidden, in microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snooze {
    pub until: i64,
}

/// The key of the notification itself.
pub fn own_key(inbox: &Inbox, id: &str) -> Key {
    Key {
        partition: inbox.partition(),
        sort: id.into(),
    }
}

/// The key of what belongs to a notification.
pub fn key(inbox: &Inbox, id: &str, end: &str) -> Key {
    Key {
        partition: inbox.partition(),
        sort: [id, "/", end].concat(),
    }
}

/// What belongs to a notification, as an item that goes when the notification goes.
pub fn item(
    inbox: &Inbox,
    id: &str,
    end: &str,
    value: &impl Serialize,
    expires_at: Option<Timestamp>,
) -> Item {
    let Key { partition, sort } = key(inbox, id, end);
    Item {
        partition,
        sort,
        attributes: serde_json::to_value(value).unwrap_or_default(),
        expires_at,
    }
}

/// The key of what says in a list that a notification may be so.
pub fn listed_key(inbox: &Inbox, list: &str, id: &str) -> Key {
    Key {
        partition: inbox.partition(),
        sort: [list, "/", id].concat(),
    }
}

/// The item of that key. It is written before the flag: so the list lacks none that is
/// so, though it may have one that no longer is.
pub fn listed(inbox: &Inbox, list: &str, id: &str, expires_at: Option<Timestamp>) -> Item {
    let Key { partition, sort } = listed_key(inbox, list, id);
    Item {
        partition,
        sort,
        attributes: json!({}),
        expires_at,
    }
}

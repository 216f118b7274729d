//! From a path to the plugin that is mounted there.

use std::sync::Arc;

use crate::plugin::slot::Slot;

/// The mounts, longest first, so that `/a/b` wins over `/a`.
pub struct Router {
    mounts: Vec<(Arc<str>, Slot)>,
}

impl Router {
    pub fn new(mut mounts: Vec<(Arc<str>, Slot)>) -> Router {
        mounts.sort_by_key(|(mount, _)| std::cmp::Reverse(mount.len()));
        Router { mounts }
    }

    /// The slot whose mount is the path or a whole-segment beginning of it.
    pub fn find(&self, path: &str) -> Option<&Slot> {
        let under = |mount: &str| {
            path.strip_prefix(mount)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.mounts
            .iter()
            .find(|(mount, _)| under(mount))
            .map(|(_, slot)| slot)
    }

    pub fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.mounts.iter().map(|(_, slot)| slot)
    }
}

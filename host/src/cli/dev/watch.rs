//! Notices that something of a plugin's folder was saved.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

/// An editor saves in several steps, and several files after one another.
const QUIET: Duration = Duration::from_millis(100);
/// What the build itself writes.
const BUILT: [&str; 2] = ["target", "Cargo.lock"];

pub(super) struct Watch {
    dir: PathBuf,
    watcher: RecommendedWatcher,
    /// Folders in it that are watched with all that is in them.
    folders: BTreeSet<PathBuf>,
    /// Holds one: a change that comes while there is one says nothing new.
    changes: mpsc::Receiver<()>,
}

impl Watch {
    /// Watches the folder without what is built in it, which would be many folders.
    pub(super) fn open(dir: &Path) -> notify::Result<Watch> {
        let dir = fs::canonicalize(dir)?;
        let (change, changes) = mpsc::channel(1);
        let root = dir.clone();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.is_ok_and(|event| is_change(&root, &event)) {
                let _ = change.try_send(());
            }
        })?;
        watcher.watch(&dir, RecursiveMode::NonRecursive)?;
        let mut watch = Watch {
            dir,
            watcher,
            folders: BTreeSet::new(),
            changes,
        };
        watch.watch_folders();
        Ok(watch)
    }

    /// Waits for the next change. `None` where nothing watches any more.
    pub(super) async fn changed(&mut self) -> Option<()> {
        self.changes.recv().await?;
        tokio::time::sleep(QUIET).await;
        self.watch_folders();
        // Before the build reads anything: what comes from now on makes another one.
        let _ = self.changes.try_recv();
        Some(())
    }

    /// Those that are new, too. One that was removed is no longer watched, whatever has
    /// its name later.
    fn watch_folders(&mut self) {
        let found: BTreeSet<PathBuf> = folders(&self.dir).collect();
        for folder in found.difference(&self.folders) {
            // One that cannot be read is none of the plugin's, or the build will say so.
            let _ = self.watcher.watch(folder, RecursiveMode::Recursive);
        }
        self.folders = found;
    }
}

fn folders(dir: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let own = entries.filter(|entry| !is_passed_over(Path::new(&entry.file_name())));
    own.map(|entry| entry.path()).filter(|path| path.is_dir())
}

/// Whether the event changed what a build reads. Reading is an event, too.
fn is_change(root: &Path, event: &Event) -> bool {
    let own = |path: &PathBuf| {
        let inside = path.strip_prefix(root).unwrap_or(path);
        !inside.as_os_str().is_empty() && !is_passed_over(inside)
    };
    !event.kind.is_access() && event.paths.iter().any(own)
}

/// What is built, and what is hidden or an editor's own.
fn is_passed_over(inside: &Path) -> bool {
    let mut names = inside.iter().map(|name| name.to_string_lossy());
    let is_built = names
        .clone()
        .next()
        .is_some_and(|first| BUILT.contains(&&*first));
    is_built || names.any(|name| name.starts_with(['.', '#']) || name.ends_with('~'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_hidden_or_an_editors_own_is_passed_over() {
        for name in [
            "target/notes.wasm",
            "Cargo.lock",
            ".hearth/postgres",
            "src/.lib.rs.swp",
            "src/lib.rs~",
            "src/#lib.rs#",
        ] {
            assert!(is_passed_over(Path::new(name)), "{name}");
        }
        for name in [
            "src/lib.rs",
            "src/target.rs",
            "plugin.toml",
            "migrations/0001_a.sql",
        ] {
            assert!(!is_passed_over(Path::new(name)), "{name}");
        }
    }
}

//! As whom Postgres runs. It refuses to run as root, and hosts often are root:
//! in containers. Then it gets a user namespace of its own, in which root
//! outside is another user inside; where that is off, it runs as another user
//! and its files are given to that user.
//!
//! It refuses to run as a user without a name as well, which is what OpenShift gives
//! to containers. The namespace helps there too, where it may be had.

use std::io;
use std::mem::MaybeUninit;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::fs::{Mode, OFlags};
use rustix::process::{Signal, set_parent_process_death_signal};
use rustix::thread::UnshareFlags;

use super::StartError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Identity {
    /// We are not root: as ourselves.
    Same,
    /// Ourselves outside, this user inside.
    Namespace { uid: u32, gid: u32 },
    /// This user.
    User { uid: u32, gid: u32 },
}

/// What the programs get of the host's environment: how to find their libraries, and the
/// shell by which initdb starts the server.
const ENVIRONMENT: [&str; 2] = ["PATH", "LD_LIBRARY_PATH"];

/// What the system may say of one user.
const PASSWD_BYTES_MAX: usize = 4 << 10;

/// Users to be instead of root, if they exist. initdb looks the name up.
const SERVANTS: [&str; 2] = ["postgres", "nobody"];
const NO_SERVANT: &str = "the users postgres and nobody do not exist";

impl Identity {
    /// Tries each way with a harmless run of `postgres --version`.
    pub(super) fn choose(postgres: &Path) -> Result<Identity, StartError> {
        let own = rustix::process::geteuid();
        if !own.is_root() {
            return match has_name(own.as_raw()) {
                true => Ok(Identity::Same),
                false => Identity::named(own.as_raw(), postgres),
            };
        }
        let mut last = String::new();
        for identity in Identity::ways()? {
            match identity.try_run(postgres) {
                Ok(()) => return Ok(identity),
                Err(error) => last = error.to_string(),
            }
        }
        Err(StartError::Root(last))
    }

    /// For a user without a name.
    fn named(own: u32, postgres: &Path) -> Result<Identity, StartError> {
        let nameless = |reason: String| StartError::Nameless { uid: own, reason };
        let (uid, gid) = servant().ok_or_else(|| nameless(NO_SERVANT.to_owned()))?;
        let identity = Identity::Namespace { uid, gid };
        match identity.try_run(postgres) {
            Ok(()) => Ok(identity),
            Err(error) => Err(nameless(error.to_string())),
        }
    }

    /// What root can try, the better one first: a namespace changes no owner.
    pub(super) fn ways() -> Result<Vec<Identity>, StartError> {
        let (uid, gid) = servant().ok_or_else(|| StartError::Root(NO_SERVANT.to_owned()))?;
        Ok(vec![
            Identity::Namespace { uid, gid },
            Identity::User { uid, gid },
        ])
    }

    fn try_run(self, postgres: &Path) -> io::Result<()> {
        let mut command = self.command(postgres);
        let status = command.arg("--version").stdout(Stdio::null()).status()?;
        match status.success() {
            true => Ok(()),
            false => Err(io::Error::other(format!("postgres --version: {status}"))),
        }
    }

    /// A command that runs as this identity, in an environment of its own, deaf to the terminal's Ctrl-C and
    /// interrupted when the calling thread dies.
    pub(super) fn command(self, program: &Path) -> Command {
        let mut command = Command::new(program);
        // The host's environment holds secrets: URLs with passwords, keys of clouds.
        command.env_clear();
        let kept = ENVIRONMENT.iter();
        command.envs(kept.filter_map(|name| Some((name, std::env::var_os(name)?))));
        command
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .process_group(0);
        if let Identity::User { uid, gid } = self {
            command.uid(uid).gid(gid);
        }
        let maps = Maps::of(self);
        let parent = rustix::process::getpid();
        // SAFETY: between fork and exec only system calls are made: nothing is
        // allocated and no lock is taken.
        unsafe {
            command.pre_exec(move || {
                if let Some(maps) = &maps {
                    maps.enter()?;
                }
                // Last, for a change of user clears it.
                set_parent_process_death_signal(Some(Signal::INT))?;
                match rustix::process::getppid() {
                    Some(now) if now == parent => Ok(()),
                    _ => Err(io::Error::from_raw_os_error(libc::ESRCH)),
                }
            });
        }
        command
    }

    /// Another user must be able to walk through the cluster's own folder and the
    /// data folder around it, and nobody beside that user. Who may open what lies in
    /// them is each part's own matter.
    pub(super) fn let_through(self, folder: &Path) -> io::Result<()> {
        let Identity::User { gid, .. } = self else {
            return Ok(());
        };
        for folder in [Some(folder), folder.parent()].into_iter().flatten() {
            let metadata = std::fs::metadata(folder)?;
            // Where everybody may walk through, the folder is not one of ours.
            if metadata.uid() == 0 && metadata.mode() & 0o001 == 0 {
                std::os::unix::fs::chown(folder, None, Some(gid))?;
                std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o710))?;
            }
        }
        Ok(())
    }

    /// Gives a folder and what is in it to the user that Postgres runs as.
    pub(super) fn give_to_postgres(self, folder: &Path) -> io::Result<()> {
        let (uid, gid) = match self {
            Identity::Same => return Ok(()),
            // As which a namespace's user is known outside.
            Identity::Namespace { .. } => (
                rustix::process::geteuid().as_raw(),
                rustix::process::getegid().as_raw(),
            ),
            Identity::User { uid, gid } => (uid, gid),
        };
        give(folder, uid, gid)
    }
}

/// The namespace's files, written out before the fork.
struct Maps {
    uid: String,
    gid: String,
}

impl Maps {
    fn of(identity: Identity) -> Option<Maps> {
        let Identity::Namespace { uid, gid } = identity else {
            return None;
        };
        let outside = (rustix::process::geteuid(), rustix::process::getegid());
        Some(Maps {
            uid: format!("{uid} {} 1", outside.0.as_raw()),
            gid: format!("{gid} {} 1", outside.1.as_raw()),
        })
    }

    fn enter(&self) -> io::Result<()> {
        // SAFETY: the child has one thread and shares no file table that a new
        // user namespace would touch.
        unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWUSER)? };
        write(c"/proc/self/setgroups", b"deny")?;
        write(c"/proc/self/uid_map", self.uid.as_bytes())?;
        write(c"/proc/self/gid_map", self.gid.as_bytes())
    }
}

fn write(path: &std::ffi::CStr, text: &[u8]) -> io::Result<()> {
    let file = rustix::fs::open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(&file, text)?;
    Ok(())
}

/// Whether this is a user that Postgres may run as instead of root.
pub(super) fn is_servant(uid: u32) -> bool {
    servant().is_some_and(|(servant, _)| servant == uid)
}

/// Whether the system knows the user by a name, from wherever: initdb asks it. Where it
/// cannot say, Postgres will.
fn has_name(uid: u32) -> bool {
    let mut entry = MaybeUninit::<libc::passwd>::uninit();
    let mut text = [0; PASSWD_BYTES_MAX];
    let mut found = std::ptr::null_mut();
    // SAFETY: every pointer is to a place of its own that outlives the call, and the length
    // is the buffer's.
    let failed = unsafe {
        libc::getpwuid_r(
            uid,
            entry.as_mut_ptr(),
            text.as_mut_ptr(),
            text.len(),
            &mut found,
        )
    };
    failed != 0 || !found.is_null()
}

fn servant() -> Option<(u32, u32)> {
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    SERVANTS.iter().find_map(|name| find_user(&users, name))
}

/// Lines of passwd(5): name, password, user, group, and more.
fn find_user(users: &str, name: &str) -> Option<(u32, u32)> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let found = fields.next()? == name;
        let uid: u32 = fields.nth(1)?.parse().ok()?;
        let gid: u32 = fields.next()?.parse().ok()?;
        (found && uid != 0).then_some((uid, gid))
    })
}

/// Skips what already belongs to the user, so a usual start walks nothing.
fn give(path: &Path, uid: u32, gid: u32) -> io::Result<()> {
    let metadata = std::fs::symlink_metadata(path)?;
    if metadata.uid() == uid {
        return Ok(());
    }
    if metadata.is_dir() {
        for entry in std::fs::read_dir(path)? {
            give(&entry?.path(), uid, gid)?;
        }
    }
    // Last, so that a walk that was broken off is taken up again.
    std::os::unix::fs::lchown(path, Some(uid), Some(gid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_without_an_entry_has_no_name() {
        assert!(has_name(0));
        assert!(!has_name(1_000_660_123));
    }

    #[test]
    fn a_user_is_found_by_its_whole_name_and_never_root() {
        let users = "postgresql:x:1:1::/:\nroot:x:0:0::/:\npostgres:x:105:112::/:/bin/sh\n";
        assert_eq!(find_user(users, "postgres"), Some((105, 112)));
        assert_eq!(find_user(users, "root"), None);
        assert_eq!(find_user("broken\n", "postgres"), None);
    }
}

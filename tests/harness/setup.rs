//! What a host is started with: its configuration, its arguments, its folder.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use hearth::plugin::package::Package;

use super::host::{Host, binary, guest, plugin};
use super::{compiled, template};

/// All that the tickets plugin asks for.
pub const TICKETS_GRANTS: [&str; 9] = [
    "sql",
    "cache",
    "log",
    "metrics",
    "config",
    "queue:notification-events",
    "queue:ticket-clocks",
    "queue:webhook-events",
    "consume:ticket-clocks",
];

/// All that the notifications plugin asks for.
pub const NOTIFICATIONS_GRANTS: [&str; 10] = [
    "documents",
    "push",
    "cache",
    "log",
    "metrics",
    "config",
    "queue:notification-digests",
    "queue:webhook-events",
    "consume:notification-digests",
    "consume:notification-events",
];

/// All that the guest `teller` asks for.
pub const TELLER_GRANTS: [&str; 2] = ["queue:webhook-events", "queue:notification-events"];

/// What a host is started with.
pub struct Setup {
    config: String,
    args: Vec<String>,
    /// A root secret of its own; else it has the one that all tests share.
    secret: Option<String>,
    environment: Vec<(String, String)>,
    plugins: Vec<PathBuf>,
    /// Whether it begins with an empty folder.
    bare: bool,
}

impl Setup {
    pub fn new() -> Setup {
        Setup {
            config: String::new(),
            args: Vec::new(),
            secret: None,
            environment: Vec::new(),
            plugins: Vec::new(),
            bare: false,
        }
    }

    /// A plugin with its grants, and whatever else its section shall say.
    pub fn plugin(mut self, name: &str, file: &Path, grants: &[&str], more: &str) -> Setup {
        self.plugins.push(file.into());
        let grants: Vec<String> = grants.iter().map(|grant| format!("{grant:?}")).collect();
        self.config(&format!(
            "[plugins.{name}]\nfile = {:?}\ngrants = [{}]\n{more}\n",
            file.display().to_string(),
            grants.join(", ")
        ))
    }

    /// A guest of tests/guests, which may read whole tables.
    pub fn guest(self, name: &str, grants: &[&str], more: &str) -> Setup {
        let file = guest(name);
        let package = Package::read(std::fs::read(&file).unwrap()).unwrap();
        let statements = package.statements.iter();
        let scans: Vec<String> = statements.map(|statement| statement.approval()).collect();
        let more = format!("sql_scans = {scans:?}\n{more}");
        self.plugin(name, &file, grants, &more)
    }

    /// The tickets plugin with its grants. It tells nobody of its tickets.
    pub fn tickets(self) -> Setup {
        self.plugin("tickets", &plugin("tickets"), &TICKETS_GRANTS, "")
    }

    /// The tickets plugin, which tells these queues what happens to its tickets.
    pub fn tickets_telling(self, queues: &str) -> Setup {
        let more = format!("[plugins.tickets.config]\nevents = {queues:?}");
        self.plugin("tickets", &plugin("tickets"), &TICKETS_GRANTS, &more)
    }

    /// The notifications plugin as it is deployed.
    pub fn notifications(self) -> Setup {
        let file = plugin("notifications");
        self.plugin("notifications", &file, &NOTIFICATIONS_GRANTS, "")
    }

    /// The forecasting plugin as it is deployed.
    pub fn forecasting(self) -> Setup {
        self.plugin(
            "forecasting",
            &plugin("forecasting"),
            &[
                "sql",
                "cache",
                "log",
                "metrics",
                "queue:webhook-events",
                "queue:notification-events",
            ],
            "",
        )
    }

    pub fn config(mut self, text: &str) -> Setup {
        self.config.push_str(text);
        self.config.push('\n');
        self
    }

    pub fn arg(mut self, arg: &str) -> Setup {
        self.args.push(arg.into());
        self
    }

    /// A variable of its environment.
    pub fn env(mut self, name: &str, value: &str) -> Setup {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// It makes everything itself: its cluster, its root secret, and what its plugins
    /// compile to.
    pub fn bare(mut self) -> Setup {
        self.bare = true;
        self
    }

    /// A root secret that other tests do not have.
    pub fn secret(mut self, text: &str) -> Setup {
        self.secret = Some(text.into());
        self
    }

    pub fn start(self) -> Host {
        Host::start(self)
    }

    /// Runs `hearth serve` where it is expected to refuse.
    pub fn refused(self) -> Output {
        let dir = tempfile::tempdir().unwrap();
        let mut command = self.command(dir.path());
        command.output().unwrap()
    }

    /// What it has before its first start, so that not every test waits for initdb and
    /// for a compiler.
    pub(super) fn furnish(&self, dir: &Path) {
        let data = dir.join("data");
        if !self.bare && !self.config.contains("[database]") {
            template::furnish(&data.join("postgres"));
        }
        if self.shares() {
            write_secret(&data, compiled::SECRET);
            compiled::fetch(&data, &self.plugins);
        }
    }

    /// Leaves the same to the next one.
    pub(super) fn keep(&self, dir: &Path) {
        if self.shares() {
            compiled::keep(&dir.join("data"));
        }
    }

    fn shares(&self) -> bool {
        !self.bare && self.secret.is_none()
    }

    /// How long lines may come after the one that says where it listens: those of a
    /// demo do.
    pub(super) fn last_lines(&self) -> Duration {
        let demo = self.args.iter().any(|arg| arg == "--demo");
        Duration::from_millis(if demo { 200 } else { 0 })
    }

    pub(super) fn command(&self, dir: &Path) -> Command {
        let file = dir.join("hearth.toml");
        std::fs::write(&file, &self.config).unwrap();
        if let Some(secret) = &self.secret {
            write_secret(&dir.join("data"), secret);
        }
        let mut command = hearth(dir);
        command
            .arg("serve")
            .arg("--config")
            .arg(&file)
            .args(&self.args)
            .envs(self.environment.iter().cloned());
        command
    }
}

fn write_secret(dir: &Path, text: &str) {
    let file = dir.join("secret");
    std::fs::create_dir_all(dir).unwrap();
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
}

/// The binary with an environment of its own: ports of the system's choice, and
/// nothing of whoever runs the tests.
pub(super) fn hearth(dir: &Path) -> Command {
    let mut command = Command::new(binary());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HEARTH_")) {
        if name != "HEARTH_POSTGRES_BIN" {
            command.env_remove(name);
        }
    }
    command
        .current_dir(dir)
        .env("HEARTH_DATA_DIR", dir.join("data"))
        .env("HEARTH_LISTEN", "127.0.0.1:0")
        .env("HEARTH_ADMIN_LISTEN", "127.0.0.1:0")
        .stdin(Stdio::null());
    command
}

//! A real Postgres for one test: the embedded cluster in a folder of its own.

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hearth::backend::postgres::{Config, Embedded, Server};
use hearth::embedded;
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

use super::host::signal_process;
use super::template;

/// An embedded cluster that ends, folder and all, with the test.
pub struct Cluster {
    cluster: Option<embedded::postgres::Cluster>,
    /// The folder of its programs, where they are not the machine's own.
    binaries: Option<PathBuf>,
    bounds: Embedded,
    pub folder: TempDir,
}

impl Cluster {
    pub async fn start() -> Cluster {
        Cluster::start_within(Embedded::default()).await
    }

    /// One whose processes may take that much.
    pub async fn start_within(bounds: Embedded) -> Cluster {
        let cluster = Cluster::nowhere(named(), bounds);
        template::furnish(&cluster.dir());
        cluster.started().await
    }

    /// One of a version that `tests/tools/postgres` fetches: 14, 16, 17 or 18.
    pub async fn of_version(major: u32) -> Cluster {
        let binaries = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join(format!("../.toolchain/postgres-versions/{major}/bin"));
        assert!(
            binaries.join("postgres").is_file(),
            "Postgres {major} is missing: run `make test`, or `make tools` for it alone"
        );
        Cluster::nowhere(Some(binaries), Embedded::default())
            .started()
            .await
    }

    fn nowhere(binaries: Option<PathBuf>, bounds: Embedded) -> Cluster {
        Cluster {
            cluster: None,
            binaries,
            bounds,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    async fn started(mut self) -> Cluster {
        self.resume().await;
        self
    }

    /// Starts it again after [`Cluster::pause`].
    pub async fn resume(&mut self) {
        let (binaries, dir) = (self.binaries.clone(), self.dir());
        let bounds = self.bounds.clone();
        let started = embedded::postgres::Cluster::start_within(binaries, &dir, bounds).await;
        self.cluster = Some(started.unwrap());
    }

    /// Stops the server and keeps its data.
    pub async fn pause(&mut self) {
        self.cluster.take().unwrap().stop().await;
    }

    /// Stops every process of it where it stands, until the answer is dropped:
    /// connections stay open and nothing is answered.
    pub fn freeze(&self) -> Frozen {
        let postmaster = self.postmaster();
        let mut processes = vec![postmaster];
        signal_process(postmaster, libc::SIGSTOP);
        processes.extend(children(postmaster));
        for process in &processes {
            signal_process(*process, libc::SIGSTOP);
        }
        Frozen(processes)
    }

    /// The folder that the cluster owns.
    pub fn dir(&self) -> PathBuf {
        self.folder.path().join("postgres")
    }

    pub fn url(&self) -> String {
        self.cluster.as_ref().unwrap().url()
    }

    /// Another database of it.
    pub fn url_of(&self, database: &str) -> String {
        let url = self.url();
        let (server, _) = url.rsplit_once('/').unwrap();
        format!("{server}/{database}")
    }

    /// The host's view of it, with the host's schema in place.
    pub async fn server(&self) -> Server {
        self.server_with(Config::default()).await
    }

    pub async fn server_with(&self, config: Config) -> Server {
        let server = Server::open(config, &self.url()).await.unwrap();
        server.prepare_database().await.unwrap();
        server
    }

    /// A connection of its own as the superuser, or as another role.
    pub async fn connect(&self, user: Option<&str>) -> Client {
        let mut config: tokio_postgres::Config = self.url().parse().unwrap();
        if let Some(user) = user {
            config.user(user);
        }
        let (client, connection) = config.connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// The process id in Postgres's own pid file.
    pub fn postmaster(&self) -> i32 {
        postmaster(&self.dir()).unwrap()
    }
}

/// The processes of a cluster that stand still.
pub struct Frozen(Vec<i32>);

impl Drop for Frozen {
    fn drop(&mut self) {
        for process in &self.0 {
            signal_process(*process, libc::SIGCONT);
        }
    }
}

/// The processes whose parent this is (proc(5), the fourth field of `stat`).
pub fn children(parent: i32) -> Vec<i32> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    ids.filter(|id| {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let after_name = stat.rsplit(") ").next().unwrap_or_default();
        after_name.split(' ').nth(1) == Some(&parent.to_string())
    })
    .collect()
}

/// The process that serves from a cluster's folder.
pub fn postmaster(dir: &Path) -> Option<i32> {
    let text = std::fs::read_to_string(dir.join("data/postmaster.pid")).ok()?;
    text.lines().next()?.parse().ok()
}

/// Waits until something holds. A minute is for ever: nothing is measured here.
pub async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting)
        .await
        .expect("it never came to be");
}

/// A server that somebody else runs: on TCP, with TLS and a password.
pub struct External {
    child: Child,
    pub port: u16,
    pub folder: TempDir,
}

impl External {
    /// Its certificate is for `localhost` and signed by itself; the file
    /// `root.pem` in its folder is what a client must trust.
    pub async fn start() -> External {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        give_away(folder.path());
        let password = folder.path().join("password");
        write_as_servant(&password, b"let me in");
        let status = command("initdb")
            .args([
                "-U",
                "owner",
                "--auth=scram-sha-256",
                "--no-sync",
                "--encoding=UTF8",
                "-D",
            ])
            .arg(&data)
            .arg("--pwfile")
            .arg(&password)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
        certify(folder.path());
        let port = free_port();
        let child = serve(folder.path(), port);
        External {
            child,
            port,
            folder,
        }
    }

    pub fn url(&self, host: &str, options: &str) -> String {
        format!(
            "postgres://owner:let%20me%20in@{host}:{}/postgres{options}",
            self.port
        )
    }

    pub fn root_file(&self) -> PathBuf {
        self.folder.path().join("root.pem")
    }
}

impl Drop for External {
    fn drop(&mut self) {
        // Immediate shutdown: its children go with it.
        unsafe { libc::kill(self.child.id() as i32, libc::SIGQUIT) };
        self.child.wait().unwrap();
    }
}

fn certify(folder: &Path) {
    let names = vec!["localhost".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let certificate = made.cert.pem();
    write_as_servant(&folder.join("root.pem"), certificate.as_bytes());
    write_as_servant(&folder.join("data/server.crt"), certificate.as_bytes());
    write_as_servant(
        &folder.join("data/server.key"),
        made.signing_key.serialize_pem().as_bytes(),
    );
}

fn serve(folder: &Path, port: u16) -> Child {
    command("postgres")
        .arg("-D")
        .arg(folder.join("data"))
        .args([
            "-p",
            &port.to_string(),
            "-c",
            "listen_addresses=127.0.0.1,::1",
            "-c",
            "ssl=on",
        ])
        .args(["-c", "unix_socket_directories=", "-c", "fsync=off"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// Postgres does not run as root, so root's tests run it as somebody else.
fn servant() -> Option<(u32, u32)> {
    if unsafe { libc::geteuid() } != 0 {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let line = users
        .lines()
        .find(|line| line.starts_with("nobody:"))
        .unwrap();
    let fields: Vec<_> = line.split(':').collect();
    Some((fields[2].parse().unwrap(), fields[3].parse().unwrap()))
}

fn give_away(folder: &Path) {
    let Some((uid, gid)) = servant() else { return };
    for path in [folder.to_owned(), folder.join("data")] {
        chown(path, Some(uid), Some(gid)).unwrap();
    }
}

fn write_as_servant(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    if let Some((uid, gid)) = servant() {
        chown(path, Some(uid), Some(gid)).unwrap();
    }
}

fn command(program: &str) -> Command {
    let mut command = Command::new(binaries().join(program));
    if let Some((uid, gid)) = servant() {
        command.uid(uid).gid(gid);
    }
    command.stdin(Stdio::null());
    command
}

/// The folder that somebody names, as `make` does where the machine has no Postgres.
pub fn named() -> Option<PathBuf> {
    std::env::var_os("HEARTH_POSTGRES_BIN").map(PathBuf::from)
}

/// What hosts of the tests start.
pub fn binaries() -> PathBuf {
    embedded::postgres::programs(named()).unwrap()
}

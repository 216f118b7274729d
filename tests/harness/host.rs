//! A real `hearth serve` on embedded services, in a folder of its own, on ports
//! that the system chooses.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use reqwest::{Client, Method, RequestBuilder};
use tempfile::TempDir;

pub use super::setup::Setup;
use super::setup::hearth;

/// How long a host may take to listen: two cores may be busy with other tests.
const START: Duration = Duration::from_secs(120);

/// `target/release`, where this test binary's own build lies.
fn build_dir() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().parent().unwrap().to_path_buf()
}

/// The `hearth` binary that `make build` left, or the one that is named: benchmarks measure
/// what `make dist` left.
pub fn binary() -> PathBuf {
    let named = std::env::var_os("HEARTH_TEST_BINARY").map(PathBuf::from);
    let binary = named.unwrap_or_else(|| build_dir().join("hearth"));
    assert!(
        binary.exists(),
        "{} is missing: run `make test`",
        binary.display()
    );
    binary
}

/// Cargo's target folder.
pub fn target() -> PathBuf {
    build_dir().parent().unwrap().to_path_buf()
}

/// A packed plugin of the project, or of the test guests.
pub fn packed(kind: &str, name: &str) -> PathBuf {
    let file = target().join(kind).join(format!("{name}.wasm"));
    assert!(
        file.exists(),
        "{} is missing: run `make test`",
        file.display()
    );
    file
}

pub fn guest(name: &str) -> PathBuf {
    packed("guests", name)
}

pub fn plugin(name: &str) -> PathBuf {
    packed("plugins", name)
}

/// How often a hostile thing is done: the issue's own count in `make soak`.
pub fn runs(in_test: usize, in_soak: usize) -> usize {
    match std::env::var_os("HEARTH_SOAK") {
        Some(_) => in_soak,
        None => in_test,
    }
}

/// A host that serves. Dropped, it is killed and its folder removed.
pub struct Host {
    setup: Setup,
    dir: TempDir,
    child: Child,
    pub url: String,
    pub admin: String,
    /// What it printed before and while it began to listen.
    pub printed: Vec<String>,
    pub client: Client,
}

impl Host {
    pub(super) fn start(setup: Setup) -> Host {
        let dir = tempfile::tempdir().unwrap();
        setup.furnish(dir.path());
        let (child, printed) = launch(&setup, dir.path());
        setup.keep(dir.path());
        let mut host = Host {
            setup,
            dir,
            child,
            url: String::new(),
            admin: String::new(),
            printed,
            client: Client::builder()
                .timeout(Duration::from_secs(60))
                .build()
                .unwrap(),
        };
        host.read_addresses();
        host
    }

    fn read_addresses(&mut self) {
        let after = |prefix: &str| {
            let line = self
                .printed
                .iter()
                .find_map(|line| line.strip_prefix(prefix));
            line.unwrap_or_else(|| panic!("no line `{prefix}`: {:?}\n{}", self.printed, self.log()))
                .to_string()
        };
        (self.url, self.admin) = (after("listening on "), after("admin on "));
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// kill -9, at once.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts again on the same data, on other ports.
    pub fn restart(&mut self) {
        let (child, printed) = launch(&self.setup, self.dir.path());
        (self.child, self.printed) = (child, printed);
        self.read_addresses();
    }

    /// The same with another variable in its environment.
    pub fn restart_with(&mut self, name: &str, value: &str) {
        let setup = std::mem::replace(&mut self.setup, Setup::new());
        self.setup = setup.env(name, value);
        self.restart();
    }

    /// SIGTERM, and how it ended.
    pub fn stop(&mut self) -> std::process::ExitStatus {
        self.signal(libc::SIGTERM);
        self.child.wait().unwrap()
    }

    pub fn signal(&self, signal: i32) {
        signal_process(i32::try_from(self.pid()).unwrap(), signal);
    }

    /// Runs another command of the binary on this host's data.
    pub fn cli(&self, args: &[&str]) -> Output {
        hearth(self.dir.path())
            .arg("--config")
            .arg(self.dir.path().join("hearth.toml"))
            .args(args)
            .output()
            .unwrap()
    }

    /// A new key of a customer, who is created with the first.
    pub fn key(&self, customer: &str, args: &[&str]) -> String {
        let mut all = vec![
            "keys",
            "create",
            "--customer",
            customer,
            "--tier",
            "unlimited",
        ];
        all.extend(args);
        let output = self.cli(&all);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().last().unwrap().to_string()
    }

    pub fn request(&self, method: Method, path: &str, key: &str) -> RequestBuilder {
        self.client
            .request(method, format!("{}{path}", self.url))
            .header("x-api-key", key)
    }

    pub fn get(&self, path: &str, key: &str) -> RequestBuilder {
        self.request(Method::GET, path, key)
    }

    pub fn post(&self, path: &str, key: &str) -> RequestBuilder {
        self.request(Method::POST, path, key)
    }

    /// The sum of all series of a metric whose labels contain every one given.
    pub async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let text = self
            .client
            .get(format!("{}/metrics", self.admin))
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        let series = text.lines().filter(|line| {
            let named = line.split(['{', ' ']).next() == Some(name);
            named && labels.iter().all(|label| line.contains(label))
        });
        series
            .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
            .sum()
    }

    /// Resident memory of the host process, in bytes.
    pub fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap();
        line.split_whitespace()
            .next()
            .unwrap()
            .parse::<u64>()
            .unwrap()
            * 1024
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// The host's own postmaster; one that is being restarted is waited for.
    pub fn postmaster_pid(&self) -> i32 {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let file = find(&self.data_dir(), "postmaster.pid");
            let text = file.and_then(|file| std::fs::read_to_string(file).ok());
            let pid = text.and_then(|text| text.lines().next()?.trim().parse().ok());
            match pid {
                Some(pid) => return pid,
                None => assert!(Instant::now() < until, "postmaster.pid: {}", self.log()),
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // A gentle end first: the embedded Postgres then leaves nothing behind.
        self.signal(libc::SIGTERM);
        let until = Instant::now() + Duration::from_secs(20);
        while Instant::now() < until {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn signal_process(pid: i32, signal: i32) {
    // SAFETY: kill(2) touches no memory of ours; the process is one we started.
    unsafe { libc::kill(pid, signal) };
}

fn find(dir: &Path, name: &str) -> Option<PathBuf> {
    let entries: Vec<_> = std::fs::read_dir(dir)
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .collect();
    let here = entries
        .iter()
        .find(|path| path.file_name().is_some_and(|found| found == name));
    here.cloned().or_else(|| {
        entries
            .iter()
            .filter(|path| path.is_dir())
            .find_map(|path| find(path, name))
    })
}

/// Starts the process and reads what it prints until it listens.
fn launch(setup: &Setup, dir: &Path) -> (Child, Vec<String>) {
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(dir.join("log"))
        .unwrap();
    let mut child = setup
        .command(dir)
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .unwrap();
    let lines = follow(child.stdout.take().unwrap());
    let until = Instant::now() + START;
    let mut printed = Vec::new();
    while let Ok(line) = lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
        printed.push(line);
        if printed.last().unwrap().starts_with("admin on ") {
            break;
        }
    }
    // What follows at once belongs to the start too.
    while let Ok(line) = lines.recv_timeout(setup.last_lines()) {
        printed.push(line);
    }
    if !printed.iter().any(|line| line.starts_with("admin on ")) {
        let log = std::fs::read_to_string(dir.join("log")).unwrap_or_default();
        panic!(
            "the host did not start: {:?}\n{printed:?}\n{log}",
            child.try_wait()
        );
    }
    (child, printed)
}

fn follow(stdout: std::process::ChildStdout) -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    lines
}

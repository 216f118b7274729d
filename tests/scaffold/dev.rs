//! `hearth dev`: what is saved is what answers.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{checkout, done, refused};
use crate::harness::host::{binary, signal_process, target};

/// How long a step may take: two cores may compile for other tests.
const STEP: Duration = Duration::from_secs(300);
const NAME: &str = "scaffold-dev";

/// A project of the template `http` that `hearth dev` serves.
struct Developed {
    folder: TempDir,
    child: Child,
    lines: Receiver<String>,
    client: Client,
}

fn dev(folder: &Path) -> Command {
    let mut command = Command::new(binary());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HEARTH_")) {
        if name != "HEARTH_POSTGRES_BIN" {
            command.env_remove(name);
        }
    }
    command
        .args(["dev", NAME])
        .current_dir(folder)
        .env("HEARTH_LISTEN", "127.0.0.1:0")
        .env("HEARTH_ADMIN_LISTEN", "127.0.0.1:0")
        .env("CARGO_TARGET_DIR", target())
        .env("CARGO_NET_OFFLINE", "true")
        .stdin(Stdio::null());
    command
}

/// In a checkout, where the SDK lies.
fn project() -> TempDir {
    let within = checkout().join("target/tmp");
    fs::create_dir_all(&within).unwrap();
    let folder = tempfile::tempdir_in(&within).unwrap();
    let told = done(folder.path(), &["new", NAME]);
    assert!(told.contains(&format!("\n  hearth dev {NAME}\n")), "{told}");
    folder
}

impl Developed {
    fn start() -> Developed {
        let folder = project();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let mut command = dev(folder.path());
        let child = command.stdout(Stdio::piped()).stderr(log).spawn();
        let mut child = child.unwrap();
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Developed {
            folder,
            child,
            lines,
            client: Client::new(),
        }
    }

    /// The lines up to the next one that begins so.
    #[track_caller]
    fn until(&self, beginning: &str) -> Vec<String> {
        let (mut told, end) = (Vec::new(), Instant::now() + STEP);
        while !told
            .last()
            .is_some_and(|line: &String| line.starts_with(beginning))
        {
            let wait = end.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(wait) {
                Ok(line) => told.push(line),
                Err(_) => panic!("no line `{beginning}`: {told:?}\n{}", self.log()),
            }
        }
        told
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(NAME).join(name)
    }

    /// Saves a file with another text in place of one.
    #[track_caller]
    fn edit(&self, name: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.file(name)).unwrap();
        assert!(text.contains(from), "{name}: {from}");
        fs::write(self.file(name), text.replace(from, to)).unwrap();
    }

    async fn notes(&self, (url, key): &(String, String)) -> Value {
        let asked = self.client.get(url).header("x-api-key", key);
        let answer = asked.send().await.unwrap().error_for_status().unwrap();
        answer.json().await.unwrap()
    }
}

impl Drop for Developed {
    fn drop(&mut self) {
        // A gentle end: the embedded Postgres then leaves nothing behind.
        signal_process(i32::try_from(self.child.id()).unwrap(), libc::SIGTERM);
        let _ = self.child.wait();
    }
}

/// The URL and the key of the request that is shown.
fn request(told: &[String]) -> (String, String) {
    let shown = told.iter().find(|line| line.contains("curl"));
    let words: Vec<&str> = shown
        .unwrap_or_else(|| panic!("{told:?}"))
        .split('\'')
        .collect();
    let key = words[3].strip_prefix("X-API-Key: ").unwrap();
    (words[1].to_owned(), key.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn saved_versions_serve_and_wrong_ones_leave_the_one_before_serving() {
    let developed = Developed::start();
    let told = developed.until("waiting for changes");
    assert!(told.contains(&"granted: sql".to_owned()), "{told:?}");
    assert!(
        told.iter()
            .any(|line| line.starts_with("scaffold-dev@1 serves"))
    );
    let request = request(&told);
    assert_eq!(developed.notes(&request).await, json!([]));

    // What the compiler refuses.
    let (create, broken) = ("fn create(", "fn create(wrong ");
    developed.edit("src/lib.rs", create, broken);
    developed.until("waiting for changes");
    let log = developed.log();
    assert!(log.contains("hearth: cargo failed to build it"), "{log}");
    assert!(log.contains("scaffold-dev@1 still serves"), "{log}");
    assert_eq!(developed.notes(&request).await, json!([]));

    // What the gate refuses: the migrations make no such column.
    developed.edit("src/lib.rs", broken, create);
    developed.edit(
        "src/lib.rs",
        "FROM notes WHERE id",
        "FROM notes WHERE colour",
    );
    developed.until("waiting for changes");
    let log = developed.log();
    assert!(log.contains("scaffold-dev was not deployed"), "{log}");
    assert!(log.contains("column \"colour\" does not exist"), "{log}");
    assert_eq!(developed.notes(&request).await, json!([]));

    developed.edit("src/lib.rs", "WHERE colour", "WHERE id");
    developed.until("scaffold-dev@");
    edit_migrations(&developed, &request).await;
}

/// A new one keeps the rows; one that is edited makes the tables anew, after saying so.
async fn edit_migrations(developed: &Developed, request: &(String, String)) {
    let (url, key) = request;
    let place = url.split('?').next().unwrap();
    let note = developed.client.post(place).header("x-api-key", key);
    let note = note.json(&json!({"text": "one"})).send().await.unwrap();
    assert_eq!(note.status(), 201);

    let further = "ALTER TABLE notes ADD COLUMN colour text;\n";
    fs::write(developed.file("migrations/0002_colour.sql"), further).unwrap();
    developed.until("scaffold-dev@");
    assert_eq!(developed.notes(request).await[0]["text"], "one");

    developed.edit("migrations/0002_colour.sql", "colour text", "shade text");
    let told = developed.until("scaffold-dev@");
    let said =
        "migration 0002_colour changed after it had run: the tables of scaffold-dev are dropped";
    assert!(told.iter().any(|line| line.starts_with(said)), "{told:?}");
    assert_eq!(developed.notes(request).await, json!([]));
}

#[test]
fn tables_of_a_configured_database_are_out_of_reach() {
    let folder = project();
    let mut command = dev(folder.path());
    let url = "postgres://hearth@127.0.0.1:9/hearth";
    let output = command.env("HEARTH_DATABASE_URL", url).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(64), "{told}");
    assert!(told.contains("unset database.url"), "{told}");
    let (code, told) = refused(folder.path(), &["dev"]);
    assert_eq!(code, 64);
    assert!(told.contains("Cargo.toml was not found"), "{told}");
}

//! The commands that ask the admin listener: what they send, what they print, and
//! how they end, with the real binary against a server that says what a test wants.

mod addresses;
mod dead_letters;
mod diff;
mod diff_command;
mod end_to_end;
mod refusals;
mod server;
mod stream;
mod tables;

use std::path::Path;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::process::Command;

use self::server::{Piece, Server};
use crate::harness::host::binary;

const TOKEN: &str = "a-token-of-the-test";

/// What a command left.
struct Ended {
    code: i32,
    out: String,
    told: String,
}

/// A folder with a token and a file to deploy, where commands run.
struct Folder {
    dir: TempDir,
}

impl Folder {
    fn new() -> Folder {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("token"), format!("{TOKEN}\n")).unwrap();
        std::fs::write(dir.path().join("my plugin.wasm"), b"\0asm of a kind").unwrap();
        Folder { dir }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The binary with nothing of whoever runs the tests in its environment.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("HEARTH_")) {
            command.env_remove(name);
        }
        command
            .args(args)
            .current_dir(self.path())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    async fn run(&self, args: &[&str]) -> Ended {
        let output = self.command(args).output().await.unwrap();
        Ended {
            code: output.status.code().expect("it ended by itself"),
            out: String::from_utf8(output.stdout).unwrap(),
            told: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Runs a command against a server that answers every request with these pieces.
async fn against(status: u16, pieces: Vec<Piece>, args: &[&str]) -> (Server, Ended) {
    let server = Server::start(status, pieces).await;
    let ended = Folder::new().run(&reaching(&server, args)).await;
    (server, ended)
}

fn reaching<'a>(server: &'a Server, args: &[&'a str]) -> Vec<&'a str> {
    [args, &["--admin", &server.url, "--token-file", "token"]].concat()
}

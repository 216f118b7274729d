//! The commands of the documents, run as a reader would: in a shell, against a host with
//! the plugins of `make run`. A target of make has to be there, and is not made again.

use std::path::PathBuf;
use std::process::{Command, Output};

use crate::bench::hosts::{agent, everything};
use crate::harness::host::{Host, Setup, binary, target};

use super::page::{Page, root};

/// A command, and what the document shows as its output; nothing where it shows none.
#[derive(Debug, PartialEq)]
struct Shown {
    command: String,
    output: String,
}

/// The commands of a document's blocks `sh` and `console`.
fn commands(page: &Page) -> Vec<Shown> {
    let mut all = Vec::new();
    for block in page.blocks() {
        match block.language.as_str() {
            "sh" => {
                let lines = block.text.lines().map(|line| (true, line));
                all.append(&mut joined(lines));
            }
            "console" => {
                let lines = block.text.lines();
                let lines = lines.map(|line| match line.strip_prefix("$ ") {
                    Some(command) => (true, command),
                    None => (false, line),
                });
                all.append(&mut joined(lines));
            }
            _ => {}
        }
    }
    all
}

/// Lines of commands, which go on behind a backslash, and lines of output.
fn joined<'l>(lines: impl Iterator<Item = (bool, &'l str)>) -> Vec<Shown> {
    let mut all: Vec<Shown> = Vec::new();
    let mut goes_on = false;
    for (is_command, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        let ends = !line.ends_with('\\');
        let line = format!("{line}\n");
        match all.last_mut() {
            Some(last) if goes_on => last.command.push_str(&line),
            Some(last) if !is_command => last.output.push_str(&line),
            _ => all.push(Shown {
                command: line,
                output: String::new(),
            }),
        }
        goes_on = !ends;
    }
    all
}

/// Whether an output is as it is shown: its parts between the ellipses, in their order.
fn is_as_shown(output: &str, shown: &str) -> bool {
    let mut rest = output;
    shown.trim().split('…').map(str::trim).all(|part| {
        let Some((_, after)) = rest.split_once(part) else {
            return false;
        };
        rest = after;
        true
    })
}

/// A host with the four plugins, and a key of one of its customers.
struct Reader {
    host: Host,
    key: String,
}

impl Reader {
    fn new() -> Reader {
        let host = everything(Setup::new()).start();
        let key = agent(&host, "acme");
        Reader { host, key }
    }

    fn follow(&self, name: &str) {
        let page = Page::named(name);
        let commands = commands(&page);
        assert!(!commands.is_empty(), "{name}");
        for shown in &commands {
            match shown.command.strip_prefix("make ") {
                Some(rest) => assert_target(rest),
                None => self.run(name, shown),
            }
        }
    }

    fn run(&self, page: &str, shown: &Shown) {
        let output = self.shell(&shown.command);
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let told = String::from_utf8_lossy(&output.stderr);
        let code = output.status.code();
        let expected = match &shown.command {
            // A stream is listened to for as long as the command says.
            command if command.contains("--max-time") => code == Some(28),
            // It may find something of this machine's Postgres.
            command if command.contains(" doctor") => [Some(0), Some(1)].contains(&code),
            // An answer that is shown as a refusal.
            _ if shown.output.contains("\"status\":4") => code == Some(22),
            _ => code == Some(0),
        };
        let command = &shown.command;
        assert!(
            expected,
            "{page}: {command}{code:?}\n{printed}{told}\n{}",
            self.host.log()
        );
        let as_shown = is_as_shown(&printed, &shown.output);
        assert!(
            as_shown,
            "{page}: {command}answers {printed}, not {}",
            shown.output
        );
    }

    fn shell(&self, command: &str) -> Output {
        let built = |path: PathBuf| path.display().to_string();
        let command = command
            .replace("target/release/hearth", &built(binary()))
            .replace("target/plugins", &built(target().join("plugins")))
            .replace("http://127.0.0.1:8080", &self.host.url)
            .replace("http://127.0.0.1:8081", &self.host.admin)
            .replace("KEY", &self.key)
            .replace("curl ", "curl --fail-with-body ");
        let folder = self.host.data_dir();
        Command::new("sh")
            .arg("-c")
            .arg(command)
            .current_dir(root())
            .env("HEARTH_CONFIG", folder.with_file_name("hearth.toml"))
            .env("HEARTH_DATA_DIR", &folder)
            .env("HEARTH_ADMIN", &self.host.admin)
            .output()
            .unwrap()
    }
}

/// The Makefile has what is to be made, and `make help` tells of it.
fn assert_target(rest: &str) {
    let name = rest.split_whitespace().next().unwrap();
    let makefile = std::fs::read_to_string(root().join("Makefile")).unwrap();
    let told = makefile.lines().any(|line| {
        line.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(':') && rest.contains("## "))
    });
    assert!(told, "make {name}");
}

#[test]
fn readme_s_commands_run() {
    Reader::new().follow("README.md");
}

#[test]
fn quickstart_s_commands_run() {
    Reader::new().follow("docs/quickstart.md");
}

#[test]
fn guide_s_commands_run() {
    Reader::new().follow("docs/plugins/guide.md");
}

#[test]
fn commands_for_the_handlers_run() {
    let reader = Reader::new();
    for page in [
        "common",
        "tickets",
        "forecasting",
        "webhooks",
        "notifications",
    ] {
        reader.follow(&format!("docs/handlers/{page}.md"));
    }
}

#[test]
fn commands_for_operators_run() {
    let reader = Reader::new();
    for page in ["deploy", "observability", "postgres", "runbook"] {
        reader.follow(&format!("docs/operate/{page}.md"));
    }
}

/// Whoever writes a command into another document adds it to a test above.
#[test]
fn no_other_document_has_commands_but_for_contributors() {
    let followed = [
        "README.md",
        "docs/quickstart.md",
        "docs/plugins/guide.md",
        "docs/handlers/",
        "docs/operate/deploy.md",
        "docs/operate/observability.md",
        "docs/operate/postgres.md",
        "docs/operate/runbook.md",
    ];
    for page in super::page::all() {
        let is_followed = followed.iter().any(|name| page.name.starts_with(name));
        if page.name == "CONTRIBUTING.md" {
            for shown in commands(&page) {
                let made = shown.command.strip_prefix("make ");
                assert_target(made.unwrap_or_else(|| panic!("{}", shown.command)));
            }
        } else if !is_followed {
            assert_eq!(commands(&page), [], "{}", page.name);
        }
    }
}

#[test]
fn what_is_shown_may_leave_something_out() {
    assert!(is_as_shown("{\"a\":1,\"b\":2}", "{\"a\":…\"b\":2}\n"));
    assert!(!is_as_shown("{\"b\":2,\"a\":1}", "{\"a\":…\"b\":2}\n"));
    assert!(is_as_shown("anything", ""));
}

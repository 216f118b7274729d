//! The first slice, as the README has it: start, paste two lines, see a ticket.

use std::process::Command;

use reqwest::StatusCode;
use serde_json::Value;

use crate::harness::host::{Setup, plugin};

/// Runs a line as a person would, in a shell.
fn shell(line: &str) -> Value {
    let output = Command::new("sh").arg("-c").arg(line).output().unwrap();
    assert!(output.status.success(), "{line}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{line}: {output:?}"))
}

/// The printed shell commands: each begins with `curl` and may go on.
fn commands(printed: &[String]) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    for line in printed {
        let goes_on = commands.last().is_some_and(|last| last.ends_with('\\'));
        match goes_on {
            true => commands.last_mut().unwrap().push_str(&format!("\n{line}")),
            false if line.trim_start().starts_with("curl ") => commands.push(line.clone()),
            false => {}
        }
    }
    commands
}

#[tokio::test]
async fn printed_requests_create_a_ticket_and_read_it_back() {
    let mut host = Setup::new().tickets().bare().arg("--demo").start();
    let lines = commands(&host.printed);
    assert_eq!(lines.len(), 2, "{:?}", host.printed);
    let created = shell(&lines[0]);
    let id = created["id"].as_str().unwrap();
    assert!(id.starts_with("tkt_"), "{created}");
    assert!(
        shell(&lines[1]).to_string().contains(id),
        "the list has the ticket"
    );

    // The second start has the same customer with the same key.
    host.stop();
    host.restart();
    let again = commands(&host.printed);
    assert!(
        shell(&again[1]).to_string().contains(id),
        "the ticket is kept"
    );
}

#[tokio::test]
async fn example_built_with_cargo_component_answers_through_the_host() {
    let host = Setup::new()
        .plugin("hello", &plugin("hello"), &["log"], "")
        .start();
    let key = host.key("acme", &[]);
    let answer = host.get("/hello", &key).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let text = answer.text().await.unwrap();
    assert!(text.contains("cus_"), "it greets the customer: {text}");
}

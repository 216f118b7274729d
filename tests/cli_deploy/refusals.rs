//! What a refusal tells, and what the exit code says of it.

use super::server::{Piece, Server, text};
use super::{Folder, against, reaching};

fn refused(asks: &str) -> Vec<Piece> {
    vec![text(&format!(
        "{{\"result\":\"refused\",\"plugin\":\"tickets\",\"step\":\"grants\",\
         \"reasons\":[\"it asks for `queue:x`\",\"two\\nlines \\u001b[2J\"],\"asks\":{asks}}}\n"
    ))]
}

#[tokio::test]
async fn a_refusal_names_plugin_step_and_every_reason() {
    let (_server, ended) = against(200, refused("[]"), &["deploy", "my plugin.wasm"]).await;
    assert_eq!((ended.code, ended.out.as_str()), (1, ""));
    assert_eq!(
        ended.told,
        "hearth: tickets was not deployed, because the step `grants` (whether what it asks for is \
         approved) failed:\n  - it asks for `queue:x`\n  - two\n    lines \u{fffd}[2J\nWhat served \
         before still serves.\n"
    );
    let (_server, ended) = against(200, refused("[]"), &["rollback", "tickets"]).await;
    assert_eq!(ended.code, 1);
    assert!(
        ended.told.contains("tickets was not rolled back"),
        "{}",
        ended.told
    );
}

#[tokio::test]
async fn what_is_asked_for_comes_with_the_command_that_approves_it() {
    let server = Server::start(
        200,
        refused(r#"["queue:x","function:lower_title@sha256:00","shared:country"]"#),
    )
    .await;
    let folder = Folder::new();
    let args = reaching(&server, &["deploy", "my plugin.wasm", "--approve", "sql"]);
    let ended = folder.run(&args).await;
    let wanted = format!(
        "  hearth deploy 'my plugin.wasm' --approve sql,queue:x \
         --approve-function lower_title@sha256:00 --approve-shared country --admin {} --token-file token\n",
        server.url
    );
    assert!(ended.told.ends_with(&wanted), "{}", ended.told);
    // What came from the environment need not be said again.
    let mut command = folder.command(&["deploy", "my plugin.wasm"]);
    command
        .env("HEARTH_ADMIN", &server.url)
        .env("HEARTH_ADMIN_TOKEN_FILE", "token");
    let told = String::from_utf8(command.output().await.unwrap().stderr).unwrap();
    let wanted = "  hearth deploy 'my plugin.wasm' --approve queue:x \
                  --approve-function lower_title@sha256:00 --approve-shared country\n";
    assert!(told.ends_with(wanted), "{told}");
}

#[tokio::test]
async fn a_function_that_nobody_approved_is_shown_with_every_line_of_its_body() {
    let body = r#"{"result":"refused","plugin":"tickets","step":"grants","reasons":["it asks"],
        "asks":["function:f@sha256:00"],
        "functions":[{"name":"f","approval":"f@sha256:00","text":"CREATE FUNCTION f()\n\tRETURN 1 \u001b[2J\n;"}]}"#;
    let body = vec![text(&body.replace('\n', " "))];
    let (_server, ended) = against(200, body, &["deploy", "my plugin.wasm"]).await;
    let shown =
        "The function f@sha256:00:\n    CREATE FUNCTION f()\n    \tRETURN 1 \u{fffd}[2J\n    ;\n";
    assert!(ended.told.contains(shown), "{}", ended.told);
}

#[tokio::test]
async fn a_statement_that_reads_all_rows_is_shown_with_its_plan_and_what_approves_it() {
    let body = r#"{"result":"refused","plugin":"tickets","step":"statements","reasons":["it reads"],
        "asks":["scan:all@sha256:00"],
        "scans":[{"approval":"all@sha256:00","tables":["t"],"text":"SELECT a\nFROM t","plan":"Index Scan \u001b[2J\n  x"}]}"#;
    let body = vec![text(&body.replace('\n', " "))];
    let (server, ended) = against(200, body, &["deploy", "my plugin.wasm"]).await;
    let shown = "The plan of all@sha256:00:\n    SELECT a\n    FROM t\n    Index Scan \u{fffd}[2J\n      x\n";
    assert!(ended.told.contains(shown), "{}", ended.told);
    let wanted = format!(
        "  hearth deploy 'my plugin.wasm' --approve-scan all@sha256:00 --admin {} --token-file token\n",
        server.url
    );
    assert!(ended.told.ends_with(&wanted), "{}", ended.told);
}

#[tokio::test]
async fn a_token_that_the_host_does_not_take_is_told_with_its_file() {
    let problem = || vec![text("{\"title\":\"Unauthorized\",\"detail\":\"no\"}")];
    for args in [
        &["status"][..],
        &["deploy", "my plugin.wasm"],
        &["undeploy", "tickets"],
    ] {
        let (_server, ended) = against(401, problem(), args).await;
        assert_eq!((ended.code, ended.out.as_str()), (1, ""), "{}", ended.told);
        assert!(
            ended.told.contains("rejected the token in token"),
            "{}",
            ended.told
        );
        assert!(!ended.told.contains(super::TOKEN), "{}", ended.told);
    }
}

#[tokio::test]
async fn what_the_host_says_is_told() {
    let problem = vec![text(
        "{\"title\":\"Conflict\",\"detail\":\"another deployment\"}",
    )];
    for args in [
        &["rollback", "tickets"][..],
        &["undeploy", "tickets"],
        &["deploy", "my plugin.wasm"],
    ] {
        let (_server, ended) = against(409, problem.clone(), args).await;
        assert_eq!((ended.code, ended.out.as_str()), (1, ""), "{}", ended.told);
        assert!(
            ended
                .told
                .contains("rejected the request: another deployment (409)"),
            "{}",
            ended.told
        );
    }
}

#[tokio::test]
async fn a_plugin_that_there_is_not_is_told_and_another_listener_is_told_apart() {
    let problem = vec![text(
        "{\"title\":\"Not found\",\"detail\":\"Nothing is here.\"}",
    )];
    for args in [
        &["history", "nobody"][..],
        &["rollback", "nobody", "--to", "9"],
        &["undeploy", "nobody"],
    ] {
        let (_server, ended) = against(404, problem.clone(), args).await;
        assert_eq!((ended.code, ended.out.as_str()), (1, ""), "{}", ended.told);
        assert!(
            ended
                .told
                .contains("plugin or deployment not found on the host at")
                && ended.told.contains("(/plugins/nobody"),
            "{}",
            ended.told
        );
    }
    for args in [&["status"][..], &["deploy", "my plugin.wasm"]] {
        let (_server, ended) = against(404, problem.clone(), args).await;
        assert_eq!((ended.code, ended.out.as_str()), (69, ""), "{}", ended.told);
        assert!(
            ended.told.contains("not the admin listener"),
            "{}",
            ended.told
        );
    }
}

/// The host refuses a file at its size and closes, while most is still to be sent.
#[tokio::test]
async fn an_answer_before_the_file_was_read_is_found() {
    let problem = vec![text("{\"detail\":\"at most 1000 bytes are allowed\"}")];
    let server = Server::hasty(413, problem).await;
    let folder = Folder::new();
    std::fs::write(folder.path().join("large.wasm"), vec![0; 30 << 20]).unwrap();
    for _ in 0..10 {
        let ended = folder
            .run(&reaching(&server, &["deploy", "large.wasm"]))
            .await;
        assert_eq!(ended.code, 1, "{}", ended.told);
        assert!(
            ended.told.contains("at most 1000 bytes are allowed"),
            "{}",
            ended.told
        );
    }
}

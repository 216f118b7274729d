//! Deploying and rolling back: the steps as they come, and how it ended.

use std::process::Stdio;
use std::sync::Arc;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::Notify;

use super::server::{Piece, Server, text};
use super::{Folder, TOKEN, against, reaching};

const READ: &str = "{\"step\":\"read\",\"ms\":3,\"note\":\"tickets 0.2.0, 424886 bytes\"}\n";
const GRANTS: &str = "{\"step\":\"grants\",\"ms\":1}\n";
const SERVING: &str = "{\"result\":\"serving\",\"plugin\":\"tickets\",\"number\":4,\
    \"label\":\"tickets@4\",\"version\":\"0.2.0\",\"digest\":\"sha256:abc\"}\n";

#[tokio::test]
async fn a_deployment_is_sent_with_its_token_and_its_approvals() {
    let args = [
        "deploy",
        "my plugin.wasm",
        "--approve",
        "sql,queue:x",
        "--approve-function",
        "f",
        "--approve-shared",
        "country",
        "--approve-scan",
        "all@sha256:0,b@sha256:1",
    ];
    let (server, ended) = against(200, vec![text(READ), text(SERVING)], &args).await;
    assert_eq!(ended.code, 0, "{}", ended.told);
    assert_eq!(ended.out, "tickets@4 serves: version 0.2.0, sha256:abc\n");
    let [seen] = &server.seen()[..] else {
        panic!("{:?}", server.seen())
    };
    assert_eq!(
        seen.line,
        "POST /deployments?approve=sql%2Cqueue%3Ax&approve-functions=f&approve-shared=country\
         &approve-scans=all%40sha256%3A0%2Cb%40sha256%3A1"
    );
    assert_eq!(seen.authorization, format!("Bearer {TOKEN}"));
    assert_eq!(&seen.body[..], b"\0asm of a kind");
}

#[tokio::test]
async fn each_step_is_shown_before_the_next_one_is_done() {
    let go_on = Arc::new(Notify::new());
    let pieces = vec![
        text(READ),
        Piece::Wait(go_on.clone()),
        text(GRANTS),
        text(SERVING),
    ];
    let server = Server::start(200, pieces).await;
    let folder = Folder::new();
    let mut child = folder
        .command(&reaching(&server, &["deploy", "my plugin.wasm"]))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(child.stderr.take().unwrap()).lines();
    // The server says no more until this line is there.
    let line = told.next_line().await.unwrap().unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[..3], ["read", "3", "ms"]);
    assert!(line.ends_with("tickets 0.2.0, 424886 bytes"), "{line}");
    go_on.notify_one();
    let line = told.next_line().await.unwrap().unwrap();
    assert_eq!(
        line.split_whitespace().collect::<Vec<_>>(),
        ["grants", "1", "ms"]
    );
    assert!(child.wait().await.unwrap().success());
}

#[tokio::test]
async fn a_line_may_arrive_in_pieces_and_the_last_without_its_end() {
    let (start, end) = SERVING.trim().split_at(20);
    let joined = format!("{READ}\n{GRANTS}{start}");
    let (_server, ended) = against(
        200,
        vec![text(&joined), text(end)],
        &["deploy", "my plugin.wasm"],
    )
    .await;
    assert_eq!(ended.code, 0, "{}", ended.told);
    assert_eq!(ended.told.lines().count(), 2, "{}", ended.told);
}

#[tokio::test]
async fn json_is_the_last_object_and_nothing_else() {
    let args = ["deploy", "my plugin.wasm", "--json"];
    let (_server, ended) = against(200, vec![text(READ), text(SERVING)], &args).await;
    assert_eq!((ended.code, ended.out.as_str()), (0, SERVING));
    let refused = "{\"result\":\"refused\",\"plugin\":\"tickets\",\"step\":\"link\",\"reasons\":[\"no\"],\"asks\":[]}\n";
    let (_server, ended) = against(200, vec![text(READ), text(refused)], &args).await;
    assert_eq!((ended.code, ended.out.as_str()), (1, refused));
    serde_json::from_str::<Value>(&ended.out).unwrap();
}

#[tokio::test]
async fn a_rollback_names_the_deployment_or_leaves_it_to_the_host() {
    let (server, ended) = against(200, vec![text(SERVING)], &["rollback", "tickets"]).await;
    assert_eq!(
        (ended.code, server.seen()[0].line.as_str()),
        (0, "POST /plugins/tickets/rollback")
    );
    assert_eq!(ended.out, "tickets@4 serves: version 0.2.0, sha256:abc\n");
    let (server, ended) = against(
        200,
        vec![text(SERVING)],
        &["rollback", "tickets", "--to", "3"],
    )
    .await;
    assert_eq!(
        (ended.code, server.seen()[0].line.as_str()),
        (0, "POST /plugins/tickets/rollback?to=3")
    );
}

#[tokio::test]
async fn a_connection_that_is_cut_leaves_the_end_open() {
    for pieces in [
        vec![text(READ), Piece::Cut],
        vec![text(READ)],
        vec![Piece::Cut],
    ] {
        let (_server, ended) = against(200, pieces, &["deploy", "my plugin.wasm"]).await;
        assert_eq!((ended.code, ended.out.as_str()), (69, ""), "{}", ended.told);
        assert!(
            ended.told.contains("ended before the answer was complete"),
            "{}",
            ended.told
        );
        assert!(
            ended
                .told
                .contains("unknown whether it took effect: check with `hearth status`"),
            "{}",
            ended.told
        );
    }
}

#[tokio::test]
async fn a_host_that_falls_silent_is_given_up() {
    let args = ["deploy", "my plugin.wasm", "--silence-ms-max", "200"];
    let (_server, ended) = against(200, vec![text(READ), Piece::Hang], &args).await;
    assert_eq!(ended.code, 69, "{}", ended.told);
    assert!(
        ended.told.contains("not answered for 200 ms"),
        "{}",
        ended.told
    );
    assert!(
        ended.told.contains("unknown whether it took effect"),
        "{}",
        ended.told
    );
}

#[tokio::test]
async fn a_stream_that_is_not_one_is_told() {
    let long = format!("{{\"step\":\"{}", "x".repeat(2 << 20));
    for answer in ["hello\n", "{\"result\":\"maybe\"}\n", "[]\n", long.as_str()] {
        let (_server, ended) =
            against(200, vec![text(answer)], &["deploy", "my plugin.wasm"]).await;
        assert_eq!((ended.code, ended.out.as_str()), (69, ""), "{}", ended.told);
        assert!(
            ended.told.contains("not the admin listener"),
            "{}",
            ended.told
        );
    }
}

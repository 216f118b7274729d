//! Which host is asked, with which token, and what is told where none can be.

use super::server::{Server, text};
use super::{Folder, TOKEN};

const NOTHING: &str = "{\"plugins\":[]}";

/// A port on which nobody listens.
fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[tokio::test]
async fn where_no_host_runs_it_is_told_before_any_missing_token() {
    let (folder, url) = (Folder::new(), nobody());
    for args in [
        &["status"][..],
        &["deploy", "my plugin.wasm"],
        &["diff", "tickets@1", "tickets@2"],
    ] {
        let ended = folder.run(&[args, &["--admin", &url]].concat()).await;
        assert_eq!((ended.code, ended.out.as_str()), (69, ""), "{}", ended.told);
        let wanted = format!("hearth: no Hearth host answers at {url}; is `hearth serve` running?");
        assert!(ended.told.starts_with(&wanted), "{}", ended.told);
    }
}

#[tokio::test]
async fn address_and_token_come_from_the_configuration() {
    let server = Server::start(200, vec![text(NOTHING)]).await;
    let folder = Folder::new();
    let listen = server.url.strip_prefix("http://").unwrap();
    let config = |more: &str| {
        let text = format!("data_dir = \"data\"\n[admin]\nlisten = \"{listen}\"\n{more}\n");
        std::fs::write(folder.path().join("hearth.toml"), text).unwrap();
    };
    config("token_file = \"token\"");
    let ended = folder.run(&["status"]).await;
    assert_eq!(
        (ended.code, ended.out.as_str()),
        (0, "no plugin is serving\n"),
        "{}",
        ended.told
    );
    config("");
    let ended = folder.run(&["status"]).await;
    assert_eq!(ended.code, 64, "{}", ended.told);
    assert!(ended.told.contains("data/admin-token"), "{}", ended.told);
    std::fs::create_dir(folder.path().join("data")).unwrap();
    std::fs::write(folder.path().join("data/admin-token"), "made by the host").unwrap();
    let ended = folder.run(&["status"]).await;
    assert_eq!(ended.code, 0, "{}", ended.told);
    let tokens: Vec<String> = server
        .seen()
        .into_iter()
        .map(|seen| seen.authorization)
        .collect();
    assert_eq!(
        tokens,
        [format!("Bearer {TOKEN}"), "Bearer made by the host".into()]
    );
}

#[tokio::test]
async fn a_unix_socket_is_asked() {
    let folder = Folder::new();
    let socket = folder.path().join("admin.sock");
    let server = Server::on_socket(&socket, vec![text(NOTHING)]);
    let ended = folder
        .run(&[
            "status",
            "--json",
            "--admin",
            &server.url,
            "--token-file",
            "token",
        ])
        .await;
    assert_eq!(
        (ended.code, ended.out.trim()),
        (0, NOTHING),
        "{}",
        ended.told
    );
    assert_eq!(server.seen()[0].line, "GET /plugins");
}

#[tokio::test]
async fn wrong_commands_are_refused_before_anything_is_sent() {
    let server = Server::start(200, vec![text(NOTHING)]).await;
    let folder = Folder::new();
    std::fs::write(folder.path().join("two lines"), "a\nb").unwrap();
    let cases: [(&[&str], &str); 6] = [
        (&["deploy", "nothing.wasm"], "nothing.wasm: "),
        (&["rollback", "../x"], "not a valid plugin name"),
        (&["history", "Tickets"], "not a valid plugin name"),
        (&["undeploy", ""], "not a valid plugin name"),
        (
            &["status", "--admin", "https://127.0.0.1:1"],
            "http://ADDRESS:PORT",
        ),
        (&["status", "--token-file", "two lines"], "one line"),
    ];
    for (args, wanted) in cases {
        let mut command = folder.command(args);
        command
            .env("HEARTH_ADMIN", &server.url)
            .env("HEARTH_ADMIN_TOKEN_FILE", "token");
        let output = command.output().await.unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(64), "{told}");
        assert!(told.contains(wanted), "{told}");
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn what_is_no_admin_listener_is_told() {
    for answer in ["<html>", "{\"plugins\":3}"] {
        let server = Server::start(200, vec![text(answer)]).await;
        let folder = Folder::new();
        let ended = folder.run(&super::reaching(&server, &["status"])).await;
        assert_eq!(ended.code, 69, "{}", ended.told);
        assert!(
            ended.told.contains("not the admin listener"),
            "{}",
            ended.told
        );
    }
}

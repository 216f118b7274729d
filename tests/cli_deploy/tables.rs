//! What serves and what served, for people and as JSON.

use super::against;
use super::server::text;

const STATUS: &str = r#"{"plugins":[
 {"plugin":"tickets","number":4,"label":"tickets@4","version":"0.2.0","digest":"sha256:0123456789abcdef","mount":"/support","since":"2026-01-02T03:04:05.6Z","grants":["sql","log"],"functions":["lower_title@sha256:00"],"shared":["country"],"in_flight":2,"requests":1234,"failures":0,"draining":[{"number":3,"in_flight":1}]},
 {"plugin":"hello","number":1,"label":"hello@1","version":"1.0.0","digest":"sha256:ff","mount":"/","since":"2026-01-01T00:00:00Z","grants":[],"functions":[],"in_flight":0,"requests":0,"failures":0,"draining":[]},
 {"plugin":"mail","number":1,"label":"mail@1","version":"1.0.0","digest":"sha256:aa","mount":"","since":"2026-01-01T00:00:00Z","grants":["consume:letters"],"functions":[],"in_flight":0,"requests":0,"failures":0,"consumes":["letters: batches of 10"],"schedules":["daily: @daily UTC to letters"],"draining":[]}]}"#;

const HISTORY: &str = r#"{"plugin":"tickets","deployments":[
 {"number":2,"version":"0.2.0","digest":"sha256:22","deployed_at":"2026-01-02T00:00:00Z","by":"admin","grants":["sql"],"state":"retired","serving_since":null,"bytes":42},
 {"number":1,"version":"0.1.0","digest":"sha256:11","deployed_at":"2026-01-01T00:00:00Z","by":"config","grants":["sql"],"state":"serving","serving_since":"2026-01-03T00:00:00Z","bytes":41}]}"#;

#[tokio::test]
async fn status_is_a_table_with_what_drains_under_it() {
    let (_server, ended) = against(200, vec![text(STATUS)], &["status"]).await;
    assert_eq!(ended.code, 0, "{}", ended.told);
    assert_eq!(
        ended.out,
        "\
DEPLOYMENT  VERSION  MOUNT     SINCE                 IN FLIGHT  REQUESTS  FAILURES  GRANTS                                DIGEST
tickets@4   0.2.0    /support  2026-01-02 03:04:05Z  2          1234      0         sql,log,lower_title(),shared:country  sha256:0123456789ab
hello@1     1.0.0    /         2026-01-01 00:00:00Z  0          0         0         -                                     sha256:ff
mail@1      1.0.0    -         2026-01-01 00:00:00Z  0          0         0         consume:letters                       sha256:aa
tickets@3 is draining, calls in progress: 1
mail consumes letters: batches of 10
mail sends daily: @daily UTC to letters
"
    );
}

#[tokio::test]
async fn history_has_the_newest_first_and_marks_what_serves() {
    let (server, ended) = against(200, vec![text(HISTORY)], &["history", "tickets"]).await;
    assert_eq!(server.seen()[0].line, "GET /plugins/tickets/deployments");
    assert_eq!(
        ended.out,
        [
            "   NUMBER  VERSION  STATE    DEPLOYED              BY      SERVING SINCE         BYTES  GRANTS  DIGEST\n",
            "   2       0.2.0    retired  2026-01-02 00:00:00Z  admin   -                     42     sql     sha256:22\n",
            "*  1       0.1.0    serving  2026-01-01 00:00:00Z  config  2026-01-03 00:00:00Z  41     sql     sha256:11\n",
        ]
        .concat()
    );
}

#[tokio::test]
async fn json_is_the_body_and_nothing_else() {
    let undeployed = r#"{"result":"undeployed","plugin":"tickets","number":4}"#;
    let cases: [(&[&str], &str); 3] = [
        (&["status", "--json"], STATUS),
        (&["history", "tickets", "--json"], HISTORY),
        (&["undeploy", "tickets", "--json"], undeployed),
    ];
    for (args, body) in cases {
        let (_server, ended) = against(200, vec![text(body)], args).await;
        assert_eq!((ended.code, ended.told.as_str()), (0, ""));
        assert_eq!(ended.out, format!("{body}\n"));
    }
}

#[tokio::test]
async fn undeploying_tells_what_ended() {
    let body = r#"{"result":"undeployed","plugin":"tickets","number":4}"#;
    let (server, ended) = against(200, vec![text(body)], &["undeploy", "tickets"]).await;
    assert_eq!(server.seen()[0].line, "DELETE /plugins/tickets");
    assert_eq!(
        ended.out,
        "tickets@4 is undeployed; its data and its history are kept\n"
    );
}

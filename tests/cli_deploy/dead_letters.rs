//! `hearth dlq`: what it asks, and what it shows.

use super::against;
use super::server::text;

const PAGE: &str = r#"{"queue":"letters","next":41,"dead_letters":[
 {"id":"msg_2","queue":"letters","plugin":"tickets","customer":"cus_1","reason":"the guest trapped:\u001b[2J unreachable","attempts":5,"sent_at":"2026-01-01T00:00:00Z","died_at":"2026-01-02T03:04:05.6Z","bytes":17},
 {"id":"msg_1","queue":"letters","plugin":"mail","customer":null,"reason":"no","attempts":1,"sent_at":"2026-01-01T00:00:00Z","died_at":"2026-01-02T00:00:00Z","bytes":2}]}"#;

const WHOLE: &str = r#"{"id":"msg_2","queue":"letters","plugin":"tickets","customer":"cus_1","reason":"it trapped","attempts":5,"sent_at":"2026-01-01T00:00:00Z","died_at":"2026-01-02T03:04:05.6Z","bytes":17,
 "attributes":[["kind","a\nb"]],"group":"tkt_1","body":"{\u0007\"n\": 1,\n\"m\": 2}"}"#;

const DEPTHS: &str = r#"{"queues":[{"queue":"letters","waiting":3,"delayed":2,"leased":1,"dead":7,"oldest_ms":1500},
 {"queue":"mail","waiting":0,"delayed":0,"leased":0,"dead":1,"oldest_ms":null}]}"#;

#[tokio::test]
async fn page_of_dead_letters_says_how_to_see_the_next() {
    let args = [
        "dlq", "list", "--queue", "letters", "--limit", "2", "--before", "77",
    ];
    let (server, ended) = against(200, vec![text(PAGE)], &args).await;
    assert_eq!(ended.code, 0, "{}", ended.told);
    let asked = "GET /queues/letters/dead-letters?limit=2&before=77";
    assert_eq!(server.seen()[0].line, asked);
    assert_eq!(
        ended.out,
        "\
ID     FROM     CUSTOMER  ATTEMPTS  DIED                  BYTES  REASON
msg_2  tickets  cus_1     5         2026-01-02 03:04:05Z  17     the guest trapped:\u{fffd}[2J unreachable
msg_1  mail     -         1         2026-01-02 00:00:00Z  2      no
more: hearth dlq list --queue letters --before 41
"
    );
}

#[tokio::test]
async fn without_a_queue_all_are_counted() {
    let (server, ended) = against(200, vec![text(DEPTHS)], &["dlq", "list"]).await;
    assert_eq!(server.seen()[0].line, "GET /queues");
    assert_eq!(
        ended.out,
        "\
QUEUE    WAITING  DELAYED  LEASED  DEAD  OLDEST MS
letters  3        2        1       7     1500
mail     0        0        0       1     -
"
    );
}

#[tokio::test]
async fn body_is_shown_without_what_a_terminal_would_obey() {
    let args = ["dlq", "show", "--queue", "letters", "msg_2"];
    let (server, ended) = against(200, vec![text(WHOLE)], &args).await;
    assert_eq!(
        server.seen()[0].line,
        "GET /queues/letters/dead-letters/msg_2"
    );
    assert_eq!(
        ended.out,
        "\
id        msg_2
from      tickets
customer  cus_1
group     tkt_1
attempts  5
sent      2026-01-01 00:00:00Z
died      2026-01-02 03:04:05Z
reason    it trapped
attribute kind: a b

{\u{fffd}\"n\": 1,
\"m\": 2}
"
    );
}

#[tokio::test]
async fn some_or_all_are_put_back_or_forgotten() {
    let cases: [(&[&str], &str, &str, &str); 3] = [
        (
            &["redrive", "--queue", "letters", "msg_1", "msg_2"],
            r#"{"redriven":2}"#,
            "POST /queues/letters/dead-letters/redrive?id=msg_1&id=msg_2",
            "2 dead letters are put back into the queue\n",
        ),
        (
            &["redrive", "--queue", "letters", "--all"],
            r#"{"redriven":7}"#,
            "POST /queues/letters/dead-letters/redrive?all=true",
            "7 dead letters are put back into the queue\n",
        ),
        (
            &["drop", "--queue", "letters", "msg_1"],
            r#"{"dropped":0}"#,
            "DELETE /queues/letters/dead-letters?id=msg_1",
            "0 dead letters are forgotten\n",
        ),
    ];
    for (args, body, asked, told) in cases {
        let args = [&["dlq"], args].concat();
        let (server, ended) = against(200, vec![text(body)], &args).await;
        assert_eq!(
            (ended.code, ended.out.as_str()),
            (0, told),
            "{}",
            ended.told
        );
        assert_eq!(server.seen()[0].line, asked);
    }
}

#[tokio::test]
async fn nothing_is_changed_where_nothing_or_too_much_is_named() {
    let cases: [&[&str]; 4] = [
        &["dlq", "drop", "--queue", "letters"],
        &["dlq", "drop", "--queue", "letters", "--all", "msg_1"],
        &["dlq", "redrive", "--queue", "letters", "a/b?all=true"],
        &["dlq", "redrive", "--queue", "../x", "--all"],
    ];
    for args in cases {
        let (server, ended) = against(200, vec![text("{}")], args).await;
        assert_eq!(ended.code, 64, "{args:?}: {}", ended.told);
        assert!(server.seen().is_empty(), "{args:?}");
    }
}

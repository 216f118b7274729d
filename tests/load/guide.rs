//! The guide's own load test against a real host: 100 threads, 100 tickets.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::load;
use crate::harness::host::{Host, Setup};

/// One of the guide's threads: a connection of its own, one ticket, and whether
/// the answer was 200. The bytes are those of Python's `requests.post`.
fn guide_thread(host: &str, key: &str) -> bool {
    let body = r#"{"subject": "Test", "description": "Load test", "priority": "medium"}"#;
    let request = format!(
        "POST /support/tickets/create HTTP/1.1\r\nHost: {host}\r\nUser-Agent: python-requests/2.32.3\r\n\
         Accept-Encoding: gzip, deflate\r\nAccept: */*\r\nConnection: keep-alive\r\nX-API-Key: {key}\r\n\
         Content-Length: {}\r\nContent-Type: application/json\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(host).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut start = [0; 12];
    stream.read_exact(&mut start).is_ok() && &start == b"HTTP/1.1 200"
}

fn guide_rate(host: &Host, key: &str) -> String {
    let address = host.url.strip_prefix("http://").unwrap();
    let succeeded = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..100)
            .map(|_| scope.spawn(|| guide_thread(address, key)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .filter(|ok| *ok)
            .count()
    });
    format!("{:.1} %", succeeded as f64 / 100.0 * 100.0)
}

#[tokio::test]
async fn guide_s_load_test_reaches_a_hundred_percent() {
    let host = Setup::new().tickets().start();
    let key = host.key("acme", &[]);
    assert_eq!(guide_rate(&host, &key), "100.0 %");
    let ended = load(&["--url", &host.url, "--key", &key]).await;
    assert!(
        ended.out.contains("success rate  100.0 %"),
        "{}{}",
        ended.out,
        ended.told
    );
    assert!(ended.out.contains("tickets@1  100"), "{}", ended.out);
    assert_eq!(ended.code, 0);
}

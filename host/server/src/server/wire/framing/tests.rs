use super::*;

const HOST: &str = "Host: a\r\n";

fn gate() -> RequestFramer {
    RequestFramer::new(4096)
}

/// Whether the bytes pass, whole and byte by byte alike.
fn passes(text: &str) -> bool {
    let whole = gate().pass(text.as_bytes()).is_ok();
    let mut slow = gate();
    let pieces = text
        .as_bytes()
        .chunks(1)
        .all(|byte| slow.pass(byte).is_ok());
    assert_eq!(whole, pieces, "{text:?}");
    whole
}

fn head(line: &str, fields: &str) -> String {
    format!("{line}\r\n{HOST}{fields}\r\n")
}

#[test]
fn plain_requests_pass_one_after_the_other() {
    let chunked = "Transfer-Encoding: chunked\r\n";
    let requests = [
        head("GET /a?b HTTP/1.1", ""),
        head("POST / HTTP/1.1", "Content-Length: 3\r\n") + "a\nb",
        head("POST / HTTP/1.1", chunked) + "3;a=\"b\"\r\n\r\n\n\r\n0\r\nX: y\r\n\r\n",
        head("PUT / HTTP/1.1", chunked) + "00A\r\n0123456789\r\n0\r\n\r\n",
        head("OPTIONS * HTTP/1.1", ""),
        head("GET http://A/b HTTP/1.1", "X-Utf8: \u{e9}\t \r\n"),
        "GET / HTTP/1.0\r\n\r\n".to_string(),
        "\r\nGET / HTTP/1.1\r\nhost:a:80\r\n\r\n".to_string(),
        "PRIVATE / HTTP/1.1\r\nHost: a\r\n\r\n".to_string(),
    ];
    for request in &requests {
        assert!(passes(request), "{request:?}");
        let mut gate = gate();
        gate.pass(request.as_bytes()).unwrap();
        assert!(!gate.in_head() && !gate.owes(), "{request:?}");
    }
    assert!(passes(&requests.concat()));
}

#[test]
fn what_two_readers_could_read_in_two_ways_is_refused() {
    let chunked = "Transfer-Encoding: chunked\r\n";
    for fields in [
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
        "Content-Length: 3\r\nContent-Length: 3\r\n",
        "Content-Length: 3\r\nContent-Length: 4\r\n",
        "Content-Length: 3, 3\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length:\r\n",
        "Content-Length: 18446744073709551616\r\n",
        "Content-Length : 5\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: \u{b}chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "X: a\r\n b\r\n",
        "X: a\n",
        "X: a\nY: b\r\n",
        "X: a\rY: b\r\n",
        "X: a\0\r\n",
        "X\r\n",
        ": a\r\n",
        "X Y: a\r\n",
        "Host: b\r\n",
        "Host: a\r\n",
    ] {
        assert!(!passes(&head("POST / HTTP/1.1", fields)), "{fields:?}");
    }
    for body in [
        "g\r\n",
        "\r\n",
        "-1\r\n",
        "+1\r\na\r\n",
        "0x1\r\na\r\n",
        "1 \r\na\r\n",
        "1\na\r\n",
        "1\r\nab\r\n",
        "1\r\na\n",
        "FFFFFFFFFFFFFFFFF\r\n",
        "1;a\u{1}\r\na\r\n",
        "0\r\nX : y\r\n\r\n",
        "0\r\n y\r\n\r\n",
    ] {
        assert!(
            !passes(&(head("POST / HTTP/1.1", chunked) + body)),
            "{body:?}"
        );
    }
}

#[test]
fn request_lines_have_one_form() {
    for line in [
        "GET /",
        "GET  / HTTP/1.1",
        "GET / HTTP/1.1 ",
        " GET / HTTP/1.1",
        "GET / HTTP/1.2",
        "GET / HTTP/2.0",
        "GET / http/1.1",
        "GET a HTTP/1.1",
        "GET * HTTP/1.1",
        "CONNECT a:80 HTTP/1.1",
        "G@T / HTTP/1.1",
        "GET /\u{1} HTTP/1.1",
        "GET http://b/ HTTP/1.1",
        "GET http://u@a/ HTTP/1.1",
        "GET http:// HTTP/1.1",
        "",
    ] {
        let text = match line {
            "" => "\n".to_string(),
            line => head(line, ""),
        };
        assert!(!passes(&text), "{line:?}");
    }
    assert!(!passes("GET / HTTP/1.1\r\n\r\n"), "no Host");
    assert!(!passes(
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"
    ));
    assert!(!passes("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"));
}

#[test]
fn refusal_comes_before_the_head_is_whole() {
    let text = head(
        "POST / HTTP/1.1",
        "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
    );
    let last = text.len() - 1;
    let refused = gate().pass(text.as_bytes()).unwrap_err();
    assert!(matches!(refused, WireError::Malformed { at, .. } if at == last));
}

#[test]
fn too_long_a_head_is_cut_at_its_limit() {
    let text = format!("GET / HTTP/1.1\r\nX: {}", "a".repeat(5000));
    assert_eq!(
        gate().pass(text.as_bytes()),
        Err(WireError::Overlong { at: 4096 })
    );
    let chunked = head("POST / HTTP/1.1", "Transfer-Encoding: chunked\r\n");
    assert!(!passes(&format!("{chunked}1;{}", "a".repeat(300))));
    assert!(!passes(&format!(
        "{chunked}0\r\n{}",
        "X: a\r\n".repeat(4000)
    )));
}

#[test]
fn http2_is_let_alone() {
    let mut gate = gate();
    assert!(gate.in_head());
    gate.pass(PREFACE).unwrap();
    gate.pass(b"\0\0\0\x04\n").unwrap();
    assert!(!gate.in_head() && !gate.owes());
    assert!(!passes("PRI * HTTP/2.0\r\n\r\nSX"));
}

//! Frames, the bytes of a stream: server-sent events (WHATWG HTML, section 9.2), and ids.

use std::fmt::Write;

use bytes::Bytes;

use hearth_backend::postgres::events::{Event, Position};

/// What the host's ids begin with.
pub const PREFIX: &str = "psh_";

/// A comment that keeps the connection, for a client which is still behind.
pub const BEAT: Bytes = Bytes::from_static(b":\n\n");

/// An id of the host's: of one length, so that they are in order as texts, too.
pub fn id(position: Position) -> String {
    format!("{PREFIX}{:016x}", position.0)
}

/// The place that an id of the host's names.
pub fn position(id: &str) -> Option<Position> {
    let digits = id.strip_prefix(PREFIX)?;
    let lower = digits
        .bytes()
        .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
    if digits.len() != 16 || !lower {
        return None;
    }
    i64::from_str_radix(digits, 16).ok().map(Position)
}

/// Any of the three line ends begins another field.
pub fn event(event: &Event) -> Bytes {
    let mut text = String::with_capacity(event.data.len() + 96);
    let _ = writeln!(text, "id: {}", id(event.position));
    if let Some(kind) = &event.kind {
        let _ = writeln!(text, "event: {kind}");
    }
    let whole = event.data.replace("\r\n", "\n");
    for line in whole.split(['\n', '\r']) {
        let _ = writeln!(text, "data: {line}");
    }
    text.push('\n');
    text.into()
}

/// Moves a client's `Last-Event-ID` on without an event, so that one which heard
/// nothing for longer than the log is kept misses nothing by it.
pub fn mark(position: Position) -> Bytes {
    format!(":\nid: {}\n\n", id(position)).into()
}

/// Tells the client that it may have missed something.
pub fn reset(position: Position, reason: &str) -> Bytes {
    let id = id(position);
    format!("id: {id}\nevent: reset\ndata: {{\"reason\":\"{reason}\"}}\n\n").into()
}

/// When a client shall come back, should the stream end.
pub fn retry(milliseconds: u64) -> Bytes {
    format!("retry: {milliseconds}\n\n").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_of_each_kind_begin_another_line_of_data() {
        let of = |data: &str, kind: Option<&str>| {
            let (position, kind) = (Position(42), kind.map(str::to_owned));
            let data = data.to_owned();
            let frame = event(&Event {
                position,
                kind,
                data,
            });
            String::from_utf8(frame.to_vec()).unwrap()
        };
        assert_eq!(of("a", None), "id: psh_000000000000002a\ndata: a\n\n");
        assert_eq!(
            of("a\nb\r\nc\rid: 7\n", Some("k")),
            "id: psh_000000000000002a\nevent: k\ndata: a\ndata: b\ndata: c\ndata: id: 7\ndata: \n\n"
        );
    }

    #[test]
    fn ids_are_read_back_and_are_in_order_as_texts() {
        for number in [0, 1, 1_770_000_000_000_000, i64::MAX] {
            assert_eq!(position(&id(Position(number))), Some(Position(number)));
            assert!(number == i64::MAX || id(Position(number)) < id(Position(number + 1)));
        }
        for bad in [
            "",
            "psh_",
            "psh_1",
            "psh_000000000000002A",
            "evt_000000000000002a",
            "psh_ffffffffffffffff",
        ] {
            assert_eq!(position(bad), None, "{bad}");
        }
    }
}

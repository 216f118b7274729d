//! The body of a load: which format it has, and its text.

use hearth_plugin::prelude::*;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Format {
    Csv,
    Json,
}

/// JSON where nothing else is said.
pub fn format(content_type: Option<&str>) -> Result<Format, Problem> {
    let media_type = content_type.unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    match media_type.to_ascii_lowercase().as_str() {
        "text/csv" | "application/csv" => Ok(Format::Csv),
        ""
        | "application/json"
        | "text/json"
        | "text/plain"
        | "application/x-ndjson"
        | "application/ndjson"
        | "application/jsonl"
        | "application/x-jsonlines"
        | "application/jsonlines"
        | "application/x-www-form-urlencoded" => Ok(Format::Json),
        _ => {
            let detail = "send application/x-ndjson, application/json or text/csv";
            let title = "Neither JSON nor CSV";
            Err(Problem::new(415, "unsupported-media-type", title).detail(detail))
        }
    }
}

/// The text, without the mark that some programs begin UTF-8 with.
pub fn text(body: &[u8]) -> Result<&str, Problem> {
    let detail = match body {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, _, ..] | [_, 0, ..] => {
            "the file is UTF-16; save it as UTF-8"
        }
        [0x1f, 0x8b, ..] => "the file is packed with gzip; send what is in it",
        [b'P', b'K', 3, 4, ..] => "the file is packed with zip; send what is in it",
        [b'P', b'A', b'R', b'1', ..] => "the file is Parquet; export it as CSV or JSON lines",
        _ => match std::str::from_utf8(body) {
            Ok(text) => return Ok(text.strip_prefix('\u{feff}').unwrap_or(text)),
            Err(_) => "the file is not UTF-8; save it as UTF-8",
        },
    };
    Err(Problem::new(400, "invalid-text", "Not UTF-8").detail(detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_json_and_csv_are_read() {
        let csv = format(Some("text/csv; charset=utf-8"));
        assert_eq!(csv.unwrap(), Format::Csv);
        assert_eq!(format(None).unwrap(), Format::Json);
        assert_eq!(format(Some("Application/X-NDJSON")).unwrap(), Format::Json);
        assert_eq!(format(Some("image/png")).unwrap_err().status(), 415);
    }

    #[test]
    fn what_is_no_utf_8_is_named() {
        for (body, name) in [
            (&b"\xff\xfeB\0i\0"[..], "UTF-16"),
            (b"\xfe\xff\0B\0i", "UTF-16"),
            (b"B\0i\0l\0", "UTF-16"),
            (b"\0B\0i\0l", "UTF-16"),
            (b"\x1f\x8b\x08\0", "gzip"),
            (b"PK\x03\x04", "zip"),
            (b"PAR1\x15", "Parquet"),
            (b"caf\xe9", "not UTF-8"),
        ] {
            let problem = format!("{:?}", text(body).unwrap_err());
            assert!(problem.contains(name), "{name}: {problem}");
        }
        assert_eq!(text("\u{feff}caf\u{e9}".as_bytes()).unwrap(), "caf\u{e9}");
        assert_eq!(text(b"").unwrap(), "");
    }
}

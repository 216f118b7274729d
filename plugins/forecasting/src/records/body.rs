//! The body of a load: which format it has, and its text.

use hearth_plugin::prelude::*;

use super::csv;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Format {
    Csv,
    Json,
}

/// What a client says of a body.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Said {
    Format(Format),
    /// Nothing, or what programs say by themselves.
    Nothing,
    /// What HTML forms say, and `curl` of whatever it sends.
    Form,
}

/// What a client says of the body; 415 where that is neither JSON nor CSV.
pub fn said(content_type: Option<&str>) -> Result<Said, Problem> {
    let media_type = content_type.unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    match media_type.to_ascii_lowercase().as_str() {
        "text/csv" | "application/csv" => Ok(Said::Format(Format::Csv)),
        "application/json"
        | "text/json"
        | "application/x-ndjson"
        | "application/ndjson"
        | "application/jsonl"
        | "application/x-jsonlines"
        | "application/jsonlines" => Ok(Said::Format(Format::Json)),
        "" | "text/plain" => Ok(Said::Nothing),
        "application/x-www-form-urlencoded" => Ok(Said::Form),
        _ => Err(other_type("")),
    }
}

/// Which format a text has; of one of which nothing is said, it shows itself.
pub fn format(said: Said, text: &str) -> Result<Format, Problem> {
    let is_json = text.trim_start().starts_with(['{', '[']);
    match said {
        Said::Format(format) => Ok(format),
        _ if !is_json && csv::has_header(text) => Ok(Format::Csv),
        Said::Form if !is_json && !text.trim().is_empty() => {
            Err(other_type("the body is a form; "))
        }
        Said::Nothing | Said::Form => Ok(Format::Json),
    }
}

fn other_type(what: &str) -> Problem {
    let detail = format!("{what}send application/x-ndjson, application/json or text/csv");
    Problem::new(415, "unsupported-media-type", "Neither JSON nor CSV").detail(detail)
}

/// The text, without the mark that some programs begin UTF-8 with.
pub fn text(body: &[u8]) -> Result<&str, Problem> {
    let detail = match body {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, _, ..] | [_, 0, ..] => {
            "the file is UTF-16; save it as UTF-8"
        }
        [0x1f, 0x8b, ..] => "the file is compressed with gzip; send it uncompressed",
        [b'P', b'K', 3, 4, ..] => "the file is compressed with zip; send it uncompressed",
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
        let read = |content_type, text| format(said(content_type)?, text);
        let status = |read: Result<Format, Problem>| read.map_err(|problem| problem.status());
        let csv = read(Some("text/csv; charset=utf-8"), "{}");
        assert_eq!(status(csv), Ok(Format::Csv));
        let json = read(Some("Application/X-NDJSON"), "BilledCost\n");
        assert_eq!(status(json), Ok(Format::Json));
        assert_eq!(status(read(Some("image/png"), "{}")), Err(415));
    }

    #[test]
    fn what_programs_send_under_a_type_of_their_own_shows_itself() {
        let read = |content_type, text| {
            let format = said(content_type).and_then(|said| format(said, text));
            format.map_err(|problem| problem.status())
        };
        let form = Some("application/x-www-form-urlencoded");
        for content_type in [None, Some("text/plain"), form] {
            let csv = "x_Own,\"BilledCost\",ChargePeriodStart\n1,2,3\n";
            assert_eq!(read(content_type, csv), Ok(Format::Csv));
            for json in ["{}", " [", "{\"a\":1,BilledCost}", ""] {
                assert_eq!(read(content_type, json), Ok(Format::Json), "{json}");
            }
        }
        assert_eq!(read(form, "BilledCost=1&ChargePeriodStart=2"), Err(415));
        assert_eq!(read(None, "nonsense"), Ok(Format::Json));
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

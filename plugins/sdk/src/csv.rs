//! CSV (RFC 4180) that a spreadsheet may open.
//!
//! ```
//! use hearth_plugin::csv;
//! let mut text = String::new();
//! csv::line(&mut text, ["id", "say \"hi\", you", "=1+1"]);
//! assert_eq!(text, "id,\"say \"\"hi\"\", you\",'=1+1\r\n");
//! ```

/// The media type of a page of CSV. Whether its first line holds the names of the
/// columns is a parameter of the type (RFC 4180, section 3): a first page has
/// them, those that are appended to it have not.
pub fn media_type(has_header: bool) -> &'static str {
    match has_header {
        true => "text/csv; charset=utf-8; header=present",
        false => "text/csv; charset=utf-8; header=absent",
    }
}

/// Adds one line. A cell with a comma, a quotation mark or a line break is
/// quoted. One that a spreadsheet would run as a formula (it begins with `=`,
/// `+`, `-`, `@`, one of their full-width forms, a tab, a carriage return or a line
/// feed; source: OWASP, CSV injection) gets an apostrophe in front, which
/// spreadsheets read as "this is text".
pub fn line<'c>(text: &mut String, cells: impl IntoIterator<Item = &'c str>) {
    for (index, cell) in cells.into_iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        push_cell(text, cell);
    }
    text.push_str("\r\n");
}

/// What a formula begins with. The last four are the full-width `＝＋－＠`.
const FORMULA: [char; 11] = [
    '=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}',
];

fn push_cell(text: &mut String, cell: &str) {
    let guard = if cell.starts_with(FORMULA) { "'" } else { "" };
    if cell.contains([',', '"', '\r', '\n']) {
        let quoted = cell.replace('"', "\"\"");
        text.extend(["\"", guard, &quoted, "\""]);
    } else {
        text.extend([guard, cell]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(cells: &[&str]) -> String {
        let mut text = String::new();
        line(&mut text, cells.iter().copied());
        text
    }

    #[test]
    fn cells_are_quoted_where_rfc_4180_wants_it() {
        assert_eq!(of(&["a", "", "b c"]), "a,,b c\r\n");
        assert_eq!(of(&["a,b", "\"", "x\ny"]), "\"a,b\",\"\"\"\",\"x\ny\"\r\n");
    }

    #[test]
    fn formulas_are_made_text() {
        for formula in [
            "=1", "+1", "-1", "@SUM(A1)", "\t=1", "＝1", "＋1", "－1", "＠a",
        ] {
            assert_eq!(of(&[formula]), format!("'{formula}\r\n"));
        }
        assert_eq!(of(&["\r=1"]), "\"'\r=1\"\r\n");
        assert_eq!(of(&["\n=1"]), "\"'\n=1\"\r\n");
        assert_eq!(
            of(&["=HYPERLINK(\"x\",\"y\")"]),
            "\"'=HYPERLINK(\"\"x\"\",\"\"y\"\")\"\r\n"
        );
        assert_eq!(of(&["1-2", "a@b.example"]), "1-2,a@b.example\r\n");
    }
}

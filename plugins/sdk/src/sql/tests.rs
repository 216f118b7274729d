use super::*;
use crate::sql::output::to_json;
use crate::{Json, Timestamp};

crate::row! {
    #[derive(Debug, PartialEq)]
    struct Note { id: String, owner: Option<String>, at: Timestamp, data: Json, tags: Vec<String> }
}

crate::sql! {
    /// Every kind of parameter but a few.
    #[allow(dead_code)]
    read fn notes(id: &str, owner: Option<&str>, limit: i64, tags: &[String], on: bool) -> Vec<Note> =
        "SELECT id, owner, at, data, tags FROM notes";
}

/// Reads a record as the host does.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take(&mut self, length: usize) -> &[u8] {
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken
    }

    fn number(&mut self, length: usize) -> usize {
        self.take(length)
            .iter()
            .rev()
            .fold(0, |number, byte| number << 8 | usize::from(*byte))
    }

    fn text(&mut self, width: usize) -> String {
        let length = self.number(width);
        String::from_utf8(self.take(length).to_vec()).unwrap()
    }
}

#[test]
fn the_record_is_what_the_host_reads() {
    const TEXT: &str = "SELECT id, owner, at, data, tags FROM notes -- é";
    const PARAMETERS: &[u8] = &[<&str as Parameter>::CODE, <Option<i64> as Parameter>::CODE];
    const LENGTH: usize = record::length("notes", TEXT, PARAMETERS, <Note as Row>::COLUMNS);
    static RECORD: [u8; LENGTH] =
        record::encode(1, "notes", TEXT, PARAMETERS, <Note as Row>::COLUMNS);

    let mut reader = Reader(&RECORD);
    assert_eq!(reader.number(4), RECORD.len() - 4);
    assert_eq!((reader.number(1), reader.number(1)), (2, 1));
    assert_eq!(reader.text(2), "notes");
    assert_eq!(reader.text(4), TEXT);
    assert_eq!(reader.number(2), 2);
    assert_eq!(reader.take(2), [5, 3]);
    assert_eq!(reader.number(2), 5);
    let columns = [
        ("id", 5, 0),
        ("owner", 5, 1),
        ("at", 8, 0),
        ("data", 11, 0),
        ("tags", 12, 0),
    ];
    for (name, code, nullable) in columns {
        assert_eq!((reader.number(1), reader.number(1)), (code, nullable));
        assert_eq!(reader.text(2), name);
    }
    assert!(reader.0.is_empty());
}

fn values() -> Vec<Value> {
    vec![
        Value::Text("n1".into()),
        Value::Null,
        Value::Timestamp(0),
        Value::Json("{\"a\": 1}".into()),
        Value::TextArray(vec!["x".into()]),
    ]
}

#[test]
fn rows_are_read_by_their_types_and_written_as_json() {
    let [note]: [Note; 1] = Vec::from_rows(vec![values()]).unwrap().try_into().unwrap();
    assert_eq!(note.owner, None);
    let json = r#"{"at":"1970-01-01T00:00:00.000000Z","data":{"a":1},"id":"n1","owner":null,"tags":["x"]}"#;
    assert_eq!(
        serde_json::Value::Object(to_json(&note)),
        Json::parse(json).unwrap().0
    );
}

#[test]
fn a_row_of_other_types_or_too_few_columns_is_an_error() {
    let mut wrong = values();
    wrong[0] = Value::Null;
    for row in [wrong, values()[..4].to_vec()] {
        assert_eq!(Vec::<Note>::from_rows(vec![row]), Err(Error::Unexpected));
    }
}

#[test]
fn the_number_of_rows_must_be_the_declared_one() {
    assert_eq!(Option::<Note>::from_rows(vec![]), Ok(None));
    assert_eq!(<Note as Output>::from_rows(vec![]), Err(Error::RowCount(0)));
    let two = || vec![values(), values()];
    assert_eq!(Option::<Note>::from_rows(two()), Err(Error::RowCount(2)));
    assert_eq!(<Note as Output>::from_rows(two()), Err(Error::RowCount(2)));
}

#[test]
fn what_postgres_says_becomes_the_right_status() {
    let status = |error: Error| crate::Problem::from(error).status();
    assert_eq!(status(Error::Unavailable), 503);
    assert_eq!(status(Error::DeadlineExceeded), 504);
    assert_eq!(status(Error::UniqueViolation("notes_pkey".into())), 409);
    assert_eq!(status(Error::Denied("x".into())), 500);
}

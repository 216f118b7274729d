//! Texts that nobody writes by accident.

use hearth::capability::sql::statement::{AccessMode, TEXT_BYTES_MAX};
use proptest::prelude::*;

use super::{assert_refused, migrate, statement};

#[test]
fn deep_and_long_texts_are_refused_and_harm_nobody() {
    let deep = [
        format!("SELECT {}1", "NOT ".repeat(15_000)),
        format!("SELECT 1{}", "+1".repeat(30_000)),
        format!("SELECT {}1{}", "(".repeat(30_000), ")".repeat(30_000)),
        format!("SELECT {}1{}", "abs(".repeat(10_000), ")".repeat(10_000)),
        format!("SELECT 1{}", " UNION SELECT 1".repeat(4_000)),
        format!("SELECT {}1{}", "(SELECT ".repeat(7_000), ")".repeat(7_000)),
        format!("SELECT 1{}", "::int".repeat(12_000)),
        format!("SELECT a {}", "IS NULL ".repeat(8_000)),
    ];
    for text in deep {
        assert!(statement(&text).is_err(), "{}", &text[..60]);
    }
    let long = format!("SELECT '{}'", "a".repeat(TEXT_BYTES_MAX));
    assert_refused(statement(&long), "long", "bytes");
    let wide = format!("SELECT 1{}", ", 1".repeat(10_000));
    assert_eq!(statement(&wide), Ok(AccessMode::Read));
    let chain = format!("SELECT a{} FROM t", " || a".repeat(40));
    assert_eq!(statement(&chain), Ok(AccessMode::Read));
}

proptest! {
    #[test]
    fn any_text_is_passed_or_refused(text in "\\PC{0,80}") {
        let _ = statement(&text);
        let _ = migrate(&text);
    }

    #[test]
    fn any_sequence_of_sql_words_is_passed_or_refused(words in prop::collection::vec(word(), 0..25)) {
        let text = words.join(" ");
        let _ = statement(&text);
        let _ = migrate(&text);
    }
}

fn word() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "SELECT",
        "FROM",
        "t",
        "(",
        ")",
        ",",
        "*",
        "WHERE",
        "a",
        "=",
        "$1",
        "'x'",
        "1",
        "INSERT",
        "INTO",
        "VALUES",
        "UPDATE",
        "SET",
        "DELETE",
        "CREATE",
        "TABLE",
        "FUNCTION",
        "INDEX",
        "ON",
        "DROP",
        "ALTER",
        "TYPE",
        "AS",
        "COMMENT",
        "IS",
        "NULL",
        ";",
        ".",
        "::",
        "int",
        "[",
        "]",
        "WITH",
        "RETURNING",
        "TRIGGER",
        "VIEW",
        "RULE",
        "CASE",
        "WHEN",
        "THEN",
        "END",
        "$$",
        "é",
    ])
}

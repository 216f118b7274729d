//! The records that carry declared statements in a component.

use hearth::capability::sql::statement::{
    AccessMode, Column, Declared, SectionError, Type, UNNAMED, encode, join, parse_section,
};
use proptest::prelude::*;

fn types() -> impl Strategy<Value = Type> {
    (1_u8..=14).prop_map(|code| Type::from_code(code).unwrap())
}

fn columns() -> impl Strategy<Value = Column> {
    ("[a-zé]{1,9}", types(), any::<bool>()).prop_map(|(name, kind, nullable)| Column {
        name,
        kind,
        nullable,
    })
}

fn declared() -> impl Strategy<Value = Declared> {
    let access = prop_oneof![Just(AccessMode::Read), Just(AccessMode::Write)];
    let lists = (
        prop::collection::vec(types(), 0..5),
        prop::collection::vec(columns(), 0..5),
    );
    let names = ("[a-zA-Z0-9_]{1,9}", "\\PC{0,40}");
    (names, lists, access).prop_map(|((name, text), (params, columns), access)| Declared {
        name,
        text,
        params,
        columns,
        access,
    })
}

proptest! {
    #[test]
    fn any_bytes_as_a_section_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse_section(&bytes);
    }

    #[test]
    fn what_is_encoded_is_read_again(list in prop::collection::vec(declared(), 0..6)) {
        if let Ok(joined) = join(list) {
            let section = encode(&joined);
            prop_assert_eq!(parse_section(&section), Ok(joined.clone()));
            let twice = [section.clone(), section].concat();
            prop_assert_eq!(parse_section(&twice), Ok(joined));
        }
    }

    #[test]
    fn a_damaged_section_is_read_or_refused(one in declared(), at in any::<prop::sample::Index>(), byte: u8) {
        let mut section = encode(&[one]);
        let at = at.index(section.len());
        let _ = parse_section(&section[..at]);
        section[at] = byte;
        let _ = parse_section(&section);
    }
}

#[test]
fn the_same_text_with_different_types_is_refused() {
    let one = |params: Vec<Type>| Declared {
        name: format!("of_{}", params.len()),
        text: "SELECT 1".into(),
        params,
        columns: Vec::new(),
        access: AccessMode::Read,
    };
    let section = encode(&[one(vec![Type::Text]), one(vec![Type::Text])]);
    assert_eq!(parse_section(&section).unwrap().len(), 1);
    let renamed = Declared {
        name: "other".into(),
        ..one(vec![Type::Text])
    };
    let section = encode(&[one(vec![Type::Text]), renamed]);
    assert_eq!(parse_section(&section), Ok(vec![one(vec![Type::Text])]));
    let section = encode(&[one(vec![Type::Text]), one(vec![Type::Int8])]);
    assert_eq!(
        parse_section(&section),
        Err(SectionError::Conflict("SELECT 1".into()))
    );
}

/// A record that begins so, before its text.
fn record(length: u32, beginning: &[&[u8]]) -> Vec<u8> {
    let rest = [
        &8_u32.to_le_bytes()[..],
        b"SELECT 1",
        &2_u16.to_le_bytes(),
        &[5, 14],
        &1_u16.to_le_bytes(),
        &[2, 1],
        &3_u16.to_le_bytes(),
        b"one",
    ]
    .concat();
    [&length.to_le_bytes()[..], &beginning.concat(), &rest].concat()
}

#[test]
fn the_record_format_is_what_the_sdk_writes_and_what_it_wrote_before() {
    let named = record(32, &[&[2, 1], &3_u16.to_le_bytes(), b"a_1"]);
    let unnamed = record(27, &[&[1, 1]]);
    let wanted = |name: &str| Declared {
        name: name.into(),
        text: "SELECT 1".into(),
        params: vec![Type::Text, Type::UuidArray],
        columns: vec![Column {
            name: "one".into(),
            kind: Type::Int4,
            nullable: true,
        }],
        access: AccessMode::Write,
    };
    assert_eq!(parse_section(&named), Ok(vec![wanted("a_1")]));
    assert_eq!(parse_section(&unnamed), Ok(vec![wanted(UNNAMED)]));
    for name in ["a b", "a@b", "é"] {
        let length = 29 + u32::try_from(name.len()).unwrap();
        let name_length = u16::try_from(name.len()).unwrap().to_le_bytes();
        let section = record(length, &[&[2, 1], &name_length, name.as_bytes()]);
        let refused = Err(SectionError::StatementName("SELECT 1".into()));
        assert_eq!(parse_section(&section), refused, "{name}");
    }
}

#[test]
fn every_type_has_a_code_and_a_name_of_its_own() {
    for code in 0..=255 {
        if let Some(kind) = Type::from_code(code) {
            assert_eq!(kind.code(), code);
            assert_eq!(Type::from_name(kind.name()), Some(kind));
        }
    }
    assert_eq!(Type::names().count(), 14);
}

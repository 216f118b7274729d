//! What migrations say of one function: that is what an operator approves.

use std::collections::BTreeMap;

use pg_query::protobuf::ObjectType;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::MIGRATION_BYTES_MAX;
use super::migration::slice;
use super::parse::parse;
use super::walk::Node;

/// Between the name of what is approved and the digest of its text.
const DIGEST: &str = "@sha256:";

/// What approves a text under a name: `touch@sha256:…`.
pub fn pinned(name: &str, text: &str) -> String {
    let digest = hex::encode(Sha256::digest(text.as_bytes()));
    format!("{name}{DIGEST}{digest}")
}

/// A function of a plugin's own, with all its overloads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Definition {
    pub name: String,
    /// What approves it: `touch@sha256:…`, the digest of the text. Another body wants
    /// another approval.
    pub approval: String,
    /// Every statement of the migrations that makes, replaces or drops the function,
    /// whole and in the order in which they run.
    pub text: String,
}

impl Definition {
    fn new(name: String, text: String) -> Definition {
        Definition {
            approval: pinned(&name, &text),
            name,
            text,
        }
    }
}

/// The functions that migrations define, by name. A migration that cannot be parsed
/// defines none: the gate refuses it.
pub fn definitions<'m>(migrations: impl IntoIterator<Item = &'m str>) -> Vec<Definition> {
    let mut texts: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for sql in migrations {
        let Ok(tree) = parse(sql, MIGRATION_BYTES_MAX) else {
            continue;
        };
        for raw in tree.nodes("stmts") {
            let (_, text) = slice(sql, raw);
            for name in raw.node("stmt").map(names).unwrap_or_default() {
                texts.entry(name).or_default().push(text.trim());
            }
        }
    }
    // A line of its own for each end: no comment can swallow it.
    let definition = |(name, texts): (String, Vec<&str>)| {
        Definition::new(name, format!("{}\n;", texts.join("\n;\n")))
    };
    texts.into_iter().map(definition).collect()
}

/// The functions that a statement makes or changes.
fn names(statement: &Node) -> Vec<String> {
    let last = |names: Vec<&str>| names.last().map(|name| (*name).to_owned());
    match statement.kind {
        "CreateFunctionStmt" => last(statement.names("funcname")).into_iter().collect(),
        "AlterFunctionStmt" => {
            let function = statement.node("func");
            function
                .and_then(|function| last(function.names("objname")))
                .into_iter()
                .collect()
        }
        "DropStmt" if statement.number("remove_type") == ObjectType::ObjectFunction as i64 => {
            let functions = statement.nodes("objects");
            functions
                .filter_map(|function| last(function.names("objname")))
                .collect()
        }
        _ => Vec::new(),
    }
}

/// What an approval is about: `touch@sha256:…` is about `touch`.
pub fn approved_name(approval: &str) -> &str {
    approval.split('@').next().unwrap_or_default()
}

/// Whether a text is the approval of a function of Postgres, `pg_sleep`, or of a
/// function of the plugin's own, `touch@sha256:` and 64 hexadecimal digits.
pub fn is_approval(text: &str) -> bool {
    is_name(text) || is_pinned(text)
}

/// Whether a text is a name and a whole digest.
pub fn is_pinned(text: &str) -> bool {
    let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.split_once(DIGEST).is_some_and(|(name, digest)| {
        is_name(name) && digest.len() == 64 && digest.bytes().all(digit)
    })
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.contains(['@', ',', ' '])
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOUCH: &str = "CREATE FUNCTION touch() RETURNS int LANGUAGE sql RETURN 1";

    fn approval(migrations: &[&str]) -> String {
        let defined = definitions(migrations.iter().copied());
        assert_eq!(defined.len(), 1, "{defined:?}");
        assert!(is_approval(&defined[0].approval), "{defined:?}");
        defined[0].approval.clone()
    }

    #[test]
    fn an_approval_is_of_every_word_that_defines_a_function() {
        let one = approval(&[TOUCH, "CREATE TABLE t (a int)"]);
        assert_eq!(approved_name(&one), "touch");
        assert_eq!(one, approval(&["CREATE TABLE u (a int)", TOUCH]));
        for more in [
            "CREATE FUNCTION touch(a int) RETURNS int LANGUAGE sql RETURN 1",
            "CREATE OR REPLACE FUNCTION s.touch() RETURNS int LANGUAGE sql RETURN 2",
            "DROP FUNCTION touch()",
            "ALTER FUNCTION touch() STRICT",
        ] {
            assert_ne!(one, approval(&[TOUCH, more]), "{more}");
            assert_ne!(approval(&[TOUCH, more]), approval(&[more, TOUCH]), "{more}");
        }
        assert_ne!(one, approval(&[&TOUCH.replace('1', "2")]));
    }

    #[test]
    fn what_is_no_function_or_no_sql_defines_none() {
        assert_eq!(
            definitions(["CREATE TABLE t (a int)", "CREATE FUNCTION"]),
            []
        );
    }

    #[test]
    fn an_approval_has_a_name_and_a_whole_digest_or_none() {
        assert!(is_approval("pg_sleep"));
        for text in [
            "",
            "@sha256:00",
            "touch@sha256:",
            "touch@sha256:00",
            "a b",
            "a@b",
        ] {
            assert!(!is_approval(text), "{text}");
        }
    }
}

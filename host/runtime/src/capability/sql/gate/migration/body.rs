//! CREATE FUNCTION. An operator approved its body; these checks make sure that
//! what was approved cannot change role, tenant or settings, nor run a text that
//! nobody has seen.

use pg_query::protobuf::{ScanToken, Token};

use super::super::MIGRATION_BYTES_MAX;
use super::super::functions::is_never;
use super::super::parse::{parse, span};
use super::super::rules::{Fault, Rules, STATEMENTS, among};
use super::super::walk::{Node, Tree};

/// Options that a function may have. Not here: SECURITY DEFINER, SET, support
/// functions, transforms.
const OPTIONS: &str = "as language volatility strict parallel cost rows";

/// Keywords that a body may not have. As a name they can be quoted.
const KEYWORDS: &str = "alter call cluster commit copy create deallocate definer discard drop execute grant \
     listen load lock notify prepare refresh reindex reset revoke rollback savepoint security \
     truncate unlisten vacuum";

/// What can only follow SET in a command of its own.
const AFTER_SET: &str = "role session local constraints transaction time schema names";

/// After these a new command of a body begins.
const BOUNDARIES: &str = "; begin then else loop atomic >>";

pub fn check(rules: &Rules<'_>, statement: &Node) -> Result<(), Fault> {
    if statement.flag("is_procedure") {
        return Fault::at(statement, "makes a procedure, which nobody could call");
    }
    let mut language = "";
    let mut bodies = Vec::new();
    for option in statement.nodes("options") {
        match (option.text("defname"), option.node("arg")) {
            ("language", Some(arg)) => language = arg.text("sval"),
            ("as", Some(arg)) => bodies = arg.names("items"),
            ("security", Some(arg)) if !arg.flag("boolval") => {}
            (name, _) if among(OPTIONS, name) => {}
            (name, _) => return Fault::at(option, refused_option(name)),
        }
    }
    let is_sql = language.eq_ignore_ascii_case("sql");
    // What the grammar itself parsed (RETURN, BEGIN ATOMIC) is SQL, said or not,
    // and the walk over the statement sees it.
    let parsed = statement.get("sql_body") != &Tree::Nothing;
    match bodies.as_slice() {
        [] if parsed && (is_sql || language.is_empty()) => Ok(()),
        [body] if is_sql => tokens(statement, body).and_then(|()| queries(rules, statement, body)),
        [body] if language.eq_ignore_ascii_case("plpgsql") => tokens(statement, body),
        _ => Fault::at(
            statement,
            "makes a function in another language than sql and plpgsql",
        ),
    }
}

fn refused_option(name: &str) -> String {
    match name {
        "security" => "makes a function that is SECURITY DEFINER".to_owned(),
        "set" => "makes a function with a SET clause".to_owned(),
        other => format!("makes a function with the option {other}, which is not allowed"),
    }
}

/// The body of a function in SQL is a text of statements like any other.
fn queries(rules: &Rules<'_>, statement: &Node, body: &str) -> Result<(), Fault> {
    let fault = |reason| Fault {
        reason,
        position: statement.location(),
    };
    let tree = parse(body, MIGRATION_BYTES_MAX)
        .map_err(|refusal| fault(format!("makes a function whose body is wrong: {refusal}")))?;
    let mut inner = Rules::new(rules.schema, rules.approved);
    inner.stars = true;
    let known = tree.nodes("stmts").filter_map(|raw| raw.node("stmt"));
    if !known
        .into_iter()
        .all(|node| STATEMENTS.contains(&node.kind))
    {
        return Err(fault(
            "makes a function whose body is more than queries".to_owned(),
        ));
    }
    tree.visit(&mut |node| inner.check(node))
        .map_err(|inner| fault(format!("makes a function whose body {}", inner.reason)))
}

/// What was seen of a body so far.
#[derive(Default)]
struct Seen {
    /// Whether the current command has said UPDATE, so that SET belongs to it.
    update: bool,
    /// The token before this one was SET.
    set: bool,
    /// A new command begins here.
    begins: bool,
}

fn tokens(statement: &Node, body: &str) -> Result<(), Fault> {
    let fault = |reason: String| Fault {
        reason,
        position: statement.location(),
    };
    let tokens = pg_query::scan_tokens(body)
        .map_err(|error| fault(format!("makes a function whose body is wrong: {error}")))?;
    let mut seen = Seen {
        begins: true,
        ..Seen::default()
    };
    for token in &tokens {
        let (start, end) = span(token).unwrap_or_default();
        let text = body.get(start..end).unwrap_or_default();
        if let Some(what) = refused(token, text, &mut seen) {
            return Err(fault(format!("makes a function whose body says {what}")));
        }
    }
    Ok(())
}

/// What is wrong with a token, if something is.
fn refused(token: &ScanToken, text: &str, seen: &mut Seen) -> Option<String> {
    match token.token() {
        Token::SqlComment | Token::CComment => return None,
        Token::Uident | Token::Usconst => return Some("a name with Unicode escapes".to_owned()),
        Token::Ident if text.starts_with('"') => {
            *seen = Seen {
                update: seen.update,
                ..Seen::default()
            };
            let name = text.trim_matches('"').replace("\"\"", "\"");
            return is_never(&name).then_some(name);
        }
        _ => {}
    }
    let word = text.to_ascii_lowercase();
    let wrong = among(KEYWORDS, &word)
        || is_never(&word)
        || (word == "do" && seen.begins)
        || (word == "set" && !seen.update)
        || (seen.set && among(AFTER_SET, &word));
    let boundary = among(BOUNDARIES, &word);
    *seen = Seen {
        update: !boundary && (seen.update || word == "update"),
        set: word == "set",
        begins: boundary,
    };
    wrong.then(|| text.to_uppercase())
}

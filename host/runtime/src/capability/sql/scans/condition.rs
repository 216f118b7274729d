//! The conditions of a plan, as Postgres writes them: `((t.a = $1) AND (t.b < $2))`. With
//! VERBOSE each column has its table's alias before it.

/// What an index on a column can look up. The longer ones first, where one begins with
/// another.
const OPERATORS: [&str; 6] = [" = ANY ", " = ", " <= ", " >= ", " < ", " > "];

/// The conditions that all have to hold.
pub(super) fn conjuncts(text: &str) -> Vec<&str> {
    let inner = text
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'));
    match inner.map(|inner| split(inner, " AND ")) {
        Some(parts) if parts.len() > 1 => parts,
        _ => vec![text],
    }
}

/// Splits a text where the separator stands outside of parentheses and quotes.
fn split<'t>(text: &'t str, separator: &str) -> Vec<&'t str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((part, after)) = split_once(rest, separator) {
        parts.push(part);
        rest = after;
    }
    parts.push(rest);
    parts
}

fn split_once<'t>(text: &'t str, separator: &str) -> Option<(&'t str, &'t str)> {
    let (mut depth, mut quote) = (0i32, None);
    for (at, letter) in text.char_indices() {
        match (quote, letter) {
            (Some(open), _) if open == letter => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(letter),
            (None, '(' | '[') => depth += 1,
            (None, ')' | ']') => depth -= 1,
            (None, _) if depth == 0 => {
                let found = text.get(at..).and_then(|rest| rest.strip_prefix(separator));
                if let Some(after) = found {
                    return Some((text.get(..at)?, after));
                }
            }
            (None, _) => {}
        }
    }
    None
}

/// Whether a condition of an index is on that column of it. That a column has some value
/// is no key: nearly all rows have one.
pub(super) fn is_on(condition: &str, alias: &str, column: &str) -> bool {
    let bare = bare(&unprefixed(condition, alias));
    let bare = bare.strip_prefix("ROW").unwrap_or(&bare);
    let rest = bare.strip_prefix(self::bare(column).as_str());
    rest.is_some_and(|rest| !rest.starts_with(is_of_a_name) && rest != " IS NOT NULL")
}

/// What a column is compared with, where an index on it could look that up.
pub(super) fn looked_up<'t>(condition: &'t str, alias: &str, column: &str) -> Option<&'t str> {
    let inner = condition.strip_prefix('(')?.strip_suffix(')')?;
    let mut sides = OPERATORS
        .iter()
        .filter_map(|sign| Some((*sign, split_once(inner, sign)?)));
    let (sign, (left, right)) = sides.next()?;
    let is_column = |side: &str| is_same(side, alias, column);
    match (is_column(left), sign != " = ANY " && is_column(right)) {
        (true, _) => Some(right),
        (false, true) => Some(left),
        (false, false) => None,
    }
}

/// Whether two texts say the same of one table, of which the second has no alias.
pub(super) fn is_same(text: &str, alias: &str, other: &str) -> bool {
    bare(&unprefixed(text, alias)) == bare(other)
}

/// Whether it says of the column that it has a value.
pub(super) fn is_not_null(predicate: &str, column: &str) -> bool {
    bare(predicate) == format!("{} IS NOT NULL", bare(column))
}

/// Whether a text has a column of that table.
pub(super) fn names(text: &str, alias: &str) -> bool {
    unprefixed(text, alias) != text
}

/// The text without the table's alias before its columns.
fn unprefixed(text: &str, alias: &str) -> String {
    let quoted = format!("\"{}\".", alias.replace('"', "\"\""));
    without(&text.replace(&quoted, ""), &format!("{alias}."))
}

/// The text without a prefix of names; what only ends with it is another name.
fn without(text: &str, prefix: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(prefix) {
        result.push_str(before);
        if before.ends_with(is_of_a_name) {
            result.push_str(prefix);
        }
        rest = after;
    }
    result.push_str(rest);
    result
}

/// Postgres writes more or fewer parentheses in one place than in another.
fn bare(text: &str) -> String {
    text.replace(['(', ')'], "")
}

fn is_of_a_name(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '_' | '$' | '"' | '.')
}

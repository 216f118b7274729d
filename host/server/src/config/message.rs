//! Serde's refusals in the words of the person who wrote the file.

/// Characters of a found value that are shown.
const FOUND_CHARS_MAX: usize = 60;

/// What is wrong and what would be right.
pub(super) fn plain(message: &str) -> String {
    if message.starts_with("unknown field ") {
        return unknown_key(message);
    }
    if message.starts_with("unknown variant ") {
        return unknown_choice(message);
    }
    let refusal = ["invalid type: ", "invalid value: "]
        .iter()
        .find_map(|prefix| message.strip_prefix(prefix))
        .and_then(|rest| rest.rsplit_once(", expected "));
    match refusal {
        Some((found, expected)) => wrong_value(found, expected),
        None if message.contains("socket address") => {
            "expected an address and a port, for example \"127.0.0.1:8080\"".to_owned()
        }
        None => message.to_owned(),
    }
}

/// The known name that is nearest to a wrong one, where one is near.
pub(super) fn nearest<'n>(
    wrong: &str,
    known: impl IntoIterator<Item = &'n str>,
) -> Option<&'n str> {
    let far = wrong.chars().count().div_ceil(3);
    let distances = known.into_iter().map(|name| (distance(wrong, name), name));
    let near = distances
        .filter(|(distance, _)| *distance <= far)
        .min_by_key(|(distance, _)| *distance);
    near.map(|(_, name)| name)
}

fn unknown_key(message: &str) -> String {
    let mut names = quoted(message);
    let wrong = names.next().unwrap_or_default();
    let known: Vec<&str> = names.collect();
    match nearest(wrong, known.iter().copied()) {
        Some(name) => format!("unknown key, did you mean `{name}`?"),
        None if known.is_empty() => "unknown key, none is allowed here".to_owned(),
        None => format!("unknown key, expected one of {}", known.join(", ")),
    }
}

fn unknown_choice(message: &str) -> String {
    let mut names = quoted(message);
    let wrong = names.next().unwrap_or_default();
    let known: Vec<String> = names.map(|name| format!("{name:?}")).collect();
    format!("expected {}, found {wrong:?}", known.join(" or "))
}

/// Everything between backticks.
fn quoted(message: &str) -> impl Iterator<Item = &str> {
    message.split('`').skip(1).step_by(2)
}

/// A found value is shown only where a number, a choice or an address belongs: a
/// secret that was written in the wrong place must not reach the terminal.
fn wrong_value(found: &str, expected: &str) -> String {
    let expected = kind_expected(expected);
    let shows = !matches!(expected, "a table" | "a list" | "a string");
    let found = if shows {
        shown(found)
    } else {
        kind_found(found).to_owned()
    };
    format!("expected {expected}, found {found}")
}

fn kind_expected(expected: &str) -> &str {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => {
            "a whole number that is not negative or too large"
        }
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a string" | "path string" | "string" => "a string",
        "a sequence" => "a list",
        "a map" => "a table",
        other if other.starts_with("struct ") => "a table",
        other if other.contains("socket address") => "an address such as \"127.0.0.1:8080\"",
        other => other,
    }
}

fn kind_found(found: &str) -> &str {
    match found.split(' ').next().unwrap_or_default() {
        "string" => "a string",
        "integer" => "a whole number",
        "floating" => "a number",
        "boolean" => "true or false",
        "map" => "a table",
        "sequence" => "a list",
        _ => "something else",
    }
}

fn shown(found: &str) -> String {
    let value = match found.split_once(' ') {
        Some(("string", text)) => text,
        _ => quoted(found).next().unwrap_or_else(|| kind_found(found)),
    };
    if value.chars().count() <= FOUND_CHARS_MAX {
        return value.to_owned();
    }
    value.chars().take(FOUND_CHARS_MAX).chain(['…']).collect()
}

/// Levenshtein's distance: insertions, deletions and replacements.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (index, from) in a.chars().enumerate() {
        let mut left = index + 1;
        let mut diagonal = index;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, to) in row.iter_mut().skip(1).zip(b.chars()) {
            let replaced = diagonal + usize::from(from != to);
            diagonal = *cell;
            left = replaced.min(*cell + 1).min(left + 1);
            *cell = left;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{distance, nearest, plain};

    #[test]
    fn distance_counts_single_edits() {
        for (a, b, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("rows_mx", "rows_max", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn the_nearest_name_is_offered_only_when_it_is_near() {
        let known = ["rows_max", "bytes_max"];
        assert_eq!(nearest("row_max", known), Some("rows_max"));
        assert_eq!(nearest("colour", known), None);
    }

    #[test]
    fn a_secret_in_the_wrong_place_is_not_shown() {
        let message = r#"invalid type: string "hunter2", expected struct SecretSource"#;
        assert_eq!(plain(message), "expected a table, found a string");
    }

    #[test]
    fn a_value_of_the_wrong_type_is_shown() {
        let message = r#"invalid type: string "many", expected bool"#;
        assert_eq!(plain(message), r#"expected bool, found "many""#);
    }
}

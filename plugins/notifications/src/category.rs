//! Names of categories.

use hearth_plugin::fields::Field;

/// The default category.
pub const DEFAULT: &str = "general";
/// Characters at most.
const LENGTH_MAX: usize = 64;

pub const WRONG: &str = "this must be 1 to 64 lower-case letters, digits and . _ -";

/// Whether a text can name a category.
pub fn is_category(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let within = |byte: u8| plain(byte) || b"._-".contains(&byte);
    let begins = text.bytes().next().is_some_and(plain);
    begins && text.len() <= LENGTH_MAX && text.bytes().all(within)
}

/// A field or parameter that names one.
pub fn checked(field: Field<'_, String>) -> Option<String> {
    let is_right = |text: &String| is_category(text);
    field.check("not_allowed", WRONG, is_right).optional()
}

/// The category of an event that has no template: the first word of its type.
pub fn of_event(kind: &str) -> String {
    let word = kind.split('.').next().unwrap_or_default();
    let mut word = word
        .to_ascii_lowercase()
        .replace(|c: char| !c.is_ascii(), "");
    word.truncate(LENGTH_MAX);
    match is_category(&word) {
        true => word,
        false => DEFAULT.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn category_is_a_small_word() {
        let long = "x".repeat(65);
        for name in ["a", "billing", "1.2-3_4"] {
            assert!(is_category(name), "{name}");
        }
        for name in ["", "A", "a b", ".a", "a\"", "\u{e4}", &long] {
            assert!(!is_category(name), "{name}");
        }
    }

    #[test]
    fn every_type_of_an_event_has_a_category() {
        for (kind, expected) in [
            ("ticket.created", "ticket"),
            ("Invoice", "invoice"),
            ("a b.c", DEFAULT),
            ("", DEFAULT),
        ] {
            assert_eq!(of_event(kind), expected);
        }
        assert!(is_category(&of_event(&"y".repeat(200))));
    }
}

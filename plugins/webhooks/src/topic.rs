//! Names of event types, such as `invoice.paid`, and the patterns of endpoints for
//! them: a name, a prefix such as `invoice.*`, or `*`.

/// Characters of a name or pattern at most.
const LENGTH_MAX: usize = 128;

/// Whether a text is the name of an event type: words of ASCII letters, digits, `_`
/// and `-`, with dots between them.
pub fn is_name(text: &str) -> bool {
    text.len() <= LENGTH_MAX && text.split('.').all(is_word)
}

/// Whether a text says which event types an endpoint wants.
pub fn is_pattern(text: &str) -> bool {
    let begins = text.strip_suffix(".*");
    text == "*" || text.len() <= LENGTH_MAX && is_name(begins.unwrap_or(text))
}

fn is_word(word: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    !word.is_empty() && word.bytes().all(allowed)
}

/// All patterns that match a name: so one look at an endpoint's list tells.
///
/// `invoice.*` is for everything below `invoice`, however deep, and not for itself.
pub fn patterns_of(name: &str) -> Vec<String> {
    let dots = name.match_indices('.');
    let begins = dots.filter_map(|(dot, _)| name.get(..dot).map(|begin| [begin, ".*"].concat()));
    let whole = ["*".to_string(), name.to_string()];
    begins.chain(whole).collect()
}

/// Whether an endpoint with this list, which wants everything where it is empty,
/// gets events of this type.
pub fn wants(list: &[String], name: &str) -> bool {
    let patterns = patterns_of(name);
    list.is_empty() || list.iter().any(|own| patterns.contains(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words_with_dots_between_them() {
        for name in ["ping", "invoice.paid", "a.b-c.d_1", &"a".repeat(128)] {
            assert!(is_name(name) && is_pattern(name), "{name}");
        }
        for wrong in [
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "a b",
            "ä",
            "*",
            "a.*",
            &"a".repeat(129),
        ] {
            assert!(!is_name(wrong), "{wrong}");
        }
        for wrong in ["", ".*", "**", "a*", "a.*.b", "*.a", "a.*.*"] {
            assert!(!is_pattern(wrong), "{wrong}");
        }
        assert!(is_pattern("*") && is_pattern("invoice.*"));
    }

    #[test]
    fn endpoints_get_what_they_want_and_nothing_else() {
        let wanted = |list: &[&str], name| {
            let list: Vec<String> = list.iter().map(ToString::to_string).collect();
            wants(&list, name)
        };
        assert!(wanted(&[], "invoice.paid"), "no list wants everything");
        assert!(wanted(&["*"], "invoice.paid"));
        assert!(wanted(&["order.*", "invoice.*"], "invoice.paid"));
        assert!(wanted(&["invoice.*"], "invoice.line.added"));
        assert!(wanted(&["invoice.paid"], "invoice.paid"));
        for (list, name) in [
            (["invoice.*"], "invoice"),
            (["invoice.*"], "invoices.paid"),
            (["invoice.paid"], "invoice.paid.late"),
            (["invoice"], "invoice.paid"),
        ] {
            assert!(!wanted(&list, name), "{list:?} {name}");
        }
    }
}

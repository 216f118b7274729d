//! A parameter of a connection string that libpq knows and the driver does not.
//!
//! Both forms are read as the driver reads them: `postgres://user@host/db?name=value`,
//! and libpq's own, `host=h name='a value'` (PostgreSQL 18, section 32.1.1).

use std::ops::Range;

use zeroize::Zeroizing;

/// The string without that parameter, and its value. The last one counts, as with libpq.
pub(super) fn take(text: &str, name: &str) -> (Zeroizing<String>, Option<String>) {
    match parameters_at(text) {
        Some(at) => take_from_url(text, at, name),
        None => take_from_pairs(text, name),
    }
}

/// Where a URL's parameters begin, or its end; `None` for what is no URL. A password may
/// hold a question mark.
fn parameters_at(text: &str) -> Option<usize> {
    let schemes = ["postgres://", "postgresql://"];
    let scheme = schemes.iter().find(|scheme| text.starts_with(**scheme));
    let behind = scheme?.len();
    let at = |from: usize, what: char| {
        let rest = text.get(from..).unwrap_or_default();
        rest.find(what).map(|found| from + found)
    };
    let host = at(behind, '@').unwrap_or(behind);
    Some(at(host, '?').unwrap_or(text.len()))
}

fn take_from_url(text: &str, at: usize, name: &str) -> (Zeroizing<String>, Option<String>) {
    let (head, tail) = text.split_at(at);
    let query = tail.strip_prefix('?').unwrap_or_default();
    let mut value = None;
    let kept: Vec<&str> = query
        .split('&')
        .filter(|pair| match pair.split_once('=') {
            Some((key, written)) if key == name => {
                value = Some(decoded(written));
                false
            }
            _ => !pair.is_empty(),
        })
        .collect();
    let mark = if kept.is_empty() { "" } else { "?" };
    let rest = Zeroizing::new(format!("{head}{mark}{}", kept.join("&")));
    (rest, value)
}

fn decoded(text: &str) -> String {
    let decoded = percent_encoding::percent_decode_str(text);
    decoded.decode_utf8_lossy().into_owned()
}

fn take_from_pairs(text: &str, name: &str) -> (Zeroizing<String>, Option<String>) {
    let mut rest = Zeroizing::new(String::with_capacity(text.len()));
    let (mut value, mut from) = (None, 0);
    while let Some(pair) = pair(text, from) {
        let whole = text.get(from..pair.end).unwrap_or_default();
        from = pair.end;
        match text.get(pair.key) == Some(name) {
            true => value = Some(pair.value),
            false => rest.push_str(whole),
        }
    }
    // What is no pair is the driver's to refuse.
    rest.push_str(text.get(from..).unwrap_or_default());
    (rest, value)
}

struct Pair {
    key: Range<usize>,
    value: String,
    end: usize,
}

/// The pair that begins at or behind `from`.
fn pair(text: &str, from: usize) -> Option<Pair> {
    let is_space = |c: char| c.is_whitespace();
    let skip = |at: usize, what: &dyn Fn(char) -> bool| {
        let rest = text.get(at..).unwrap_or_default();
        at + rest.find(|c| !what(c)).unwrap_or(rest.len())
    };
    let begins = skip(from, &is_space);
    let ends = skip(begins, &|c| c != '=' && !is_space(c));
    let equals = skip(ends, &is_space);
    if begins == ends || !text.get(equals..)?.starts_with('=') {
        return None;
    }
    let (value, end) = value(text, skip(equals + 1, &is_space))?;
    Some(Pair {
        key: begins..ends,
        value,
        end,
    })
}

/// A value, bare or in single quotation marks, and where it ends. A backslash takes
/// the next character as it is.
fn value(text: &str, from: usize) -> Option<(String, usize)> {
    let quoted = text.get(from..)?.starts_with('\'');
    let from = from + usize::from(quoted);
    let mut value = String::new();
    let mut letters = text.get(from..)?.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\'' if quoted => return Some((value, from + at + 1)),
            '\\' => value.extend(letters.next().map(|(_, next)| next)),
            space if space.is_whitespace() && !quoted => return Some((value, from + at)),
            other => value.push(other),
        }
    }
    (!quoted && !value.is_empty()).then_some((value, text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(text: &str) -> (String, Option<String>) {
        let (rest, value) = take(text, "sslrootcert");
        (rest.to_string(), value)
    }

    fn of(rest: &str, value: &str) -> (String, Option<String>) {
        (rest.to_owned(), Some(value.to_owned()))
    }

    #[test]
    fn parameter_of_a_url_is_taken_out_and_its_escapes_are_undone() {
        let url =
            "postgres://u:a?b@h:1/d?sslmode=verify-full&sslrootcert=%2Fetc%2Frds%20ca.pem&x=1";
        let rest = "postgres://u:a?b@h:1/d?sslmode=verify-full&x=1";
        assert_eq!(taken(url), of(rest, "/etc/rds ca.pem"));
        let alone = "postgresql://h/d?sslrootcert=system";
        assert_eq!(taken(alone), of("postgresql://h/d", "system"));
    }

    #[test]
    fn parameter_among_pairs_is_taken_out_bare_or_quoted() {
        let pairs = r"host=h sslrootcert = '/etc/it\'s here.pem' password='sslrootcert=x y' user=u";
        let rest = r"host=h password='sslrootcert=x y' user=u";
        assert_eq!(taken(pairs), of(rest, "/etc/it's here.pem"));
        assert_eq!(taken("user=u sslrootcert=a\\ b"), of("user=u", "a b"));
    }

    #[test]
    fn text_without_it_stays_as_it_is() {
        for text in [
            "postgres://u:p@h/d",
            "postgres://u:p@h/d?sslmode=require",
            "host=h user=u",
            "host='never closed sslrootcert=x",
            "= sslrootcert",
            "é",
            "",
        ] {
            assert_eq!(taken(text), (text.to_owned(), None), "{text}");
        }
    }
}

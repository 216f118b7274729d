//! Templates: texts with placeholders for data, such as `{{ticket.subject}}`, and
//! nothing else.

use hearth_plugin::percent;
use hearth_plugin::prelude::*;

/// A text between its places.
enum Part<'t> {
    Text(&'t str),
    /// The names and positions that lead to a value.
    Place(&'t str),
}

/// What is wrong with a text, if anything is.
pub fn mistake(text: &str) -> Option<&'static str> {
    parts(text).err()
}

/// The text with the data in its places; a place without data is empty.
pub fn render(text: &str, data: &Value) -> String {
    fill(text, data, |value| value)
}

/// The same for a URL, where data is encoded.
pub fn render_url(text: &str, data: &Value) -> String {
    fill(text, data, |value| percent::encode(&value))
}

fn fill(text: &str, data: &Value, encode: fn(String) -> String) -> String {
    let parts = parts(text).unwrap_or_default().into_iter();
    let texts = parts.map(|part| match part {
        Part::Text(text) => text.to_string(),
        Part::Place(path) => encode(text_of(at(data, path))),
    });
    texts.collect()
}

fn parts(text: &str) -> Result<Vec<Part<'_>>, &'static str> {
    let (mut parts, mut rest) = (Vec::new(), text);
    while let Some((before, behind)) = rest.split_once("{{") {
        let (path, after) = behind
            .split_once("}}")
            .ok_or("a placeholder that begins with {{ must end with }}")?;
        let path = path.trim();
        if !is_path(path) {
            return Err(
                "a placeholder must have names with dots between them, like {{ticket.subject}}",
            );
        }
        parts.extend([Part::Text(before), Part::Place(path)]);
        rest = after;
    }
    parts.push(Part::Text(rest));
    Ok(parts)
}

fn is_path(path: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    let mut names = path.split('.');
    names.all(|name| !name.is_empty() && name.bytes().all(plain))
}

fn at<'d>(data: &'d Value, path: &str) -> Option<&'d Value> {
    let mut value = data;
    for name in path.split('.') {
        value = match value {
            Value::Array(values) => values.get(name.parse::<usize>().ok()?)?,
            value => value.get(name)?,
        };
    }
    Some(value)
}

fn text_of(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    }
}

/// The first characters of a text, so many at most, the last of them `…` where some
/// are missing.
pub fn cut(text: String, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        None => text,
        Some(_) => {
            let kept = text.chars().take(chars_max.saturating_sub(1));
            kept.chain(['\u{2026}']).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_stands_in_its_places() {
        let data = json!({"a": {"b": "x y", "n": 1.5, "list": [1, {"c": true}]}, "none": null});
        for (text, expected) in [
            ("{{a.b}} and {{ a.n }}", "x y and 1.5"),
            ("{{a.list.1.c}}{{a.list.9}}{{none}}{{b}}", "true"),
            ("{{a.list}}", r#"[1,{"c":true}]"#),
            ("nothing } here {", "nothing } here {"),
        ] {
            assert_eq!(render(text, &data), expected, "{text}");
        }
        assert_eq!(render_url("/t/{{a.b}}?n={{a.n}}", &data), "/t/x%20y?n=1.5");
    }

    #[test]
    fn data_is_no_text_with_places() {
        assert_eq!(render("{{a}}", &json!({"a": "{{b}}", "b": "x"})), "{{b}}");
    }

    #[test]
    fn mistakes_are_told() {
        for text in [
            "{{a",
            "{{}}",
            "{{a b}}",
            "{{a..b}}",
            "{{#if a}}",
            "x {{ {{a}}",
        ] {
            assert!(mistake(text).is_some(), "{text}");
        }
        assert!(mistake("{{a}} {{ b.c }}").is_none());
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(cut("\u{e4}\u{e4}\u{e4}".into(), 3), "\u{e4}\u{e4}\u{e4}");
        assert_eq!(
            cut("\u{e4}\u{e4}\u{e4}\u{e4}".into(), 3),
            "\u{e4}\u{e4}\u{2026}"
        );
    }
}

//! The requester: the person who opened a ticket or wrote a comment, if one key is used
//! for many people. A name, an e-mail address, or both.

use hearth_plugin::prelude::*;

const NAME_CHARS_MAX: usize = 255;
/// Source: RFC 5321, section 4.5.3.1: 64 octets, the sign and 255 octets.
const EMAIL_CHARS_MAX: usize = 320;

/// The changes of a requester in a body: members to set, or null to remove.
pub fn read(fields: &mut Fields) -> Change<Map<String, Value>> {
    let given = fields.object("requester").change();
    if let Change::Set(members) = &given {
        for (name, value) in members {
            if let Some((code, detail)) = fault(name, value) {
                fields.refuse_at(&["requester", name], code, detail);
            }
        }
    }
    given
}

fn fault(name: &str, value: &Value) -> Option<(&'static str, &'static str)> {
    match (name, value) {
        ("name" | "email", Value::Null) => None,
        ("name", Value::String(text)) if is_name(text) => None,
        ("email", Value::String(text)) if is_email(text) => None,
        ("name", Value::String(_)) => Some(("not_allowed", "this must have 1 to 255 characters")),
        ("email", Value::String(_)) => Some(("not_allowed", "this must be an e-mail address")),
        ("name" | "email", _) => Some(("wrong_type", "this must be a string")),
        _ => Some(("unknown", "unknown field")),
    }
}

fn is_name(text: &str) -> bool {
    (1..=NAME_CHARS_MAX).contains(&text.chars().count())
}

/// Whether it can be an e-mail address: something, `@`, and something after it. Only
/// sending shows whether it exists.
fn is_email(text: &str) -> bool {
    let plain = |part: &str| !part.is_empty() && !part.contains(['@', ' ']);
    let parts = text.rsplit_once('@');
    parts.is_some_and(|(local, domain)| plain(local) && plain(domain))
        && text.chars().count() <= EMAIL_CHARS_MAX
        && !text.chars().any(char::is_control)
}

/// The requester with these members set, and without those that are null.
pub fn merged(before: Option<&Json>, members: &Map<String, Value>) -> Option<Json> {
    let mut merged = before
        .and_then(|before| before.0.as_object().cloned())
        .unwrap_or_default();
    merged.extend(members.clone());
    merged.retain(|_, value| !value.is_null());
    (!merged.is_empty()).then_some(Json(Value::Object(merged)))
}

/// The one of something new.
pub fn new(fields: &mut Fields) -> Option<Json> {
    match read(fields) {
        Change::Set(members) => merged(None, &members),
        Change::Keep | Change::Clear => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_of(requester: Value) -> Result<Option<Json>, Problem> {
        let mut fields = Fields::of(json!({"requester": requester}))?;
        let requester = new(&mut fields);
        fields.finish().map(|()| requester)
    }

    #[test]
    fn requester_has_a_name_or_an_address_or_both() {
        for right in [
            json!({"name": "Ada"}),
            json!({"email": "ada+1@example.com"}),
            json!({"name": "Ada", "email": "ada@localhost"}),
        ] {
            assert_eq!(read_of(right.clone()).unwrap(), Some(Json(right)));
        }
        for nobody in [json!({}), json!({"name": null}), Value::Null] {
            assert_eq!(read_of(nobody).unwrap(), None);
        }
        for (wrong, pointer) in [
            (json!("Ada"), "/requester"),
            (json!({"name": ""}), "/requester/name"),
            (json!({"name": 7}), "/requester/name"),
            (json!({"email": "ada"}), "/requester/email"),
            (json!({"email": "a@b@c"}), "/requester/email"),
            (json!({"email": "a\n@b"}), "/requester/email"),
            (json!({"phone": "1"}), "/requester/phone"),
        ] {
            let problem = read_of(wrong.clone()).unwrap_err();
            let errors = format!("{:?}", problem.field_errors());
            assert!(
                errors.contains(&format!("{pointer}\"")),
                "{wrong}: {errors}"
            );
        }
    }

    #[test]
    fn members_are_merged_and_the_last_that_goes_takes_the_requester_along() {
        let before = Json(json!({"name": "Ada", "email": "a@b"}));
        let change = json!({"email": null, "name": "Eve"});
        let after = merged(Some(&before), change.as_object().unwrap());
        assert_eq!(after, Some(Json(json!({"name": "Eve"}))));
        let gone = merged(after.as_ref(), json!({"name": null}).as_object().unwrap());
        assert_eq!(gone, None);
    }
}

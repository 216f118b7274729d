//! When two JSON values are the same (Core, section 4.2.2): numbers by what they
//! are, so `1` and `1.0` are one, and objects without their order.

use std::collections::BTreeSet;

use hearth_plugin::json::Value;

use super::decimal::Decimal;

pub fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(_), Value::Number(_)) => compare(one, other) == Some(0),
        (Value::Array(ones), Value::Array(others)) => {
            ones.len() == others.len() && ones.iter().zip(others).all(|(a, b)| equal(a, b))
        }
        (Value::Object(ones), Value::Object(others)) => {
            let same = |(name, one): (&String, &Value)| {
                others.get(name).is_some_and(|other| equal(one, other))
            };
            ones.len() == others.len() && ones.iter().all(same)
        }
        (one, other) => one == other,
    }
}

/// Whether a number is less (-1), the same (0) or more (1) than another, by all of
/// their digits.
pub fn compare(one: &Value, other: &Value) -> Option<i8> {
    Some(Decimal::of(one)?.cmp(&Decimal::of(other)?) as i8)
}

/// Whether a number is a multiple of another, which is above 0.
pub fn is_multiple(number: &Value, of: &Value) -> bool {
    let (number, of) = (Decimal::of(number), Decimal::of(of));
    number
        .zip(of)
        .is_some_and(|(number, of)| number.is_multiple_of(&of))
}

/// Whether no two items are the same.
pub fn are_different(items: &[Value]) -> bool {
    let mut seen = BTreeSet::new();
    items.iter().all(|item| {
        let mut text = String::new();
        write(item, &mut text);
        seen.insert(text)
    })
}

/// One text for all values that are the same.
fn write(value: &Value, out: &mut String) {
    match value {
        Value::Number(_) => {
            out.extend(Decimal::of(value).map(|number| number.to_string()));
        }
        Value::Array(items) => {
            out.push('[');
            for item in items {
                write(item, out);
                out.push(',');
            }
            out.push(']');
        }
        Value::Object(members) => {
            let sorted: std::collections::BTreeMap<_, _> = members.iter().collect();
            out.push('{');
            for (name, member) in sorted {
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push(':');
                write(member, out);
                out.push(',');
            }
            out.push('}');
        }
        other => out.push_str(&other.to_string()),
    }
}

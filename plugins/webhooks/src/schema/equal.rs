//! When two JSON values are the same (Core, section 4.2.2): numbers by what they
//! are, so `1` and `1.0` are one, and objects without their order.

use std::collections::BTreeSet;

use hearth_plugin::json::Value;

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

/// Whether a number is less (-1), the same (0) or more (1) than another. Whole
/// numbers of 64 bits are compared exactly.
pub fn compare(one: &Value, other: &Value) -> Option<i8> {
    let ordering = match (whole(one), whole(other)) {
        (Some(one), Some(other)) => one.cmp(&other),
        _ => one.as_f64()?.partial_cmp(&other.as_f64()?)?,
    };
    Some(ordering as i8)
}

/// Whether a number is a multiple of another, which is above 0. Fractions count as
/// the decimal ones that they were written as, to some fifteen digits.
pub fn is_multiple(number: &Value, of: &Value) -> bool {
    if let (Some(number), Some(of)) = (whole(number), whole(of)) {
        return of != 0 && number % of == 0;
    }
    let (Some(number), Some(of)) = (number.as_f64(), of.as_f64()) else {
        return false;
    };
    let quotient = number / of;
    let tolerance = (quotient.abs() * 1e-15).max(1e-9);
    quotient.is_finite() && (quotient - quotient.round()).abs() <= tolerance
}

fn whole(value: &Value) -> Option<i128> {
    let signed = value.as_i64().map(i128::from);
    signed.or_else(|| value.as_u64().map(i128::from))
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
        Value::Number(_) => out.push_str(&number(value)),
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

/// A number without what makes no difference, such as `.0`.
fn number(value: &Value) -> String {
    let float = value.as_f64().unwrap_or_default();
    match whole(value) {
        Some(whole) => whole.to_string(),
        None if float == 0.0 => "0".into(),
        None => float.to_string(),
    }
}

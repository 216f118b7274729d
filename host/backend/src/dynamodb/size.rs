//! How large DynamoDB finds an item, which decides whether it takes it, and how many
//! bytes it is on its way there.
//!
//! The rules are those of the DynamoDB developer guide, "Item sizes and formats",
//! with the cost of a number as measured on the service.

use aws_sdk_dynamodb::types::AttributeValue;

/// Of one item with its key, by [`attribute_bytes`] (AWS: 400 KB).
pub const ITEM_BYTES_MAX: usize = 400 << 10;
/// Of a partition key (AWS).
pub const PARTITION_BYTES_MAX: usize = 2_048;
/// Of a sort key (AWS).
pub const SORT_BYTES_MAX: usize = 1_024;
/// Of an attribute's name (AWS: 64 KB).
pub const NAME_BYTES_MAX: usize = 65_535;
/// Maps and lists around a value, the outermost of which is the attribute itself
/// (AWS: 32 levels with the item).
pub const DEPTH_MAX: usize = 31;

/// What every map, list and one of their members cost beside what is in them.
const COLLECTION_BYTES: usize = 3;
const MEMBER_BYTES: usize = 1;

/// An attribute with its name.
pub fn attribute_bytes(name: &str, value: &AttributeValue) -> usize {
    name.len() + value_bytes(value)
}

fn value_bytes(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(text) => number_bytes(text),
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        AttributeValue::Ss(texts) => texts.iter().map(String::len).sum(),
        AttributeValue::Ns(texts) => texts.iter().map(|text| number_bytes(text)).sum(),
        AttributeValue::Bs(all) => all.iter().map(|bytes| bytes.as_ref().len()).sum(),
        AttributeValue::L(values) => {
            let member = |value| MEMBER_BYTES + value_bytes(value);
            COLLECTION_BYTES + values.iter().map(member).sum::<usize>()
        }
        AttributeValue::M(members) => {
            let member = |(name, value): (&String, _)| MEMBER_BYTES + attribute_bytes(name, value);
            COLLECTION_BYTES + members.iter().map(member).sum::<usize>()
        }
        // True, false and null.
        _ => 1,
    }
}

/// One byte, one for a minus, and one for two significant digits on either side of
/// the point.
fn number_bytes(text: &str) -> usize {
    let (coefficient, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i64 = exponent.parse().unwrap_or_default();
    let digits = coefficient.trim_start_matches(['-', '+']);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = [whole, fraction].concat();
    let point = i64::try_from(whole.len()).unwrap_or(i64::MAX);
    let leading = all.len() - all.trim_start_matches('0').len();
    let significant = all.trim_matches('0').len();
    if significant == 0 {
        return 1;
    }
    // The digits before the point, of the significant ones.
    let before = point
        .saturating_add(exponent)
        .saturating_sub(i64::try_from(leading).unwrap_or(i64::MAX));
    let before = usize::try_from(before).unwrap_or(0).min(significant);
    let sign = usize::from(text.starts_with('-'));
    1 + sign + before.div_ceil(2) + (significant - before).div_ceil(2)
}

/// An attribute in a request's JSON, at most: `"name":{"S":"value"},`.
pub fn attribute_wire_bytes(name: &str, value: &AttributeValue) -> usize {
    string_wire_bytes(name) + value_wire_bytes(value) + 2
}

/// What stands around the attributes of one item: `{"DeleteRequest":{"Key":{}}},`.
pub const WRITE_WIRE_BYTES: usize = 64;

fn value_wire_bytes(value: &AttributeValue) -> usize {
    const AROUND: usize = r#"{"BOOL":false}"#.len();
    let inside = match value {
        AttributeValue::S(text) => string_wire_bytes(text),
        AttributeValue::N(text) => text.len() + 2,
        AttributeValue::B(bytes) => bytes.as_ref().len().div_ceil(3) * 4 + 2,
        AttributeValue::Ss(texts) => texts.iter().map(|text| string_wire_bytes(text) + 1).sum(),
        AttributeValue::Ns(texts) => texts.iter().map(|text| text.len() + 3).sum(),
        AttributeValue::Bs(all) => {
            let one = |len: usize| len.div_ceil(3) * 4 + 3;
            all.iter().map(|bytes| one(bytes.as_ref().len())).sum()
        }
        AttributeValue::L(values) => values.iter().map(|value| value_wire_bytes(value) + 1).sum(),
        AttributeValue::M(members) => {
            let member = |(name, value): (&String, _)| attribute_wire_bytes(name, value);
            members.iter().map(member).sum()
        }
        _ => 0,
    };
    AROUND + inside
}

/// Quotes and backslashes are written as two bytes, control characters as `\u001f`.
fn string_wire_bytes(text: &str) -> usize {
    let byte = |byte: u8| match byte {
        b'"' | b'\\' => 2,
        0..0x20 => 6,
        _ => 1,
    };
    2 + text.bytes().map(byte).sum::<usize>()
}

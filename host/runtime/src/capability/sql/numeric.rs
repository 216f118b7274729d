//! Postgres's `numeric`, exact, between decimal notation and its binary form.
//!
//! The binary form has four 16-bit numbers (how many digit groups, the weight of
//! the first, the sign, how many decimal places are shown) and then the groups,
//! each of four decimal digits.

const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xC000;
const INFINITY: u16 = 0xD000;
const NEGATIVE_INFINITY: u16 = 0xF000;

/// Postgres's own bounds: digits before and after the decimal point.
const INTEGER_DIGITS_MAX: usize = 131_072;
const FRACTION_DIGITS_MAX: usize = 16_383;

/// From decimal notation (`-12.50`), `NaN`, `Infinity` or `-Infinity`. `None`
/// where the text is none of them or has more digits than Postgres can hold.
pub(super) fn encode(text: &str) -> Option<Vec<u8>> {
    match text {
        "NaN" => return Some(binary(&[], 0, NAN, 0)),
        "Infinity" => return Some(binary(&[], 0, INFINITY, 0)),
        "-Infinity" => return Some(binary(&[], 0, NEGATIVE_INFINITY, 0)),
        _ => {}
    }
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (NEGATIVE, rest),
        None => (0, text.strip_prefix('+').unwrap_or(text)),
    };
    let (integer, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if !well_formed(integer, fraction) {
        return None;
    }
    let scale = u16::try_from(fraction.len()).ok()?;
    let (groups, weight) = groups(integer.trim_start_matches('0'), fraction)?;
    let sign = if groups.is_empty() { 0 } else { sign };
    Some(binary(&groups, weight, sign, scale))
}

fn well_formed(integer: &str, fraction: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let some = !(integer.is_empty() && fraction.is_empty());
    some && digits(integer)
        && digits(fraction)
        && integer.len() <= INTEGER_DIGITS_MAX
        && fraction.len() <= FRACTION_DIGITS_MAX
}

/// Groups of four digits around the decimal point, without zeros at either end,
/// and the weight of the first.
fn groups(integer: &str, fraction: &str) -> Option<(Vec<u16>, i16)> {
    let lead = (4 - integer.len() % 4) % 4;
    let trail = (4 - fraction.len() % 4) % 4;
    let mut digits = vec![b'0'; lead];
    digits.extend_from_slice(integer.as_bytes());
    digits.extend_from_slice(fraction.as_bytes());
    digits.extend(std::iter::repeat_n(b'0', trail));
    let group = |four: &[u8]| {
        four.iter()
            .fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'))
    };
    let all: Vec<u16> = digits.chunks(4).map(group).collect();
    let zeros = all.iter().take_while(|group| **group == 0).count();
    let end = all
        .iter()
        .rposition(|group| *group != 0)
        .map_or(0, |last| last + 1);
    let whole = i64::try_from((lead + integer.len()) / 4).ok()?;
    let weight = match end {
        0 => 0,
        _ => i16::try_from(whole - 1 - i64::try_from(zeros).ok()?).ok()?,
    };
    Some((all.get(zeros..end).unwrap_or_default().to_vec(), weight))
}

fn binary(groups: &[u16], weight: i16, sign: u16, scale: u16) -> Vec<u8> {
    let mut out = Vec::with_capacity(8 + groups.len() * 2);
    // At most 131,072 / 4 + 16,383 / 4 groups, which fit.
    out.extend_from_slice(
        &u16::try_from(groups.len())
            .unwrap_or(u16::MAX)
            .to_be_bytes(),
    );
    out.extend_from_slice(&weight.to_be_bytes());
    out.extend_from_slice(&sign.to_be_bytes());
    out.extend_from_slice(&scale.to_be_bytes());
    groups
        .iter()
        .for_each(|group| out.extend_from_slice(&group.to_be_bytes()));
    out
}

/// To decimal notation, with as many decimal places as Postgres shows.
pub(super) fn decode(raw: &[u8]) -> Option<String> {
    let (head, rest) = raw.split_first_chunk::<8>()?;
    let [
        _,
        _,
        weight_high,
        weight_low,
        sign_high,
        sign_low,
        scale_high,
        scale_low,
    ] = *head;
    let negative = match u16::from_be_bytes([sign_high, sign_low]) {
        0 => false,
        NEGATIVE => true,
        NAN => return Some("NaN".into()),
        INFINITY => return Some("Infinity".into()),
        NEGATIVE_INFINITY => return Some("-Infinity".into()),
        _ => return None,
    };
    let weight = i64::from(i16::from_be_bytes([weight_high, weight_low]));
    let scale = usize::from(u16::from_be_bytes([scale_high, scale_low]));
    let (pairs, []) = rest.as_chunks::<2>() else {
        return None;
    };
    let groups: Vec<u16> = pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
    Some(text(&groups, weight, negative, scale))
}

fn text(groups: &[u16], weight: i64, negative: bool, scale: usize) -> String {
    // The group that stands for 10000 to the power of `place`.
    let group = |place: i64| {
        let index = usize::try_from(weight - place).ok();
        index
            .and_then(|index| groups.get(index))
            .copied()
            .unwrap_or(0)
    };
    let mut out = String::from(if negative { "-" } else { "" });
    let integer: String = (0..=weight.max(0))
        .rev()
        .map(|place| format!("{:04}", group(place)))
        .collect();
    let integer = integer.trim_start_matches('0');
    out.push_str(if integer.is_empty() { "0" } else { integer });
    if scale > 0 {
        let places = i64::try_from(scale.div_ceil(4)).unwrap_or(0);
        let fraction: String = (1..=places)
            .map(|place| format!("{:04}", group(-place)))
            .collect();
        out.push('.');
        out.push_str(fraction.get(..scale).unwrap_or(&fraction));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_notation_survives() {
        for text in [
            "0",
            "0.00",
            "1",
            "-1",
            "10000",
            "9999.9999",
            "0.0001",
            "0.00000001",
            "-12.50",
            "123456789012345678901234567890.123456789",
            "100000000",
            "NaN",
            "Infinity",
            "-Infinity",
        ] {
            let encoded = encode(text).unwrap();
            assert_eq!(decode(&encoded).as_deref(), Some(text));
        }
    }

    #[test]
    fn other_notations_mean_the_same_number() {
        for (given, meant) in [
            ("+1", "1"),
            ("007", "7"),
            (".5", "0.5"),
            ("5.", "5"),
            ("-0", "0"),
        ] {
            assert_eq!(
                encode(given).and_then(|raw| decode(&raw)).as_deref(),
                Some(meant)
            );
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in [
            "",
            ".",
            "-",
            "1e5",
            "1,5",
            " 1",
            "0x1",
            "1.2.3",
            "--1",
            "nan",
            &"1".repeat(131_073),
        ] {
            assert_eq!(encode(text), None);
        }
    }

    #[test]
    fn malformed_bytes_are_refused() {
        assert_eq!(decode(&[]), None);
        assert_eq!(decode(&[0, 1, 0, 0, 0, 0, 0, 0, 1]), None);
        assert_eq!(decode(&[0, 0, 0, 0, 0x12, 0, 0, 0]), None);
    }

    #[test]
    fn any_digits_survive() {
        // Every length of both parts, so every alignment of the groups.
        for integer in 1..=13 {
            for fraction in 0..=13 {
                let digits: String = "7301900204006"
                    .chars()
                    .cycle()
                    .take(integer + fraction)
                    .collect();
                let (whole, rest) = digits.split_at(integer);
                let text = if rest.is_empty() {
                    whole.into()
                } else {
                    format!("{whole}.{rest}")
                };
                assert_eq!(encode(&text).and_then(|raw| decode(&raw)), Some(text));
            }
        }
    }

    #[test]
    fn no_bytes_panic() {
        for byte in [0x00, 0x01, 0x40, 0x7F, 0x80, 0xFF] {
            for length in 0..32 {
                let _ = decode(&vec![byte; length]);
            }
        }
    }
}

//! Numbers, exact in both directions.
//!
//! DynamoDB's numbers have 38 significant digits and a magnitude between 1E-130 and
//! 9.99…E+125. What fits keeps its value whatever its spelling was: `1.50`, `15e-1`
//! and `1.5` are one number, and come back as `1.5`. What does not fit is refused,
//! and never rounded.

use super::Error;

/// AWS.
const DIGITS_MAX: usize = 38;
/// Of the first significant digit (AWS).
const EXPONENTS: std::ops::RangeInclusive<i64> = -130..=125;

/// The one spelling of a number's value, which is both JSON's and DynamoDB's.
///
/// # Errors
/// [`Error::Invalid`] for what DynamoDB cannot hold exactly.
pub(super) fn canonical(text: &str) -> Result<String, Error> {
    let unsigned = text.trim_start_matches(['-', '+']);
    let (coefficient, power) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = coefficient.split_once('.').unwrap_or((coefficient, ""));
    let digits = [whole, fraction].concat();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Error::Invalid(format!("`{}` is no number", shown(text))));
    }
    let significant = digits.trim_matches('0');
    if significant.is_empty() {
        return Ok("0".to_owned());
    }
    let leading = digits.len() - digits.trim_start_matches('0').len();
    let exponent = exponent(whole.len(), leading, power);
    let exponent = exponent.filter(|exponent| EXPONENTS.contains(exponent));
    match exponent {
        Some(exponent) if significant.len() <= DIGITS_MAX => {
            let sign = if text.starts_with('-') { "-" } else { "" };
            Ok(format!("{sign}{}", spelled(significant, exponent)))
        }
        _ => Err(Error::Invalid(format!(
            "the number `{}` has more than {DIGITS_MAX} digits or is out of the range 1e-130 to \
             9.9e125: send it as a text",
            shown(text)
        ))),
    }
}

/// Of the first significant digit. `None` for a power that no number here has.
fn exponent(whole: usize, leading: usize, power: &str) -> Option<i64> {
    let power: i64 = power.parse().ok()?;
    let whole = i64::try_from(whole).ok()?;
    let leading = i64::try_from(leading).ok()?;
    power.checked_add(whole - 1 - leading)
}

/// Without an exponent, as DynamoDB spells numbers: some that speak its protocol know
/// no other spelling.
fn spelled(digits: &str, exponent: i64) -> String {
    let Ok(before) = usize::try_from(exponent + 1) else {
        let zeros = usize::try_from(-exponent - 1).unwrap_or_default();
        return format!("0.{}{digits}", "0".repeat(zeros));
    };
    match digits.split_at_checked(before) {
        Some(("", rest)) => format!("0.{rest}"),
        Some((whole, "")) => whole.to_owned(),
        Some((whole, rest)) => format!("{whole}.{rest}"),
        None => format!("{digits}{}", "0".repeat(before - digits.len())),
    }
}

/// A number may have a million digits; its message has not.
fn shown(text: &str) -> String {
    const CHARS_MAX: usize = 60;
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

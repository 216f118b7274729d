//! Amounts of money: exact decimals, as clients write them and Postgres keeps them.

use hearth_plugin::sql::Numeric;

use crate::model::Forecast;

/// No amount is that large, whatever the currency; a float still holds its cents.
pub const AMOUNT_MAX: f64 = 1e15;
/// More characters, or digits after the point, are no amount of money.
const CHARACTERS_MAX: usize = 40;
/// Down to the smallest float, which JSON may carry.
const EXPONENT_MAX: i32 = 330;

/// A decimal as JSON writes numbers. `None` where it is none, or too large.
pub fn parse(text: &str) -> Option<Numeric> {
    let number = text.parse::<f64>().ok()?;
    let bytes = text.as_bytes();
    let plain = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
    let begins = matches!(bytes, [b'0'..=b'9', ..] | [b'-', b'0'..=b'9', ..]);
    let exponent = text
        .split_once(['e', 'E'])
        .map_or("0", |(_, exponent)| exponent);
    let small = exponent.parse::<i32>().ok()?.abs() <= EXPONENT_MAX;
    let fits = text.len() <= CHARACTERS_MAX && number.abs() <= AMOUNT_MAX;
    let is_amount = bytes.iter().all(plain) && begins && small && fits;
    is_amount.then(|| Numeric(text.into()))
}

/// The same of a decimal as exporters write it: with a plus, or without a digit on one
/// side of the point.
pub fn parse_exported(text: &str) -> Option<Numeric> {
    let text = text.trim();
    let (sign, digits) = match text.split_at_checked(1) {
        Some(("-", digits)) => ("-", digits),
        Some(("+", digits)) => ("", digits),
        _ => ("", text),
    };
    let zero = if digits.starts_with('.') { "0" } else { "" };
    let digits = digits.strip_suffix('.').unwrap_or(digits);
    let begins = digits.starts_with(|first: char| first.is_ascii_digit() || first == '.');
    begins.then(|| parse(&[sign, zero, digits].concat()))?
}

/// The nearest float, for models.
pub fn number(amount: &Numeric) -> f64 {
    amount.0.parse().unwrap_or_default()
}

/// How forecasts are rounded: to cents; of small amounts, to five digits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rounding {
    units: f64,
}

impl Rounding {
    /// For a forecast and whatever is a part of it.
    pub fn of(forecast: &Forecast) -> Rounding {
        let means = forecast.points.iter().map(|point| point.mean.abs());
        Rounding::for_amounts_of(means.fold(0.0, f64::max))
    }

    /// For amounts up to about so much.
    pub fn for_amounts_of(largest: f64) -> Rounding {
        let digits = largest.max(1e-9).log10().floor() as i32;
        Rounding {
            units: 10_f64.powi((4 - digits).clamp(2, 12)),
        }
    }

    /// The nearest amount that is answered.
    pub fn round(self, amount: f64) -> f64 {
        let rounded = (amount * self.units).round() / self.units;
        if rounded.is_finite() {
            rounded + 0.0
        } else {
            amount
        }
    }

    /// Rounds amounts so that they add up to their rounded sum: those that lose most
    /// by rounding down get what is left.
    pub fn round_to_sum(self, amounts: &[f64], sum: f64) -> Vec<f64> {
        let units: Vec<_> = amounts.iter().map(|amount| amount * self.units).collect();
        let mut rounded: Vec<_> = units.iter().map(|units| units.floor()).collect();
        let left = (sum * self.units).round() - rounded.iter().sum::<f64>();
        let mut order: Vec<_> = units.iter().zip(&mut rounded).collect();
        order.sort_by(|(one, _), (other, _)| lost(**other).total_cmp(&lost(**one)));
        let count = left.clamp(0.0, order.len() as f64) as usize;
        for (_, rounded) in order.into_iter().take(count) {
            *rounded += 1.0;
        }
        rounded
            .iter()
            .map(|units| units / self.units + 0.0)
            .collect()
    }
}

/// What rounding down takes away.
fn lost(units: f64) -> f64 {
    units - units.floor()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_kept_as_they_are() {
        for text in ["0", "-1.50", "12345678901234.123456789", "1e-7", "0.1E+2"] {
            assert_eq!(parse(text), Some(Numeric(text.into())), "{text}");
        }
        for text in [
            "", "-", "+1", ".5", "1e99", "NaN", "inf", "1_000", "1,5", " 1", "0x1", "2e15",
            "1e-999",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn decimals_of_exporters_become_those() {
        for (text, decimal) in [
            (".5", "0.5"),
            ("-.50", "-0.50"),
            ("+12", "12"),
            (" 7. ", "7"),
            ("-1.5E-05", "-1.5E-05"),
            ("0.02000000000", "0.02000000000"),
        ] {
            assert_eq!(
                parse_exported(text),
                Some(Numeric(decimal.into())),
                "{text}"
            );
        }
        for text in [
            ".", "-", "+-1", "--1", "..5", "-.", "1,5", "$1", "1 000", "",
        ] {
            assert_eq!(parse_exported(text), None, "{text}");
        }
    }

    #[test]
    fn forecasts_are_rounded_to_cents_or_five_digits() {
        let of = Rounding::for_amounts_of;
        assert_eq!(of(1234.5).round(1.23456), 1.23);
        assert_eq!(of(0.5).round(0.123_456_78), 0.12346);
        assert_eq!(of(3.0).round(-0.00001).to_string(), "0");
        assert_eq!(of(0.0).round(0.0), 0.0);
    }

    #[test]
    fn rounded_parts_add_up() {
        let rounding = Rounding::for_amounts_of(100.0);
        let parts = rounding.round_to_sum(&[33.333_33; 3], 100.0);
        assert_eq!(parts, [33.34, 33.33, 33.33]);
        let parts = rounding.round_to_sum(&[-1.006, 2.006, 0.0], 1.0);
        assert_eq!(rounding.round(parts.iter().sum()), 1.0);
        assert_eq!(rounding.round_to_sum(&[], 0.0), [0.0; 0]);
    }
}

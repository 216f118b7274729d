//! Numbers of JSON as the decimals that they are written as, compared exactly: a float
//! would take 18446744073709551617 for 18446744073709551616, and 0.3 for no multiple of
//! 0.1.

use std::cmp::Ordering;

use hearth_plugin::json::Value;

/// Digits times ten to the power of the exponent. There is no zero at either end of the
/// digits, so each number is written in one way; zero has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decimal {
    is_negative: bool,
    /// From 0 to 9 each.
    digits: Vec<u8>,
    exponent: i64,
}

/// Digits that a divisor may have, so that the rest of a division fits in 128 bits.
const DIVISOR_DIGITS_MAX: usize = 37;

impl Decimal {
    /// `None` for what is no number.
    pub fn of(value: &Value) -> Option<Self> {
        let Value::Number(number) = value else {
            return None;
        };
        Decimal::parse(&number.to_string())
    }

    fn parse(text: &str) -> Option<Self> {
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = whole.bytes().chain(fraction.bytes());
        let digits = digits.map(|digit| digit.wrapping_sub(b'0'));
        let mut digits: Vec<u8> = digits.skip_while(|digit| *digit == 0).collect();
        let behind = i64::try_from(fraction.len()).ok()?;
        let mut exponent = exponent.parse::<i64>().ok()?.checked_sub(behind)?;
        while digits.pop_if(|digit| *digit == 0).is_some() {
            exponent = exponent.checked_add(1)?;
        }
        let is_zero = digits.is_empty();
        Some(Decimal {
            is_negative: !is_zero && unsigned.len() < text.len(),
            digits,
            exponent: if is_zero { 0 } else { exponent },
        })
    }

    /// Whether there is nothing behind the point.
    pub fn is_whole(&self) -> bool {
        self.exponent >= 0
    }

    /// Whether anything can be divided by it.
    pub fn is_divisor(&self) -> bool {
        !self.is_negative && self.divisor().is_some()
    }

    fn divisor(&self) -> Option<u128> {
        let fits = (1..=DIVISOR_DIGITS_MAX).contains(&self.digits.len());
        let digits = self.digits.iter();
        fits.then(|| digits.fold(0, |number, digit| number * 10 + u128::from(*digit)))
    }

    /// Whether it is a whole multiple of another one, which is a divisor.
    pub fn is_multiple_of(&self, of: &Decimal) -> bool {
        let (Some(divisor), false) = (of.divisor(), self.digits.is_empty()) else {
            return self.digits.is_empty();
        };
        // Its last digit is not 0: what ten divides divides it not.
        let Ok(tens) = u32::try_from(self.exponent - of.exponent) else {
            return false;
        };
        // So many tens behind the digits take as many twos and fives of the divisor.
        let divisor = without(without(divisor, 2, tens), 5, tens);
        let rest = |rest: u128, digit: &u8| (rest * 10 + u128::from(*digit)) % divisor;
        self.digits.iter().fold(0, rest) == 0
    }

    /// -1, 0 or 1.
    fn sign(&self) -> i8 {
        match self.digits.is_empty() {
            true => 0,
            false => 1 - 2 * i8::from(self.is_negative),
        }
    }

    /// The number of digits before the point, if all were written out.
    fn magnitude(&self) -> i64 {
        self.exponent.saturating_add(self.digits.len() as i64)
    }
}

/// A number without a factor, taken out so often at most.
fn without(mut number: u128, factor: u128, times: u32) -> u128 {
    for _ in 0..times {
        if !number.is_multiple_of(factor) {
            break;
        }
        number /= factor;
    }
    number
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let size = self.magnitude().cmp(&other.magnitude());
        let size = size.then_with(|| self.digits.cmp(&other.digits));
        self.sign().cmp(&other.sign()).then(match self.is_negative {
            true => size.reverse(),
            false => size,
        })
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// One text for all that are the same.
impl std::fmt::Display for Decimal {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(if self.is_negative { "-" } else { "" })?;
        for digit in &self.digits {
            write!(out, "{digit}")?;
        }
        write!(out, "e{}", self.exponent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn order_is_that_of_numbers_to_the_last_digit() {
        let ascending = [
            "-1e300",
            "-18446744073709551617",
            "-18446744073709551616",
            "-10",
            "-9.5",
            "-0.001",
            "0",
            "1e-300",
            "0.0010000000000000000001",
            "0.0011",
            "1",
            "1.5",
            "9007199254740993",
            "9007199254740993.00000000000000000001",
            "18446744073709551616",
            "18446744073709551617",
            "1e300",
        ];
        let sorted = |texts: &[&str]| texts.is_sorted_by(|a, b| decimal(a) < decimal(b));
        assert!(sorted(&ascending));
        for same in [
            ["1", "1.0"],
            ["100", "1e2"],
            ["0", "-0.00e9"],
            ["0.5", "5E-1"],
        ] {
            assert_eq!(decimal(same[0]), decimal(same[1]));
            assert_eq!(decimal(same[0]).to_string(), decimal(same[1]).to_string());
        }
    }

    #[test]
    fn multiples_are_exact() {
        for (number, of, holds) in [
            ("0.3", "0.1", true),
            ("19.99", "0.01", true),
            ("0.075", "0.01", false),
            ("4.5", "1.5", true),
            ("35", "1.5", false),
            ("0", "7", true),
            ("-9", "3", true),
            ("1e300", "8", true),
            ("1e300", "3", false),
            ("1e-300", "1", false),
            ("18446744073709551617", "2", false),
            ("123456789012345678901234567890", "1e-10", true),
            ("36893488147419103234", "18446744073709551617", true),
        ] {
            assert_eq!(
                decimal(number).is_multiple_of(&decimal(of)),
                holds,
                "{number} {of}"
            );
        }
        assert!(!decimal("0").is_divisor() && !decimal("-1").is_divisor());
        assert!(!decimal(&"1".repeat(38)).is_divisor());
    }

    #[test]
    fn whole_numbers_have_nothing_behind_the_point() {
        assert!(
            ["1.0", "-0", "1e3", "12.5e1"]
                .iter()
                .all(|text| decimal(text).is_whole())
        );
        assert!(
            ["1.5", "1e-1", "0.1"]
                .iter()
                .all(|text| !decimal(text).is_whole())
        );
    }
}

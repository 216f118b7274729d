//! Chooses which of the four costs is forecast if the request names none.

/// Told beside such a forecast.
pub const REASON: &str = "BilledCost is irregular, as payments in advance are, so EffectiveCost, \
                          which spreads them over their use, was forecast; metric=BilledCost \
                          forecasts what is invoiced";

/// What costs change from month to month, as a part of them, below which none are lumpy.
const ROUGHNESS_MIN: f64 = 0.1;
/// How much rougher than their use lumpy costs are.
const TIMES_ROUGHER: f64 = 2.0;
/// Of what was billed at least so much must be known to be used.
const USED_MIN: f64 = 0.5;

/// Whether costs are billed in lumps that their use has not.
pub fn is_lumpy(billed: &[Option<f64>], effective: &[Option<f64>]) -> bool {
    let (billed, effective) = (Course::of(billed), Course::of(effective));
    billed.roughness() > ROUGHNESS_MIN
        && billed.roughness() > TIMES_ROUGHER * effective.roughness()
        && effective.sum >= USED_MIN * billed.sum
}

/// What costs come to in all, and how much they change on the way; both without signs.
struct Course {
    sum: f64,
    changes: f64,
}

impl Course {
    fn of(amounts: &[Option<f64>]) -> Course {
        let known: Vec<_> = amounts.iter().copied().flatten().collect();
        let changes = known.iter().skip(1).zip(&known);
        Course {
            sum: known.iter().map(|amount| amount.abs()).sum(),
            changes: changes.map(|(next, own)| (next - own).abs()).sum(),
        }
    }

    fn roughness(&self) -> f64 {
        match self.sum > 0.0 {
            true => self.changes / self.sum,
            false => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn months(of: impl Fn(u32) -> f64) -> Vec<Option<f64>> {
        (0..24).map(|month| Some(of(month))).collect()
    }

    #[test]
    fn a_payment_in_advance_makes_what_is_billed_lumpy() {
        let used = months(|month| 2_000.0 + f64::from(month % 5));
        let yearly = months(|month| if month % 12 == 3 { 13_000.0 } else { 1_000.0 });
        assert!(is_lumpy(&yearly, &used));
        let nothing = months(|_| 0.0);
        assert!(!is_lumpy(&yearly, &nothing), "no use is known");
        assert!(!is_lumpy(&yearly, &yearly));
        assert!(
            !is_lumpy(&used, &months(|_| 2_000.0)),
            "hardly anything changes"
        );
        assert!(!is_lumpy(&[], &[]));
    }
}

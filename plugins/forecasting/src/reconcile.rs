//! Groups that add up to the total. The total has a forecast of its own, the same
//! whether it is grouped or not; what the groups' forecasts miss of it is shared among
//! them by their variance, as weighted least squares do (Hyndman and others 2011).

use crate::model::Point;

/// Changes the forecasts of all groups for one month so that their means add up to
/// that of the total. None gets a sign that it never had. An interval grows to where
/// its mean goes, and still holds what the group's own forecast held: a service that
/// always cost the same will, whatever the total says.
pub fn to_total(total: f64, quantiles: &[f64], groups: &mut [&mut Point]) {
    let moves = moves(total, groups);
    for (point, by) in groups.iter_mut().zip(moves) {
        stretch(point, by, quantiles);
    }
}

/// By how much the mean of each group changes: the uncertain ones first; where those
/// cannot take all of it, by what they are; and where nothing is anything, alike.
fn moves(total: f64, groups: &[&mut Point]) -> Vec<f64> {
    let weights: [fn(&Point) -> f64; 2] = [
        |point| (point.upper - point.lower).powi(2),
        |point| point.mean.abs(),
    ];
    let mut moves = vec![0.0; groups.len()];
    let mut left = total - groups.iter().map(|point| point.mean).sum::<f64>();
    for weight in weights {
        let weights = groups.iter().map(|point| weight(point)).collect();
        left = share(left, weights, groups, &mut moves);
    }
    let count = groups.len() as f64;
    moves.iter().map(|moved| moved + left / count).collect()
}

/// Shares an amount among groups by weight, as far as their signs allow. Answers what
/// is left.
fn share(mut left: f64, mut weights: Vec<f64>, groups: &[&mut Point], moves: &mut [f64]) -> f64 {
    // Each round but the last takes one group at least out.
    for _ in 0..=groups.len() {
        let sum: f64 = weights.iter().sum();
        if left == 0.0 || sum <= 0.0 {
            break;
        }
        let mut refused = 0.0;
        let shares = groups.iter().zip(&mut *moves).zip(&mut weights);
        for ((point, moved), weight) in shares {
            let wanted = *moved + left * *weight / sum;
            let allowed = within_its_sign(point, wanted);
            if allowed != wanted {
                *weight = 0.0;
            }
            *moved = allowed;
            refused += wanted - allowed;
        }
        left = refused;
    }
    left
}

/// How far the mean of a group may move, so that what was never negative stays so, and
/// what was never positive.
fn within_its_sign(point: &Point, by: f64) -> f64 {
    match (point.lower >= 0.0, point.upper <= 0.0) {
        (true, true) => 0.0,
        (true, false) => by.max(-point.mean),
        (false, true) => by.min(-point.mean),
        (false, false) => by,
    }
}

fn stretch(point: &mut Point, by: f64, quantiles: &[f64]) {
    let never_negative = point.lower >= 0.0 && point.mean + by >= 0.0;
    let never_positive = point.upper <= 0.0 && point.mean + by <= 0.0;
    let bounded = |bound: f64| match (never_negative, never_positive) {
        (true, _) if by < 0.0 => bound.max(0.0),
        (_, true) if by > 0.0 => bound.min(0.0),
        _ => bound,
    };
    let down = |bound: f64| bounded(bound.min(bound + by));
    let up = |bound: f64| bounded(bound.max(bound + by));
    point.mean += by;
    (point.lower, point.upper) = (down(point.lower), up(point.upper));
    for (value, part) in point.quantiles.iter_mut().zip(quantiles) {
        *value = match *part {
            part if part < 0.5 => down(*value),
            part if part > 0.5 => up(*value),
            _ => point.mean,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUANTILES: [f64; 3] = [0.1, 0.5, 0.9];

    fn point(mean: f64, half: f64) -> Point {
        Point {
            mean,
            lower: mean - half,
            upper: mean + half,
            quantiles: vec![mean - 0.8 * half, mean, mean + 0.8 * half],
        }
    }

    fn reconciled(total: f64, mut points: Vec<Point>) -> Vec<Point> {
        let mut borrowed: Vec<_> = points.iter_mut().collect();
        to_total(total, &QUANTILES, &mut borrowed);
        let sum: f64 = points.iter().map(|point| point.mean).sum();
        assert!((sum - total).abs() < 1e-9, "{sum} {total}");
        for point in &points {
            assert!(point.lower <= point.mean && point.mean <= point.upper);
            assert!(point.quantiles.is_sorted(), "{point:?}");
        }
        points
    }

    fn means(points: &[Point]) -> Vec<f64> {
        points.iter().map(|point| point.mean).collect()
    }

    #[test]
    fn what_is_missing_goes_to_the_uncertain() {
        let points = reconciled(
            110.0,
            vec![point(75.0, 6.0), point(25.0, 2.0), point(0.0, 0.0)],
        );
        assert_eq!(means(&points), [84.0, 26.0, 0.0]);
        assert_eq!((points[0].lower, points[0].upper), (69.0, 90.0));
        let points = reconciled(85.0, vec![point(90.0, 0.0), point(-10.0, 5.0)]);
        assert_eq!(means(&points), [90.0, -5.0]);
    }

    #[test]
    fn what_is_certain_stays_in_its_interval_wherever_its_mean_goes() {
        let points = reconciled(1194.0, vec![point(1000.0, 0.0), point(0.0, 0.0)]);
        assert_eq!(means(&points), [1194.0, 0.0]);
        assert_eq!((points[0].lower, points[0].upper), (1000.0, 1194.0));
        assert_eq!(points[0].quantiles, [1000.0, 1194.0, 1194.0]);
    }

    #[test]
    fn no_group_gets_a_sign_that_it_never_had() {
        let points = reconciled(50.0, vec![point(60.0, 10.0), point(20.0, 20.0)]);
        assert_eq!(means(&points), [50.0, 0.0]);
        assert!(points.iter().all(|point| point.lower >= 0.0));
        let points = reconciled(100.0, vec![point(90.0, 0.0), point(-10.0, 5.0)]);
        assert_eq!(means(&points), [100.0, 0.0]);
        let points = reconciled(10.0, vec![point(0.0, 0.0), point(0.0, 0.0)]);
        assert_eq!(means(&points), [5.0, 5.0]);
        reconciled(0.0, vec![point(0.0, 0.0)]);
        reconciled(0.0, vec![point(3.0, 1.0), point(4.0, 1.0)]);
        reconciled(-5.0, vec![point(3.0, 1.0), point(-4.0, 9.0)]);
    }
}

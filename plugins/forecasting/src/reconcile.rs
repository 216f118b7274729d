//! Groups that add up to the total. The total has a forecast of its own, the same
//! whether it is grouped or not; what the groups' forecasts add up to beside it is
//! shared among them.

use crate::model::Point;

/// Changes the forecasts of all groups for one month so that their means add up to
/// that of the total: by the same factor where all have the sign of the total, or
/// else by what is missing, shared by how uncertain each is. Intervals move along.
pub fn to_total(total: f64, groups: &mut [&mut Point]) {
    let sum: f64 = groups.iter().map(|point| point.mean).sum();
    let same_sign = groups.iter().all(|point| point.mean * total >= 0.0);
    if same_sign && sum != 0.0 && (total / sum).is_finite() {
        let factor = total / sum;
        for point in groups {
            point.mean *= factor;
            point.lower *= factor;
            point.upper *= factor;
        }
        return;
    }
    let width = |point: &Point| point.upper - point.lower;
    let widths: f64 = groups.iter().map(|point| width(point)).sum();
    let count = groups.len() as f64;
    for point in groups {
        let share = match widths > 0.0 {
            true => width(point) / widths,
            false => 1.0 / count,
        };
        let move_by = share * (total - sum);
        point.mean += move_by;
        point.lower += move_by;
        point.upper += move_by;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(mean: f64, half: f64) -> Point {
        Point {
            mean,
            lower: mean - half,
            upper: mean + half,
        }
    }

    fn reconciled(total: f64, mut points: Vec<Point>) -> Vec<Point> {
        let mut borrowed: Vec<_> = points.iter_mut().collect();
        to_total(total, &mut borrowed);
        let sum: f64 = points.iter().map(|point| point.mean).sum();
        assert!((sum - total).abs() < 1e-9, "{sum} {total}");
        for point in &points {
            assert!(point.lower <= point.mean && point.mean <= point.upper);
        }
        points
    }

    #[test]
    fn groups_of_one_sign_keep_their_shares() {
        let points = reconciled(
            120.0,
            vec![point(75.0, 5.0), point(25.0, 1.0), point(0.0, 0.0)],
        );
        let means: Vec<_> = points.iter().map(|point| point.mean).collect();
        assert_eq!(means, [90.0, 30.0, 0.0]);
        assert_eq!(points[0].upper, 96.0);
    }

    #[test]
    fn what_is_missing_goes_to_the_uncertain() {
        let points = reconciled(100.0, vec![point(90.0, 0.0), point(-10.0, 5.0)]);
        assert_eq!((points[0].mean, points[1].mean), (90.0, 10.0));
        let points = reconciled(10.0, vec![point(0.0, 0.0), point(0.0, 0.0)]);
        assert_eq!((points[0].mean, points[1].mean), (5.0, 5.0));
        reconciled(0.0, vec![point(0.0, 0.0)]);
        reconciled(0.0, vec![point(3.0, 1.0), point(4.0, 1.0)]);
    }
}

//! What holds whatever the history is.

use proptest::prelude::*;

use super::super::*;
use super::{forecast, means};

/// Amounts of every kind, months without one among them.
fn amounts() -> impl Strategy<Value = Option<f64>> {
    prop_oneof![
        6 => (1.0..1000.0).prop_map(Some),
        2 => (-10.0..1000.0).prop_map(Some),
        1 => Just(Some(0.0)),
        1 => Just(None),
        1 => (-1e15..1e15).prop_map(Some),
        1 => (1e-9..1e-3).prop_map(Some),
    ]
}

fn histories() -> impl Strategy<Value = Vec<Option<f64>>> {
    prop_oneof![
        prop::collection::vec(amounts(), 0..70),
        prop::collection::vec((0.5..2000.0).prop_map(Some), 3..200),
        (0.0..100.0, 3..50_usize, 0.0..1e6).prop_map(|(before, months, after)| {
            let mut jump = vec![Some(before); months];
            jump.extend([Some(after); 2]);
            jump
        }),
    ]
}

fn models() -> impl Strategy<Value = Model> {
    prop::sample::select(Model::ALL.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_amount_is_finite_and_inside_its_interval(
        history in histories(), months in 1..=18_usize, level in 0.5..0.99, model in models(),
    ) {
        let Ok(forecast) = forecast(&history, months, level, model) else {
            return Ok(());
        };
        prop_assert_eq!(forecast.points.len(), months);
        for Point { mean, lower, upper, .. } in &forecast.points {
            prop_assert!(mean.is_finite() && lower.is_finite() && upper.is_finite());
            prop_assert!(lower <= mean && mean <= upper, "{} {} {}", lower, mean, upper);
        }
        let Accuracy { smape, mase } = forecast.backtest.accuracy(months);
        prop_assert!(smape.is_none_or(|own| (0.0..=200.0).contains(&own)));
        prop_assert!(mase.is_none_or(|own| own.is_finite() && own >= 0.0));
    }

    #[test]
    fn what_never_was_negative_is_not_forecast_as_negative(history in histories()) {
        let history: Vec<_> = history.iter().map(|own| own.map(f64::abs)).collect();
        if let Ok(forecast) = forecast(&history, 18, 0.95, Model::Combined) {
            prop_assert!(forecast.points.iter().all(|point| point.lower >= 0.0));
        }
    }

    #[test]
    fn the_currency_does_not_matter(
        history in histories(), power in -20..20_i32, model in models(),
    ) {
        let factor = 2.0_f64.powi(power);
        let other: Vec<_> = history.iter().map(|own| own.map(|own| own * factor)).collect();
        let (one, other) = (forecast(&history, 12, 0.9, model), forecast(&other, 12, 0.9, model));
        let (Ok(one), Ok(other)) = (one, other) else {
            return Ok(());
        };
        for (one, other) in one.points.iter().zip(other.points) {
            prop_assert_eq!(one.mean * factor, other.mean);
            prop_assert_eq!(one.lower * factor, other.lower);
            prop_assert_eq!(one.upper * factor, other.upper);
        }
    }

    #[test]
    fn a_higher_level_is_wider_and_changes_nothing_else(history in histories()) {
        let at = |level| forecast(&history, 18, level, Model::Combined);
        let (Ok(narrow), Ok(wide)) = (at(0.6), at(0.95)) else {
            return Ok(());
        };
        for (narrow, wide) in narrow.points.iter().zip(wide.points) {
            prop_assert_eq!(narrow.mean, wide.mean);
            prop_assert!(wide.lower <= narrow.lower && narrow.upper <= wide.upper);
        }
    }

    #[test]
    fn fewer_months_are_the_first_of_more(
        history in histories(), months in 1..=18_usize, model in models(),
    ) {
        let few = forecast(&history, months, 0.9, model);
        let (Ok(few), Ok(all)) = (few, forecast(&history, 18, 0.9, model)) else {
            return Ok(());
        };
        prop_assert_eq!(&few.points[..], &all.points[..months]);
        prop_assert_eq!(means(&few), &means(&all)[..months]);
    }
}

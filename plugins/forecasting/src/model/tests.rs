//! What holds of every forecast, and what is known of some.

mod any;
mod odd;
mod parts;

use super::*;

/// A forecast without quantiles.
fn forecast(
    history: &[Option<f64>],
    months: usize,
    level: f64,
    model: Model,
) -> Result<Forecast, NotEnough> {
    let quantiles = Vec::new();
    super::forecast(history, months, &Bounds { level, quantiles }, model)
}

/// The months of a history without gaps.
fn history(amounts: &[f64]) -> Vec<Option<f64>> {
    amounts.iter().copied().map(Some).collect()
}

fn at_90(amounts: &[f64], months: usize) -> Forecast {
    forecast(&history(amounts), months, 0.9, Model::Combined).unwrap()
}

fn means(forecast: &Forecast) -> Vec<f64> {
    forecast.points.iter().map(|point| point.mean).collect()
}

/// Growth of so much a month, a season of so much, and noise without chance.
fn costs(months: usize, growth: f64, season: f64, noise: f64) -> Vec<f64> {
    let mut state = 1_u64;
    let mut chance = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
    };
    let month = |month: usize| {
        let wave = (month as f64 * std::f64::consts::TAU / 12.0).sin();
        1000.0 * (growth * month as f64 + season * wave + noise * chance()).exp()
    };
    (0..months).map(month).collect()
}

fn nearly(one: f64, other: f64, part: f64) -> bool {
    (one - other).abs() <= part * other.abs().max(1e-12)
}

#[test]
fn a_constant_stays_what_it_is_for_certain() {
    for months in [3, 11, 12, 18, 26, 60] {
        for point in at_90(&vec![250.0; months], 18).points {
            assert!(nearly(point.mean, 250.0, 1e-6), "{months}: {point:?}");
            assert!(nearly(point.upper - point.lower + 250.0, 250.0, 1e-6));
        }
    }
}

#[test]
fn nothing_stays_nothing() {
    let forecast = at_90(&[0.0; 30], 18);
    assert_eq!(forecast.points, vec![Point::default(); 18]);
}

#[test]
fn steady_growth_goes_on_and_fades() {
    for months in [4, 8, 15, 24, 48] {
        let known = costs(months + 1, 0.02, 0.0, 0.0);
        let means = means(&at_90(&known[..months], 18));
        assert!(means[0] > known[months - 1], "{months}: {means:?}");
        assert!(means.windows(2).all(|pair| pair[1] >= pair[0] * 0.999));
        assert!(means[17] < known[months - 1] * 1.02_f64.powi(25));
    }
}

#[test]
fn a_clear_season_comes_again() {
    for months in [26, 36, 60] {
        let all = costs(months + 12, 0.0, 0.4, 0.02);
        let forecast = at_90(&all[..months], 12);
        for (mean, actual) in means(&forecast).iter().zip(&all[months..]) {
            assert!(nearly(*mean, *actual, 0.12), "{months}: {mean} {actual}");
        }
    }
}

#[test]
fn one_jump_is_no_trend() {
    for months in [3, 6, 12, 24, 48] {
        let mut amounts = vec![100.0; months];
        *amounts.last_mut().unwrap() = 10_000.0;
        let forecast = at_90(&amounts, 18);
        for point in &forecast.points {
            assert!(point.mean <= 20_000.0, "{months}: {point:?}");
            assert!(point.lower >= 0.0 && point.upper.is_finite());
        }
    }
}

#[test]
fn two_months_are_not_enough_and_it_says_how_many_are() {
    let error = |found| NotEnough { wanted: 3, found };
    for (amounts, found) in [
        (vec![], 0),
        (vec![None, None, None], 0),
        (vec![Some(1.0)], 1),
        (vec![Some(1.0), None, None, Some(2.0)], 2),
    ] {
        let refused = forecast(&amounts, 6, 0.9, Model::Combined).unwrap_err();
        assert_eq!(refused, error(found));
    }
    let year = history(&[5.0; 11]);
    let refused = forecast(&year, 6, 0.9, Model::SeasonalNaive).unwrap_err();
    assert_eq!((refused.wanted, refused.found), (12, 11));
}

#[test]
fn months_before_the_first_cost_say_nothing() {
    let costs = costs(40, 0.01, 0.2, 0.1);
    let mut late = vec![Some(0.0), None, Some(0.0)];
    late.extend(history(&costs));
    let forecast = forecast(&late, 12, 0.9, Model::Combined).unwrap();
    assert_eq!(forecast.points, at_90(&costs, 12).points);
}

#[test]
fn a_gap_is_bridged() {
    let full = costs(48, 0.01, 0.2, 0.05);
    let mut gaps = history(&full);
    for month in [5, 20, 21, 40] {
        gaps[month] = None;
    }
    let bridged = forecast(&gaps, 12, 0.9, Model::Combined).unwrap();
    for (one, other) in means(&bridged).iter().zip(means(&at_90(&full, 12))) {
        assert!(nearly(*one, other, 0.1), "{one} {other}");
    }
    let filled = gaps::filled(&[None, Some(1.0), None, None, Some(4.0), None]);
    assert_eq!(filled, [1.0, 1.0, 2.0, 3.0, 4.0, 4.0]);
}

#[test]
fn the_default_is_better_than_single_models_are_together_and_its_intervals_hold() {
    let errors = |model| {
        let (mut percentage, mut inside, mut all) = (0.0, 0, 0);
        for case in 0..60 {
            let (growth, season) = (0.001 * (case % 7) as f64, 0.05 * (case % 5) as f64);
            let series = costs(66 + case, growth, season, 0.35);
            let (known, after) = series.split_at(48 + case);
            let forecast = forecast(&history(known), 18, 0.9, model).unwrap();
            for (point, actual) in forecast.points.iter().zip(after) {
                let (forecast, actual) = (point.mean, *actual);
                percentage += accuracy::Pair { forecast, actual }.symmetric_percentage();
                inside += usize::from((point.lower..=point.upper).contains(&actual));
                all += 1;
            }
        }
        (percentage / all as f64, inside as f64 / all as f64)
    };
    let (combined, inside) = errors(Model::Combined);
    assert!((0.85..0.95).contains(&inside), "{inside}");
    let singles = [Model::SeasonalNaive, Model::Damped, Model::Theta].map(|model| errors(model).0);
    let mean = singles.iter().sum::<f64>() / 3.0;
    assert!(combined < mean, "{combined} {singles:?}");
    assert!(
        singles.iter().all(|single| combined < single * 1.02),
        "{combined} {singles:?}"
    );
}

#[test]
fn each_forecast_of_the_past_is_the_one_that_its_months_give() {
    for months in [10, 16, 30, 70, 160] {
        let known = history(&costs(months, 0.01, 0.2, 0.2));
        let backtest = forecast(&known, 1, 0.9, Model::Combined).unwrap().backtest;
        assert!(!backtest.origins.is_empty());
        for origin in backtest.comparable_origins() {
            let (training, after) = known.split_at(origin.training);
            let then = forecast(training, origin.forecast.len(), 0.9, Model::Combined).unwrap();
            assert_eq!(origin.forecast, means(&then));
            assert_eq!(origin.actual, after[..origin.actual.len()]);
        }
    }
}

#[test]
fn accuracy_is_the_mean_over_origins_and_months() {
    let origin = |forecast: &[f64], actual: &[f64], naive_error| Origin {
        training: 20,
        forecast: forecast.to_vec(),
        actual: history(actual),
        naive_error,
    };
    let backtest = Backtest {
        history_months: 22,
        origins: vec![
            origin(&[110.0, 50.0], &[90.0, 150.0], Some(10.0)),
            origin(&[100.0], &[100.0], None),
        ],
    };
    let Accuracy { smape, mase } = backtest.accuracy(2);
    assert!(nearly(smape.unwrap(), (20.0 + 100.0 + 0.0) / 3.0, 1e-12));
    assert!(nearly(mase.unwrap(), (2.0 + 10.0) / 2.0, 1e-12));
    let first = backtest.accuracy(1);
    assert!(nearly(first.smape.unwrap(), 10.0, 1e-12));
    assert_eq!(backtest.accuracy(0).smape, None);
}

#[test]
fn a_month_that_breaks_with_the_others_is_a_surprise() {
    let mut amounts = costs(40, 0.01, 0.2, 0.05);
    assert_eq!(surprises(&history(&amounts), 24).unwrap(), []);
    amounts[35] *= 2.0;
    let found = surprises(&history(&amounts), 24).unwrap();
    let months: Vec<_> = found.iter().map(|own| own.months_after).collect();
    assert_eq!(months[0], 4, "{found:?}");
    assert!(found[0].actual > found[0].upper && found[0].expected < found[0].upper);
    assert_eq!(surprises(&history(&amounts), 3).unwrap().first(), None);
    let refused = surprises(&history(&amounts[..7]), 3).unwrap_err();
    assert_eq!((refused.wanted, refused.found), (8, 7));
}

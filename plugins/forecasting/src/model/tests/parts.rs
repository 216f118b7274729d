//! The parts of the models.

use super::super::line::Line;
use super::super::minimise::Search;
use super::super::scale::Scale;
use super::super::season::Season;
use super::super::spread::{Miss, Spread};
use super::super::*;
use super::{costs, nearly};

#[test]
fn the_simplex_finds_the_bottom_of_a_valley() {
    let mut asked = 0;
    let within = Search {
        start: [-1.2, 1.0],
        step: [0.5, 0.5],
        lower: [-5.0, -5.0],
        upper: [5.0, 5.0],
    };
    let [x, y] = within.minimise(2_000, |[x, y]| {
        asked += 1;
        (1.0 - x).powi(2) + 100.0 * (y - x * x).powi(2) + 1.0
    });
    assert!(nearly(x, 1.0, 0.01) && nearly(y, 1.0, 0.02), "{x} {y}");
    assert!(asked < 1_000, "{asked}");
}

#[test]
fn the_simplex_stays_in_its_box_and_within_its_evaluations() {
    let within = Search {
        start: [0.5],
        step: [0.3],
        lower: [0.0],
        upper: [1.0],
    };
    let mut asked = Vec::new();
    let [x] = within.minimise(30, |[x]| {
        asked.push(*x);
        -x * 3.0
    });
    assert!(nearly(x, 1.0, 1e-6));
    assert!(asked.len() <= 32 && asked.iter().all(|x| (0.0..=1.0).contains(x)));
    let stuck = within.minimise(30, |_| f64::NAN);
    assert!((0.0..=1.0).contains(&stuck[0]));
}

#[test]
fn a_line_goes_through_its_points() {
    let line = Line::through(&[1.0, 3.0, 5.0, 7.0]);
    assert_eq!((line.start, line.slope, line.at(10)), (1.0, 2.0, 21.0));
    assert_eq!(Line::through(&[4.0]).at(9), 4.0);
    assert_eq!(Line::through(&[]).at(9), 0.0);
}

#[test]
fn a_clear_season_is_found_and_chance_is_none() {
    let clear = costs(72, 0.01, 0.3, 0.02);
    let season = |amounts: &[f64]| {
        let scale = Scale::of(amounts);
        let values: Vec<_> = amounts.iter().map(|own| scale.value(*own)).collect();
        Season::of(&values, &scale)
    };
    let Season(months) = season(&clear);
    for (month, index) in months.iter().enumerate() {
        let wave = 0.3 * (month as f64 * std::f64::consts::TAU / 12.0).sin();
        assert!((index - wave).abs() < 0.05, "{month}: {index} {wave}");
    }
    let chance = costs(72, 0.01, 0.0, 0.5);
    let Season(months) = season(&chance);
    assert!(months.iter().all(|index| index.abs() < 0.06), "{months:?}");
    assert!(season(&clear[..23]).is_flat());
}

#[test]
fn without_logarithms_a_season_is_a_difference() {
    let waves = |month: usize| (month as f64 * std::f64::consts::TAU / 12.0).sin();
    let both_signs: Vec<_> = (0..60).map(|month| 5.0 + 30.0 * waves(month)).collect();
    let scale = Scale::of(&both_signs);
    assert!(!scale.is_logarithm());
    let values: Vec<_> = both_signs.iter().map(|own| scale.value(*own)).collect();
    let Season(months) = Season::of(&values, &scale);
    for (month, index) in months.iter().enumerate() {
        assert!((index - scale.value(30.0 * waves(month))).abs() < 1e-9);
    }
}

#[test]
fn a_shift_of_all_values_shifts_the_forecasts() {
    let values: Vec<_> = costs(50, 0.01, 0.2, 0.1)
        .iter()
        .map(|own| own.ln())
        .collect();
    let shifted: Vec<_> = values.iter().map(|own| own + 3.0).collect();
    let flat = Season::default();
    for (one, other) in [
        (
            theta::optimised(&values, 12),
            theta::optimised(&shifted, 12),
        ),
        (theta::of_pairs(&values, 12), theta::of_pairs(&shifted, 12)),
        (
            damped::forecast(&values, &flat, 12),
            damped::forecast(&shifted, &flat, 12),
        ),
        (short::drift(&values, 12), short::drift(&shifted, 12)),
        (
            short::seasonal_naive(&values, 12),
            short::seasonal_naive(&shifted, 12),
        ),
    ] {
        for (one, other) in one.iter().zip(other) {
            assert!((one + 3.0 - other).abs() < 1e-3, "{one} {other}");
        }
    }
}

#[test]
fn the_year_before_comes_again() {
    let values: Vec<_> = (0..14).map(f64::from).collect();
    let ahead = short::seasonal_naive(&values, 15);
    assert_eq!(ahead[..3], [2.0, 3.0, 4.0]);
    assert_eq!(ahead[12..], [2.0, 3.0, 4.0]);
    assert_eq!(short::seasonal_naive(&[7.0, 8.0], 3), [8.0; 3]);
}

#[test]
fn drift_is_what_cannot_be_chance() {
    let steady = short::drift(&[1.0, 2.0, 3.0, 4.0, 5.0], 3);
    assert!(nearly(steady[0], 5.9, 1e-9), "{steady:?}");
    let jump = short::drift(&[1.0, 1.0, 1.0, 1.0, 5.0], 3);
    assert_eq!(jump, [3.0; 3]);
}

/// Misses of one origin.
fn misses(errors: impl Iterator<Item = (usize, f64)>) -> Vec<Miss> {
    let miss = |(horizon, error)| Miss {
        position: 0,
        origin: 0,
        horizon,
        error,
    };
    errors.map(miss).collect()
}

#[test]
fn an_interval_is_the_quantile_of_the_errors_with_heavier_ends() {
    let spread = Spread::of(&misses((1..=97).map(|error| (1, f64::from(error)))), 60);
    let ratio = |level: f64, rank: f64| spread.half_widths(level, 1)[0] / rank;
    assert!(
        (0.8..0.9).contains(&ratio(0.5, 50.0)),
        "{}",
        ratio(0.5, 50.0)
    );
    assert!(ratio(0.5, 50.0) < ratio(0.9, 90.0) && ratio(0.9, 90.0) < ratio(0.97, 97.0));
    let widths = |level: f64| spread.half_widths(level, 1)[0];
    assert!(widths(0.99) > widths(0.97) * 1.1);
    assert_eq!(spread.half_widths(0.0, 3), [0.0; 3]);
    let short = Spread::of(&misses((1..=97).map(|error| (1, f64::from(error)))), 24);
    assert!(short.half_widths(0.5, 1)[0] > widths(0.5));
}

#[test]
fn later_origins_say_more() {
    let of = |origin: usize, error: f64| Miss {
        position: 0,
        origin,
        horizon: 1,
        error,
    };
    let width = |late: f64, early: f64| {
        let late = (0..6).map(|origin| of(origin, late));
        let early = (6..12).map(|origin| of(origin, early));
        let misses: Vec<_> = late.chain(early).collect();
        Spread::of(&misses, 60).half_widths(0.5, 1)[0]
    };
    assert!(width(1.0, 10.0) < 2.0 && width(10.0, 1.0) > 8.0);
}

#[test]
fn an_interval_widens_with_the_horizon_where_errors_do() {
    let rising = (1..=18).flat_map(|at| [(at, at as f64); 3]);
    let widths = Spread::of(&misses(rising), 60).half_widths(0.9, 18);
    assert!(nearly(widths[17], 18.0 * widths[0], 0.01), "{widths:?}");
    let falling = (1..=18).map(|at| (at, 20.0 - at as f64));
    let widths = Spread::of(&misses(falling), 60).half_widths(0.9, 18);
    assert_eq!(widths[0], widths[17]);
    assert_eq!(Spread::of(&[], 60).half_widths(0.9, 3), [0.0; 3]);
}

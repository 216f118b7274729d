//! The parts of the models.

use super::super::line::Line;
use super::super::minimise::Search;
use super::super::scale::Scale;
use super::super::season::Season;
use super::super::spread::Spread;
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
    let Season(months) = Season::of(&clear, &Scale::of(&clear));
    for (month, index) in months.iter().enumerate() {
        let wave = 0.3 * (month as f64 * std::f64::consts::TAU / 12.0).sin();
        assert!((index - wave).abs() < 0.05, "{month}: {index} {wave}");
    }
    let chance = costs(72, 0.01, 0.0, 0.5);
    let Season(months) = Season::of(&chance, &Scale::of(&chance));
    assert!(months.iter().all(|index| index.abs() < 0.06), "{months:?}");
    let short = &clear[..23];
    assert!(Season::of(short, &Scale::of(short)).is_flat());
}

#[test]
fn without_logarithms_a_season_is_a_difference() {
    let waves = |month: usize| (month as f64 * std::f64::consts::TAU / 12.0).sin();
    let both_signs: Vec<_> = (0..60).map(|month| 5.0 + 30.0 * waves(month)).collect();
    let scale = Scale::of(&both_signs);
    assert!(!scale.is_logarithm());
    let Season(months) = Season::of(&both_signs, &scale);
    for (month, index) in months.iter().enumerate() {
        assert!((index - scale.part(30.0 * waves(month))).abs() < 1e-9);
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

#[test]
fn an_interval_is_the_quantile_of_the_errors() {
    let errors: Vec<_> = (1..=97).map(|error| (1, f64::from(error))).collect();
    let spread = Spread::of(&errors);
    assert!(nearly(spread.half_width(0.5, 1), 50.0, 1e-9));
    assert!(nearly(spread.half_width(0.9, 1), 90.0, 1e-9));
    let all = spread.half_width(0.97, 1);
    assert!(nearly(all, 97.0, 1e-9) && spread.half_width(0.99, 1) > all * 1.1);
}

#[test]
fn an_interval_widens_with_the_horizon_where_errors_do() {
    let rising: Vec<_> = (1..=18).flat_map(|at| [(at, at as f64); 3]).collect();
    let spread = Spread::of(&rising);
    let widths: Vec<_> = (1..=18).map(|at| spread.half_width(0.9, at)).collect();
    assert!(nearly(widths[17], 18.0, 0.01) && nearly(widths[0], 1.0, 0.01));
    let falling: Vec<_> = (1..=18).map(|at| (at, 20.0 - at as f64)).collect();
    let spread = Spread::of(&falling);
    assert_eq!(spread.half_width(0.9, 1), spread.half_width(0.9, 18));
    assert_eq!(Spread::of(&[]).half_width(0.9, 3), 0.0);
}

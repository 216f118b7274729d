//! Odd months, levels that ended, and what comes once a year.

use super::*;

/// The months of about a hundred, one of them odd.
fn with_odd(months: usize, at: usize, odd: f64) -> Vec<f64> {
    let mut amounts: Vec<_> = (0..months)
        .map(|month| 100.0 + (month % 3) as f64)
        .collect();
    amounts[at] = odd;
    amounts
}

#[test]
fn an_odd_month_neither_bends_the_forecast_nor_widens_its_intervals() {
    for (months, at) in [
        (6, 4),
        (12, 10),
        (22, 10),
        (22, 20),
        (22, 21),
        (36, 30),
        (60, 58),
    ] {
        for odd in [10_000.0, 400.0, 20.0, 0.0] {
            let amounts = with_odd(months, at, odd);
            for point in at_90(&amounts, 12).points {
                let is_near = |bound: f64| (85.0..120.0).contains(&bound);
                let bounds = [point.lower, point.mean, point.upper];
                assert!(
                    bounds.into_iter().all(is_near),
                    "{months} {at} {odd}: {point:?}"
                );
            }
        }
    }
}

#[test]
fn the_usual_month_after_an_odd_one_is_no_surprise() {
    for odd in [10_000.0, 20.0, 0.0] {
        let found = surprises(&history(&with_odd(22, 20, odd)), 12).unwrap();
        let months: Vec<_> = found.iter().map(|own| own.months_after).collect();
        assert_eq!(months, [1], "{odd}: {found:?}");
    }
}

#[test]
fn an_odd_month_of_costs_that_grow_or_have_a_season_changes_nothing_else() {
    let growing = |step: f64, season: f64| -> Vec<f64> {
        let month = |at: u32| {
            let season = 1.0 + season * (f64::from(at) * std::f64::consts::PI / 6.0).sin();
            (1_000.0 + step * f64::from(at)) * season
        };
        (0..36).map(month).collect()
    };
    for (step, season) in [(50.0, 0.0), (-20.0, 0.0), (0.0, 0.2), (20.0, 0.2)] {
        let usual = growing(step, season);
        let told = |amounts: &[f64]| -> Vec<usize> {
            let found = surprises(&history(amounts), 6).unwrap();
            found.iter().map(|own| own.months_after).collect()
        };
        assert!(told(&usual).is_empty(), "{step} {season}");
        let ahead = means(&at_90(&usual, 6));
        for (after, odd) in [(0, 20.0), (1, 20.0), (1, 0.2), (3, 3.0), (5, 20.0)] {
            let mut amounts = usual.clone();
            amounts[35 - after] *= odd;
            assert_eq!(told(&amounts), [after], "{step} {season} {odd}");
            for (mean, usual) in means(&at_90(&amounts, 6)).iter().zip(&ahead) {
                let off = (mean / usual - 1.0).abs();
                assert!(off < 0.08, "{step} {season} {after} {odd}: {mean} {usual}");
            }
        }
    }
}

#[test]
fn a_level_that_ended_is_not_learnt_from() {
    let steps = |before: f64, after: f64, months: usize| -> Vec<f64> {
        (0..22)
            .map(|at| if at < 22 - months { before } else { after })
            .collect()
    };
    for months in [2, 3, 6, 15] {
        for (before, after) in [(1_400.0, 1_000.0), (400.0, 0.0), (100.0, 300.0)] {
            let amounts = steps(before, after, months);
            for point in at_90(&amounts, 12).points {
                assert!(
                    (point.mean - after).abs() < 1e-6 * before,
                    "{months}: {point:?}"
                );
                assert!(point.lower <= after && after <= point.upper, "{point:?}");
            }
            let found = surprises(&history(&amounts), 24).unwrap();
            let told: Vec<_> = found.iter().map(|own| own.months_after).collect();
            assert_eq!(told, [months - 1], "a new level is told once: {found:?}");
        }
    }
}

#[test]
fn what_comes_once_a_year_comes_again_whole_and_in_its_month() {
    let bills = |base: f64, months: usize| -> Vec<f64> {
        let bill = |month: usize| {
            if month % 12 == 3 {
                base + 12_000.0
            } else {
                base
            }
        };
        (0..months).map(bill).collect()
    };
    for months in [17, 20, 24, 25, 26, 30, 36, 48] {
        for base in [0.0, 1_000.0] {
            let all = bills(base, months + 12);
            let means = means(&at_90(&all[..months], 12));
            for (mean, actual) in means.iter().zip(&all[months..]) {
                assert!((mean - actual).abs() < 200.0, "{months} {base}: {means:?}");
            }
        }
    }
}

#[test]
fn the_first_month_of_something_is_not_odd() {
    let mut amounts = vec![0.0; 10];
    amounts[9] = 400.0;
    assert!(means(&at_90(&amounts, 6))[5] > 100.0);
}

#[test]
fn each_level_holds_what_it_says() {
    let levels = [0.5, 0.6, 0.7, 0.8, 0.9, 0.95];
    let (mut inside, mut all) = ([0.0; 6], 0.0);
    for case in 0..120 {
        let (growth, season) = (0.001 * (case % 7) as f64, 0.05 * (case % 5) as f64);
        let series = costs(66 + case, growth, season, 0.35);
        let (known, after) = series.split_at(48 + case);
        let quantiles = levels
            .iter()
            .flat_map(|level| [0.5 - level / 2.0, 0.5 + level / 2.0]);
        let bounds = Bounds {
            level: 0.9,
            quantiles: quantiles.collect(),
        };
        let forecast = super::super::forecast(&history(known), 18, &bounds, Model::Combined);
        for (point, actual) in forecast.unwrap().points.iter().zip(after) {
            for (held, ends) in inside.iter_mut().zip(point.quantiles.chunks(2)) {
                *held += f64::from(u8::from(ends[0] <= *actual && *actual <= ends[1]));
            }
            all += 1.0;
        }
    }
    for (level, held) in levels.iter().zip(inside) {
        assert!((held / all - level).abs() < 0.06, "{level}: {}", held / all);
    }
}

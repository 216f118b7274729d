//! One line of the table: what was asked, what came of it, and whether that is enough.

use serde::{Deserialize, Serialize};

use super::rounds::Rounds;

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bar {
    AtLeast(f64),
    AtMost(f64),
}

impl Bar {
    fn admits(self, value: f64) -> bool {
        match self {
            Bar::AtLeast(least) => value >= least,
            Bar::AtMost(most) => value <= most,
        }
    }

    /// How much better than the bar a value is; 1 is the bar itself.
    pub fn distance(self, value: f64) -> f64 {
        match self {
            Bar::AtLeast(least) => value / least,
            Bar::AtMost(most) if value > 0.0 => most / value,
            Bar::AtMost(_) => 1.0,
        }
    }

    pub fn text(self) -> String {
        match self {
            Bar::AtLeast(least) => format!(">= {least}"),
            Bar::AtMost(most) => format!("<= {most}"),
        }
    }
}

/// What is asked.
pub struct Question<'q> {
    /// By which the row is found again; one of its own for each.
    pub name: &'q str,
    pub what: &'q str,
    pub unit: &'q str,
    /// Whom ours is held against; nobody where it is empty.
    pub beside: &'q str,
    pub bar: Bar,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measurement {
    pub name: String,
    pub what: String,
    pub unit: String,
    pub beside: String,
    pub bar: Bar,
    pub ours: f64,
    /// Theirs, and the ratio of ours to it; where there is nobody, the bar is for ours.
    pub theirs: Option<f64>,
    pub ratio: Option<f64>,
}

impl Question<'_> {
    /// By two sides of rounds, ours first.
    pub fn of_sides<M>(
        &self,
        rounds: &Rounds<M>,
        sides: [usize; 2],
        of: impl Fn(&M) -> f64,
    ) -> Measurement {
        let [ours, theirs] = sides.map(|side| rounds.median(side, &of));
        Measurement {
            theirs: Some(theirs),
            ratio: Some(rounds.ratio(sides, of)),
            ..self.of_one(ours)
        }
    }

    /// By two numbers.
    pub fn of_two(&self, ours: f64, theirs: f64) -> Measurement {
        Measurement {
            theirs: Some(theirs),
            ratio: Some(ours / theirs),
            ..self.of_one(ours)
        }
    }

    /// By one number, which the bar is for.
    pub fn of_one(&self, ours: f64) -> Measurement {
        Measurement {
            name: self.name.into(),
            what: self.what.into(),
            unit: self.unit.into(),
            beside: self.beside.into(),
            bar: self.bar,
            ours,
            theirs: None,
            ratio: None,
        }
    }
}

impl Measurement {
    /// What the bar is for.
    pub fn judged(&self) -> f64 {
        self.ratio.unwrap_or(self.ours)
    }

    pub fn holds(&self) -> bool {
        self.bar.admits(self.judged())
    }

    /// The columns of the table: what, ours, theirs, ratio, bar, verdict.
    pub fn columns(&self) -> [String; 6] {
        let value = |value: f64| format!("{} {}", plain(value), self.unit).trim().to_string();
        let theirs = self
            .theirs
            .map(|theirs| format!("{}: {}", self.beside, value(theirs)));
        [
            self.what.clone(),
            value(self.ours),
            theirs.unwrap_or_default(),
            self.ratio.map(plain).unwrap_or_default(),
            self.bar.text(),
            if self.holds() {
                "holds"
            } else {
                "does not hold"
            }
            .into(),
        ]
    }
}

/// Three digits that say something.
pub fn plain(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// A number as people write it: 1,000,000.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let places = digits.char_indices();
    let groups = places.map(|(place, digit)| match (digits.len() - place) % 3 {
        0 if place > 0 => format!(",{digit}"),
        _ => digit.to_string(),
    });
    groups.collect()
}

#[test]
fn digits_stand_in_groups_of_three() {
    for (number, text) in [(7, "7"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
        assert_eq!(grouped(number), text);
    }
}

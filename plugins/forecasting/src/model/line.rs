//! The straight line through equally spaced values, by least squares.

/// A line: its value at the first position, and what it gains with each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    pub start: f64,
    pub slope: f64,
}

impl Line {
    /// The line with the least squares; level where there is one value.
    pub fn through(values: &[f64]) -> Line {
        let count = values.len().max(1) as f64;
        let centre = (count - 1.0) / 2.0;
        let mean = values.iter().sum::<f64>() / count;
        let (mut products, mut squares) = (0.0, 0.0);
        for (position, value) in values.iter().enumerate() {
            let distance = position as f64 - centre;
            products += distance * (value - mean);
            squares += distance * distance;
        }
        let slope = if squares > 0.0 {
            products / squares
        } else {
            0.0
        };
        Line {
            start: mean - slope * centre,
            slope,
        }
    }

    /// Its value at a position, counted from the first value.
    pub fn at(&self, position: usize) -> f64 {
        self.start + self.slope * position as f64
    }
}

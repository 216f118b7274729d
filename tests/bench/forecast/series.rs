//! Lines `id,horizon,v1;v2;...`: monthly amounts, the held-out tail of `horizon`
//! values last. An empty value is a gap.

/// The plugin forecasts so many months at most.
const HORIZON_MAX: usize = 18;

/// A series whose end is held out.
#[derive(Debug, PartialEq)]
pub struct Series {
    /// Where it stands in the file.
    pub line: usize,
    pub history: Vec<Option<f64>>,
    pub held_out: Vec<Option<f64>>,
}

impl Series {
    /// The history without its gaps, for measures that know none.
    pub fn known(&self) -> Vec<f64> {
        self.history.iter().copied().flatten().collect()
    }
}

/// The series of a file. A line that is none is told of and left out.
pub fn read(text: &str) -> Vec<Series> {
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.trim().is_empty());
    let read = lines.filter_map(|(index, line)| match parse(index + 1, line) {
        Ok(series) => Some(series),
        Err(reason) => {
            println!("line {}: {reason}; left out", index + 1);
            None
        }
    });
    read.collect()
}

fn parse(line: usize, text: &str) -> Result<Series, String> {
    let mut parts = text.trim().splitn(3, ',');
    let (Some(_), Some(horizon), Some(values)) = (parts.next(), parts.next(), parts.next()) else {
        return Err("this is not id,horizon,v1;v2;...".into());
    };
    let horizon = horizon.trim().parse::<usize>();
    let horizon = horizon.map_err(|_| "the horizon is no number".to_string())?;
    if !(1..=HORIZON_MAX).contains(&horizon) {
        return Err(format!("the horizon must be 1 to {HORIZON_MAX}"));
    }
    let values: Result<Vec<_>, _> = values.split(';').map(value).collect();
    let mut history = values?;
    if history.len() <= horizon {
        return Err(format!("{} values leave none to learn from", history.len()));
    }
    let held_out = history.split_off(history.len() - horizon);
    if history.iter().all(Option::is_none) {
        return Err("there is no value to learn from".into());
    }
    Ok(Series {
        line,
        history,
        held_out,
    })
}

fn value(text: &str) -> Result<Option<f64>, String> {
    match text.trim() {
        "" | "NA" | "NaN" => Ok(None),
        text => match text.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(Some(value)),
            _ => Err(format!("{text:?} is no number")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_history_and_a_held_out_tail() {
        let series = &read("a,2,1;2.5;;-4;0\r\n")[0];
        assert_eq!(series.history, [Some(1.0), Some(2.5), None]);
        assert_eq!(series.held_out, [Some(-4.0), Some(0.0)]);
        assert_eq!((series.line, series.known()), (1, vec![1.0, 2.5]));
    }

    #[test]
    fn lines_that_are_none_are_left_out() {
        let text = "id,horizon,values\n\na,2\na,0,1;2\na,19,1;2\na,2,1;2\na,1,1;x\na,1,1;inf\na,1,;2\nb,1,1;2\n";
        let lines: Vec<_> = read(text).iter().map(|series| series.line).collect();
        assert_eq!(lines, [10]);
    }
}

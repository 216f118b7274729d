//! The rows as a picture: for each, how far it is from its bar. Plain SVG.

use std::fmt::Write;

use super::row::Measurement;

const WIDTH: usize = 960;
const LINE: usize = 26;
const TOP: usize = 44;
/// Where the bars begin, and how much one bar's length is.
const LEFT: usize = 500;
const UNIT: usize = 130;
/// Longer ones are cut, with a sign that they are.
const LONGEST: f64 = 3.0;

const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#222}.what{text-anchor:end}\
    .note{fill:#666}.holds{fill:#4a8f5a}.not{fill:#c0603f}line{stroke:#222;stroke-dasharray:3 3}\
    @media(prefers-color-scheme:dark){text{fill:#ddd}.note{fill:#999}line{stroke:#ddd}}";

/// The rows, the first at the top.
pub fn svg(rows: &[Measurement], note: &str) -> String {
    let height = TOP + rows.len() * LINE + 16;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n\
         <title>How far each measurement is from its bar</title>\n<style>{STYLE}</style>\n\
         <text class=\"note\" x=\"16\" y=\"20\">{}</text>\n\
         <text class=\"note\" x=\"{}\" y=\"36\">the bar</text>\n",
        escape(note),
        LEFT + UNIT + 4
    );
    for (place, row) in rows.iter().enumerate() {
        line(&mut svg, row, TOP + place * LINE);
    }
    let (bar, bottom) = (LEFT + UNIT, height - 12);
    writeln!(
        svg,
        "<line x1=\"{bar}\" y1=\"28\" x2=\"{bar}\" y2=\"{bottom}\"/>\n</svg>"
    )
    .unwrap();
    svg
}

fn line(svg: &mut String, row: &Measurement, y: usize) {
    let distance = row.bar.distance(row.judged()).max(0.0);
    let length = (distance.min(LONGEST) * UNIT as f64).round() as usize;
    let class = if row.holds() { "holds" } else { "not" };
    let more = if distance > LONGEST { " and more" } else { "" };
    let [_, ours, _, ratio, bar, _] = row.columns();
    let value = if ratio.is_empty() { ours } else { ratio };
    writeln!(
        svg,
        "<text class=\"what\" x=\"{}\" y=\"{}\">{}</text>\
         <rect class=\"{class}\" x=\"{LEFT}\" y=\"{y}\" width=\"{length}\" height=\"{}\"/>\
         <text class=\"note\" x=\"{}\" y=\"{}\">{} (bar {}){more}</text>",
        LEFT - 8,
        y + 14,
        escape(&short(&row.what)),
        LINE - 8,
        LEFT + length + 6,
        y + 14,
        escape(&value),
        escape(&bar)
    )
    .unwrap();
}

/// As much as stands on a line.
fn short(text: &str) -> String {
    match text.chars().count() {
        0..=66 => text.into(),
        _ => text.chars().take(65).chain(['…']).collect(),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

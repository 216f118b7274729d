//! What a host does while it deploys, on standard error: a line when a step is
//! done, and on a terminal a spinner for the one under way.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::steps::Step;
use super::table::line;

/// How often the spinner moves.
const TICK: Duration = Duration::from_millis(100);
const TEMPLATE: &str = "  {spinner} {msg}  {elapsed}";

/// The steps of a deployment, in their order.
const STEPS: [&str; 10] = [
    "read",
    "grants",
    "openapi",
    "compile",
    "link",
    "migrate",
    "statements",
    "self-test",
    "swap",
    "drain",
];

/// Shows how far a deployment is.
pub struct DeployProgress {
    spinner: Option<ProgressBar>,
}

impl DeployProgress {
    pub fn start() -> DeployProgress {
        let terminal = std::io::stderr().is_terminal();
        DeployProgress {
            spinner: terminal.then(spinner),
        }
    }

    /// A step is done.
    pub fn step(&self, step: &Step) {
        let note = step.note.as_deref().map(line).unwrap_or_default();
        let text = format!("  {:<11}{:>7} ms  {note}", line(&step.step), step.ms);
        let text = text.trim_end();
        match &self.spinner {
            Some(spinner) => {
                spinner.println(text);
                spinner.set_message(after(&step.step));
                spinner.reset_elapsed();
            }
            // Whoever no longer reads standard error misses a line and no more.
            None => drop(writeln!(std::io::stderr(), "{text}")),
        }
    }

    pub fn end(self) {
        if let Some(spinner) = self.spinner {
            spinner.finish_and_clear();
        }
    }
}

/// The step that follows.
fn after(step: &str) -> &'static str {
    let mut rest = STEPS.iter().skip_while(|known| **known != step);
    rest.nth(1).copied().unwrap_or("")
}

fn spinner() -> ProgressBar {
    let style = ProgressStyle::with_template(TEMPLATE);
    let spinner = ProgressBar::new_spinner();
    spinner.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    spinner.set_message("sending");
    spinner.enable_steady_tick(TICK);
    spinner
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_step_is_known_and_an_unknown_one_has_none() {
        assert_eq!(after("read"), "grants");
        assert_eq!(after("drain"), "");
        assert_eq!(after("other"), "");
    }
}

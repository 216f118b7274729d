//! The watermarks by example, and against a model that marks one by one.

use proptest::prelude::*;

use super::*;
use crate::entry::gather;
use crate::entry::tests::{id, items};
use crate::flag::Flag;

const KIND: Kind = Kind::Read;

fn entry(number: u32, category: &str) -> Entry {
    gather(items(number, category, &[])).pop().unwrap()
}

fn raised(line: &mut Line, category: Option<&str>, number: u32, at: i64) -> Raised {
    line.raise(category, &id(number), at).unwrap()
}

#[test]
fn what_is_not_newer_is_so_and_what_is_newer_is_not() {
    let mut lines = Lines::default();
    assert_eq!(raised(lines.of_mut(KIND), None, 2, 7), Raised::Yes);
    let since = |number| lines.since(KIND, &entry(number, "a"));
    assert_eq!([since(1), since(2), since(3)], [Some(7), Some(7), None]);
    assert_eq!(lines.since(Kind::Seen, &entry(1, "a")), None);
}

#[test]
fn watermark_of_a_category_is_of_no_other() {
    let mut lines = Lines::default();
    raised(lines.of_mut(KIND), Some("a"), 2, 7);
    assert_eq!(lines.since(KIND, &entry(1, "a")), Some(7));
    assert_eq!(lines.since(KIND, &entry(1, "b")), None);
    let line = lines.of(KIND);
    assert_eq!(line.lower(None), FIRST, "others may lie further down");
    assert!(line.lower(Some("a")) > id(2));
}

#[test]
fn one_for_all_makes_room_for_categories() {
    let mut line = Line::default();
    for number in 0..CATEGORIES_MAX {
        let category = format!("c{number}");
        assert_eq!(raised(&mut line, Some(&category), 5, 1), Raised::Yes);
    }
    assert_eq!(line.raise(Some("more"), &id(5), 2), Err(TooMany));
    assert_eq!(raised(&mut line, Some("c0"), 6, 2), Raised::Yes);
    assert_eq!(raised(&mut line, None, 7, 3), Raised::Yes);
    assert_eq!(raised(&mut line, Some("more"), 8, 4), Raised::Yes);
}

#[test]
fn item_is_read_as_it_was_written() {
    let mut lines = Lines::default();
    raised(lines.of_mut(KIND), None, 5, 1);
    raised(lines.of_mut(KIND), Some("a"), 6, 2);
    assert!(lines.of_mut(KIND).sink("a", &id(3)));
    assert!(
        !lines.of_mut(KIND).sink("a", &id(4)),
        "it reaches down already"
    );
    let stored = serde_json::to_value(&lines).unwrap();
    assert_eq!(serde_json::from_value::<Lines>(stored).unwrap(), lines);
}

#[derive(Clone, Debug)]
enum Step {
    One { number: u32, on: bool },
    All { category: Option<bool>, upto: u32 },
}

fn step() -> impl Strategy<Value = Step> {
    let one = (0..COUNT, any::<bool>()).prop_map(|(number, on)| Step::One { number, on });
    let all =
        (any::<Option<bool>>(), 0..COUNT).prop_map(|(category, upto)| Step::All { category, upto });
    prop_oneof![one, all]
}

const COUNT: u32 = 12;

fn name(is_odd: bool) -> &'static str {
    if is_odd { "odd" } else { "even" }
}

fn category(number: u32) -> &'static str {
    name(!number.is_multiple_of(2))
}

/// An inbox, and what was said of each notification one by one.
struct Inboxes {
    lines: Lines,
    entries: Vec<Entry>,
    said: Vec<bool>,
}

impl Inboxes {
    fn mark(&mut self, number: u32, on: bool, at: i64) {
        let place = number as usize;
        if !on {
            self.lines.of_mut(KIND).sink(category(number), &id(number));
        }
        self.entries[place].set(KIND, Flag { on, at });
    }

    fn take(&mut self, step: &Step, at: i64) {
        match step {
            Step::One { number, on } => {
                self.mark(*number, *on, at);
                self.said[*number as usize] = *on;
            }
            Step::All {
                category: is_odd,
                upto,
            } => {
                let wanted = is_odd.map(name);
                let raised = raised(self.lines.of_mut(KIND), wanted, *upto, at);
                let is_meant = |number: &u32| wanted.is_none_or(|name| category(*number) == name);
                if let Raised::Below { floor, upto } = raised {
                    let between = |number: &u32| floor <= id(*number) && id(*number) <= upto;
                    let numbers = (0..COUNT).filter(|number| between(number) && is_meant(number));
                    for number in numbers.collect::<Vec<_>>() {
                        self.mark(number, true, at);
                    }
                }
                for number in (0..=*upto).filter(is_meant) {
                    self.said[number as usize] = true;
                }
            }
        }
    }

    fn check(&self) -> Result<(), TestCaseError> {
        for (number, (entry, said)) in (0..COUNT).zip(self.entries.iter().zip(&self.said)) {
            let is = self.lines.since(KIND, entry).is_some();
            prop_assert_eq!(is, *said, "{} {:?}", number, self.lines);
            let line = self.lines.of(KIND);
            for wanted in [None, Some(category(number))] {
                let is_met = line.lower(wanted) <= entry.id;
                prop_assert!(is || is_met, "{} is not met: {:?}", number, line);
            }
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn watermarks_say_what_marks_would_and_no_listing_misses_one(
        steps in proptest::collection::vec(step(), 1..40)
    ) {
        let mut inboxes = Inboxes {
            lines: Lines::default(),
            entries: (0..COUNT).map(|number| entry(number, category(number))).collect(),
            said: vec![false; COUNT as usize],
        };
        for (step, at) in steps.iter().zip(1..) {
            inboxes.take(step, at);
            inboxes.check()?;
        }
    }
}

//! Whatever is done to an inbox, its lists and counts are what a model says.

use std::cell::Cell;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, TestRunner};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::fixture::{Customer, Inbox, id};
use crate::harness::host::runs;

const CATEGORIES: [&str; 3] = ["a", "b", "c"];
/// As clients name them, and the paths that say it of all.
const MARKS: [(&str, &str); 3] = [
    ("seen", "/seen"),
    ("read", "/read"),
    ("archived", "/archive"),
];
const SEEN: usize = 0;
const READ: usize = 1;
const ARCHIVED: usize = 2;

/// One notification, as it should be.
#[derive(Clone, Debug)]
struct Known {
    id: String,
    category: usize,
    marks: [bool; 3],
    snoozed: bool,
}

/// What is done. Places are of the notifications that are there, the oldest first,
/// however many these are.
#[derive(Clone, Debug)]
enum Step {
    Post(Vec<usize>),
    Mark(usize, usize, bool),
    MarkAll(usize, Option<usize>, Option<usize>),
    Snooze(usize, bool),
    Delete(usize),
    Look(Filter),
    /// So long that all that is there is too old to get older neighbours.
    Wait,
}

#[derive(Clone, Debug)]
struct Filter {
    unread: Option<bool>,
    archived: bool,
    snoozed: bool,
    category: Option<usize>,
    limit: usize,
}

fn filter() -> impl Strategy<Value = Filter> {
    let parts = (
        any::<Option<bool>>(),
        prop::bool::weighted(0.3),
        prop::bool::weighted(0.2),
        prop::option::of(0..3_usize),
        1..8_usize,
    );
    parts.prop_map(|(unread, archived, snoozed, category, limit)| Filter {
        unread,
        archived,
        snoozed,
        category,
        limit,
    })
}

fn step() -> impl Strategy<Value = Step> {
    let place = || 0..1_000_usize;
    let category = || prop::option::of(0..3_usize);
    prop_oneof![
        4 => prop::collection::vec(0..3_usize, 1..6).prop_map(Step::Post),
        5 => (place(), 0..3_usize, any::<bool>()).prop_map(|(place, mark, on)| Step::Mark(place, mark, on)),
        3 => (0..3_usize, category(), prop::option::weighted(0.4, place()))
            .prop_map(|(mark, category, upto)| Step::MarkAll(mark, category, upto)),
        1 => (place(), any::<bool>()).prop_map(|(place, on)| Step::Snooze(place, on)),
        1 => place().prop_map(Step::Delete),
        1 => Just(Step::Wait),
        6 => filter().prop_map(Step::Look),
    ]
}

/// An inbox and what it should hold.
struct Model<'h> {
    inbox: &'h Inbox,
    customer: Customer<'h>,
    /// How far all waits have put the clock forward.
    waited: &'h Cell<Duration>,
    recipient: String,
    known: Vec<Known>,
}

impl Model<'_> {
    fn at(&self, place: usize) -> Option<usize> {
        (!self.known.is_empty()).then(|| place % self.known.len())
    }

    fn path(&self, path: &str) -> String {
        format!("{path}?recipient={}", self.recipient)
    }

    async fn take(&mut self, step: &Step) {
        match step {
            Step::Post(categories) => self.post(categories).await,
            Step::Mark(place, mark, on) => self.mark(*place, *mark, *on).await,
            Step::MarkAll(mark, category, upto) => self.mark_all(*mark, *category, *upto).await,
            Step::Snooze(place, on) => self.snooze(*place, *on).await,
            Step::Delete(place) => self.delete(*place).await,
            Step::Look(filter) => self.look(filter).await,
            Step::Wait => {
                self.waited
                    .set(self.waited.get() + Duration::from_secs(121));
                self.inbox.forward_to(self.waited.get());
            }
        }
    }

    async fn post(&mut self, categories: &[usize]) {
        let new = |category: &usize| json!({"title": "t", "category": CATEGORIES[*category], "recipient": self.recipient});
        let all: Vec<Value> = categories.iter().map(new).collect();
        let results = self.customer.many(&all).await;
        let made = results
            .iter()
            .zip(categories)
            .map(|(result, category)| Known {
                id: id(result),
                category: *category,
                marks: [false; 3],
                snoozed: false,
            });
        self.known.extend(made);
    }

    async fn mark(&mut self, place: usize, mark: usize, on: bool) {
        let Some(at) = self.at(place) else { return };
        self.known[at].marks[mark] = on;
        let path = self.path(&format!("/{}", self.known[at].id));
        let change = json!({MARKS[mark].0: on});
        let shown = self.customer.done(Method::PATCH, &path, change).await;
        assert_eq!(shown[format!("{}_at", MARKS[mark].0)].is_string(), on);
    }

    async fn mark_all(&mut self, mark: usize, category: Option<usize>, upto: Option<usize>) {
        let upto = upto.and_then(|place| self.at(place));
        let mut body = json!({});
        if let Some(category) = category {
            body["category"] = json!(CATEGORIES[category]);
        }
        if let Some(upto) = upto {
            body["upto"] = json!(self.known[upto].id);
        }
        let path = self.path(MARKS[mark].1);
        self.customer.done(Method::POST, &path, body).await;
        let upto = upto.map_or(self.known.len(), |upto| upto + 1);
        for known in &mut self.known[..upto] {
            if category.is_none_or(|category| category == known.category) {
                known.marks[mark] = true;
            }
        }
    }

    async fn snooze(&mut self, place: usize, on: bool) {
        let Some(at) = self.at(place) else { return };
        self.known[at].snoozed = on;
        let path = self.path(&format!("/{}/snooze", self.known[at].id));
        let until = jiff::Timestamp::now() + Duration::from_secs(30 * 86_400);
        let until = on.then(|| until.to_string());
        self.customer
            .done(Method::POST, &path, json!({"until": until}))
            .await;
    }

    async fn delete(&mut self, place: usize) {
        let Some(at) = self.at(place) else { return };
        let known = self.known.remove(at);
        let path = self.path(&format!("/{}", known.id));
        let (status, told) = self.customer.ask(Method::DELETE, &path, Value::Null).await;
        assert_eq!(status, StatusCode::NO_CONTENT, "{told}");
    }

    /// The ids that a filter lets through, the newest first.
    fn expected(&self, filter: &Filter) -> Vec<&str> {
        let matching = self.known.iter().rev().filter(|known| {
            filter
                .unread
                .is_none_or(|unread| known.marks[READ] != unread)
                && known.marks[ARCHIVED] == filter.archived
                && known.snoozed == filter.snoozed
                && filter
                    .category
                    .is_none_or(|category| category == known.category)
        });
        matching.map(|known| known.id.as_str()).collect()
    }

    async fn look(&self, filter: &Filter) {
        let mut query = format!(
            "?recipient={}&archived={}&snoozed={}&limit={}",
            self.recipient, filter.archived, filter.snoozed, filter.limit
        );
        if let Some(unread) = filter.unread {
            query.push_str(&format!("&unread={unread}"));
        }
        if let Some(category) = filter.category {
            query.push_str(&format!("&category={}", CATEGORIES[category]));
        }
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.customer.get(&format!("{query}{cursor}")).await;
            found.extend(page["notifications"].as_array().unwrap().iter().map(id));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(found, self.expected(filter), "{filter:?}");
        self.counts(filter.category).await;
    }

    async fn counts(&self, category: Option<usize>) {
        let mut path = self.path("/count");
        if let Some(category) = category {
            path.push_str(&format!("&category={}", CATEGORIES[category]));
        }
        let counted = self.customer.get(&path).await;
        for (mark, name) in [(SEEN, "unseen"), (READ, "unread")] {
            let there = self.known.iter().filter(|known| {
                let within = category.is_none_or(|category| category == known.category);
                within && !known.marks[mark] && !known.marks[ARCHIVED] && !known.snoozed
            });
            let expected = json!({"count": there.count(), "exact": true});
            assert_eq!(counted[name], expected, "{name} {category:?}");
        }
    }
}

#[test]
fn lists_and_counts_are_what_a_model_says() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let inbox = Inbox::start_thrifty();
    let (number, waited) = (Cell::new(0), Cell::new(Duration::ZERO));
    let mut runner = TestRunner::new(Cases {
        cases: runs(12, 400) as u32,
        max_shrink_iters: 60,
        failure_persistence: None,
        ..Cases::default()
    });
    let steps = prop::collection::vec(step(), 10..60);
    let outcome = runner.run(&steps, |steps| {
        // Each case has an inbox of its own.
        number.set(number.get() + 1);
        let mut model = Model {
            inbox: &inbox,
            customer: inbox.customer(),
            waited: &waited,
            recipient: format!("case-{}", number.get()),
            known: Vec::new(),
        };
        runtime.block_on(async {
            for step in &steps {
                model.take(step).await;
            }
        });
        Ok(())
    });
    outcome.unwrap();
}

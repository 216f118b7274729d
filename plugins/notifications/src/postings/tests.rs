//! Posting lists by example, and against what they are made of.

use proptest::prelude::*;

use super::*;
use crate::entry::gather;
use crate::entry::tests::{id, items};

const THRIFT: Thrift = Thrift { passed_min: 100 };
const NOW: i64 = 1_000;

fn term() -> Term {
    Term::new(State::Unread, None)
}

/// Through the notifications of these numbers, of which these are looked for.
fn stretch(numbers: std::ops::Range<u32>, wanted: impl Fn(u32) -> bool) -> Stretch {
    let mut stretch = Stretch {
        upper: id(numbers.end),
        ..Stretch::default()
    };
    for number in numbers.rev() {
        stretch.add(&id(number), wanted(number));
    }
    stretch
}

fn learned(index: &mut Index, stretch: Stretch, at: i64) -> bool {
    let lesson = Lesson {
        stretches: vec![stretch],
        stale: Vec::new(),
    };
    index.learn(&term(), lesson, THRIFT, at)
}

/// The first number of the list's stretch, the one behind its last, and its places.
fn shown(index: &Index) -> Option<(String, String, Vec<String>)> {
    let list = index.list(&term())?;
    Some((list.lower.clone(), list.upper.clone(), list.places.clone()))
}

#[test]
fn few_among_many_are_listed() {
    let mut index = Index::default();
    assert!(learned(
        &mut index,
        stretch(0..500, |n| n == 30 || n == 300),
        NOW
    ));
    let places = vec![id(30), id(300)];
    assert_eq!(shown(&index), Some((id(0), id(500), places)));
    let list = index.list(&term()).unwrap();
    assert_eq!(list.between(&id(31), &id(500)), [id(300)]);
    assert_eq!(list.between(&id(30), &id(300)), [id(30)]);
}

#[test]
fn what_was_passed_in_vain_is_not_noted_where_it_was_little() {
    let mut index = Index::default();
    assert!(!learned(&mut index, stretch(0..99, |_| false), NOW));
    assert!(!learned(&mut index, stretch(0..900, |n| n % 5 == 0), NOW));
    assert!(!learned(&mut index, Stretch::default(), NOW));
    assert_eq!(index, Index::default());
}

#[test]
fn crowds_are_left_out_of_a_list_at_either_end() {
    let mut index = Index::default();
    let wanted = |n: u32| n < 50 || n == 200 || n >= 400;
    assert!(learned(&mut index, stretch(0..500, wanted), NOW));
    assert_eq!(
        shown(&index),
        Some((above(&id(49)), id(400), vec![id(200)]))
    );
}

#[test]
fn stretches_beside_each_other_are_one_and_of_others_the_longer_stays() {
    let mut index = Index::default();
    learned(&mut index, stretch(1_000..1_500, |n| n == 1_200), NOW);
    assert!(learned(
        &mut index,
        stretch(1_500..1_700, |n| n == 1_600),
        NOW
    ));
    assert!(learned(&mut index, stretch(500..1_000, |_| false), NOW));
    let whole = Some((id(500), id(1_700), vec![id(1_200), id(1_600)]));
    assert_eq!(shown(&index), whole);
    assert!(!learned(&mut index, stretch(2_000..2_200, |_| false), NOW));
    assert!(!learned(&mut index, stretch(600..900, |_| false), NOW));
    assert_eq!(shown(&index), whole);
    assert!(learned(&mut index, stretch(3_000..6_000, |_| false), NOW));
    assert_eq!(shown(&index), Some((id(3_000), id(6_000), Vec::new())));
    let later = NOW + 2 * micros(AGED);
    assert!(learned(&mut index, stretch(7_000..7_200, |_| false), later));
    assert_eq!(shown(&index), Some((id(7_000), id(7_200), Vec::new())));
}

#[test]
fn notification_is_entered_into_each_list_that_reaches_over_it() {
    let mut index = Index::default();
    let of_category = Term::new(State::Any, Some("a"));
    let lesson = || Lesson {
        stretches: vec![stretch(0..500, |_| false)],
        stale: Vec::new(),
    };
    index.learn(&term(), lesson(), THRIFT, NOW);
    index.learn(&of_category, lesson(), THRIFT, NOW);
    let (inside, outside) = (id(40), id(500));
    assert!(index.enter([("b", inside.as_str()), ("b", outside.as_str())]));
    assert!(!index.enter([("b", inside.as_str())]), "it is there");
    assert_eq!(index.list(&term()).unwrap().places, [id(40)]);
    assert!(index.list(&of_category).unwrap().places.is_empty());
    assert!(index.enter([("a", inside.as_str())]));
    assert_eq!(index.list(&of_category).unwrap().places, [id(40)]);
}

#[test]
fn list_that_gets_too_long_reaches_less_far_down() {
    let mut index = Index::default();
    learned(&mut index, stretch(0..1_000, |_| false), NOW);
    let ids: Vec<String> = (0..260).map(|n| id(2 * n)).collect();
    assert!(index.enter(ids.iter().map(|id| ("a", id.as_str()))));
    let list = index.list(&term()).unwrap();
    assert_eq!((list.places.len(), &list.lower), (250, &id(20)));
    assert_eq!(list.upper, id(1_000));
}

#[test]
fn places_that_lead_nowhere_are_taken_out_when_there_are_many() {
    let mut index = Index::default();
    learned(&mut index, stretch(0..4_000, |n| n % 100 == 0), NOW);
    let stale = |count: u32| Lesson {
        stale: (0..count).map(|n| id(100 * n)).collect(),
        ..Lesson::default()
    };
    assert!(!index.learn(&term(), stale(24), THRIFT, NOW));
    assert!(index.learn(&term(), stale(30), THRIFT, NOW));
    let left: Vec<String> = (30..40).map(|n| id(100 * n)).collect();
    assert_eq!(index.list(&term()).unwrap().places, left);
}

#[test]
fn inbox_has_eight_lists_and_the_oldest_goes() {
    let mut index = Index::default();
    for number in 0..9 {
        let term = Term::new(State::Any, Some(&format!("c{number}")));
        let lesson = Lesson {
            stretches: vec![stretch(0..500, |_| false)],
            stale: Vec::new(),
        };
        assert!(index.learn(&term, lesson, THRIFT, NOW + number));
    }
    let has = |number: i64| {
        let term = Term::new(State::Any, Some(&format!("c{number}")));
        index.list(&term).is_some()
    };
    assert!(!has(0) && (1..9).all(has));
}

#[test]
fn term_is_of_what_is_there_and_not_archived_in_its_category() {
    let on = || json!({"on": true, "at": 7});
    let hidden = ("/snoozed", json!({"until": 9}));
    let lines = Lines::default();
    for (state, category, ends, expected) in [
        (State::Any, None, vec![], true),
        (State::Any, Some("a"), vec![("/read", on())], true),
        (State::Any, Some("b"), vec![], false),
        (State::Any, None, vec![("/archived", on())], false),
        (State::Any, None, vec![("/deleted", on())], false),
        (State::Unread, None, vec![hidden], true),
        (State::Unread, None, vec![("/seen", on())], true),
        (State::Unread, None, vec![("/read", on())], false),
        (State::Unseen, None, vec![("/read", on())], true),
        (State::Unseen, None, vec![("/seen", on())], false),
    ] {
        let entry = gather(items(1, "a", &ends)).pop().unwrap();
        let term = Term::new(state, category);
        assert_eq!(term.holds(&entry, &lines), expected, "{term:?} {ends:?}");
    }
}

proptest! {
    #[test]
    fn list_has_all_of_its_stretch_that_were_looked_for(
        stretches in prop::collection::vec((0..40_u32, prop::collection::btree_set(0..600_u32, 0..30)), 1..6)
    ) {
        // Whatever is looked for stays so: then a list holds exactly that.
        let wanted: std::collections::BTreeSet<u32> =
            stretches.iter().flat_map(|(_, wanted)| wanted.iter().copied()).collect();
        let mut index = Index::default();
        for (place, (from, _)) in stretches.iter().enumerate() {
            let from = from * 15;
            let through = stretch(from..from + 150 + 20 * u32::try_from(place).unwrap(), |n| wanted.contains(&n));
            learned(&mut index, through, NOW);
            if let Some(list) = index.list(&term()) {
                let all = wanted.iter().map(|n| id(*n));
                let expected: Vec<String> = all.filter(|id| list.covers(id)).collect();
                prop_assert_eq!(&list.places, &expected);
            }
        }
    }
}

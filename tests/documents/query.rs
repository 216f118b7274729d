//! Pages of a partition.

use hearth::capability::documents::{Config, GuestError, Range};

use super::fixture::{Bench, Borrowed, item};

/// Every sort key in a range, page by page.
async fn walk(call: &mut Borrowed, range: Range, limit: u32, descending: bool) -> Vec<String> {
    let (mut sorts, mut cursor) = (Vec::new(), None);
    loop {
        let page = call.page(range.clone(), limit, cursor.as_deref(), descending);
        let page = page.await.unwrap();
        assert!(page.items.len() <= limit as usize);
        assert!(
            !page.items.is_empty() || sorts.is_empty(),
            "an empty last page"
        );
        sorts.extend(page.items.into_iter().map(|item| item.sort));
        cursor = page.cursor;
        if cursor.is_none() {
            return sorts;
        }
    }
}

async fn filled(bench: &Bench, sorts: &[&str]) -> Borrowed {
    let mut call = bench.call("acme");
    let items = sorts.iter().map(|sort| item(sort, "{}")).collect();
    let outcomes = call.put_many(items).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    call
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sort_keys_are_in_the_order_of_their_bytes() {
    order(&Bench::new().await).await;
}

pub async fn order(bench: &Bench) {
    // U+FFFF is before U+10000 in bytes, and after it in UTF-16.
    let sorts = [
        "\u{0}",
        "!",
        "A",
        "B",
        "a",
        "a\u{0}",
        "a\u{0}b",
        "aa",
        "b",
        "é",
        "\u{ffff}",
        "\u{10000}",
    ];
    let mut shuffled = sorts;
    shuffled.reverse();
    let mut call = filled(bench, &shuffled).await;
    assert_eq!(call.sorts(Range::All).await, sorts);
    let mut backwards = walk(&mut call, Range::All, 5, true).await;
    backwards.reverse();
    assert_eq!(backwards, sorts);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ranges_have_the_ends_that_they_say() {
    ranges(&Bench::new().await).await;
}

pub async fn ranges(bench: &Bench) {
    let mut call = filled(bench, &["a", "ab", "abc", "b", "c"]).await;
    let text = |text: &str| text.to_owned();
    let between = |from: &str, to: &str| Range::Between((text(from), text(to)));
    let cases: [(Range, &[&str]); 15] = [
        (Range::All, &["a", "ab", "abc", "b", "c"]),
        (Range::BeginsWith(text("ab")), &["ab", "abc"]),
        (Range::BeginsWith(text("")), &["a", "ab", "abc", "b", "c"]),
        (Range::BeginsWith(text("x")), &[]),
        (between("ab", "b"), &["ab", "abc", "b"]),
        (between("b", "b"), &["b"]),
        (between("b", "a"), &[]),
        (between("", "ab"), &["a", "ab"]),
        (between("", ""), &[]),
        (Range::After(text("ab")), &["abc", "b", "c"]),
        (Range::After(text("")), &["a", "ab", "abc", "b", "c"]),
        (Range::After(text("c")), &[]),
        (Range::Before(text("abc")), &["a", "ab"]),
        (Range::Before(text("a")), &[]),
        (Range::Before(text("")), &[]),
    ];
    for (range, expected) in cases {
        for limit in [1, 2, 10] {
            let sorts = walk(&mut call, range.clone(), limit, false).await;
            assert_eq!(sorts, expected, "{range:?}");
            let mut sorts = walk(&mut call, range.clone(), limit, true).await;
            sorts.reverse();
            assert_eq!(sorts, expected, "{range:?}");
        }
        let counted = call.count(range.clone(), 10).await;
        assert_eq!(counted, Ok(expected.len() as u32), "{range:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_much_data_hold_no_more_than_their_bytes() {
    large_pages(&Bench::new().await).await;
}

pub async fn large_pages(bench: &Bench) {
    let mut call = bench.call("acme");
    let large = format!("{{\"text\":{:?}}}", "x".repeat(300_000));
    let items: Vec<_> = (10..40).map(|n| item(&n.to_string(), &large)).collect();
    let outcomes = call.put_many(items).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    let page = call.page(Range::All, 100, None, false).await.unwrap();
    assert_eq!(page.items.len(), 2 * (1 << 20) / 300_011);
    assert_eq!(walk(&mut call, Range::All, 100, false).await.len(), 30);
    assert_eq!(call.count(Range::All, 100).await, Ok(30));
    assert_eq!(call.count(Range::All, 7).await, Ok(7));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attributes_that_are_named_come_alone() {
    attributes_alone(&Bench::new().await).await;
}

pub async fn attributes_alone(bench: &Bench) {
    let mut call = bench.call("acme");
    let large = format!(
        "{{\"a\":1,\"b\":{{\"a\":2}},\"text\":{:?}}}",
        "x".repeat(100_000)
    );
    let expires = hearth::capability::documents::Item {
        expires_at_ms: Some(super::fixture::now_ms() + 60_000),
        ..item("40", r#"{"b":3,"size":4}"#)
    };
    let mut items: Vec<_> = (10..40).map(|n| item(&n.to_string(), &large)).collect();
    items.push(expires.clone());
    let outcomes = call.put_many(items).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    for (names, first, last) in [
        (&["a", "b", "a"][..], r#"{"a":1,"b":{"a":2}}"#, r#"{"b":3}"#),
        (&["size"], "{}", r#"{"size":4}"#),
        (&["expires", "pk", ""], "{}", "{}"),
        (&[], "{}", "{}"),
    ] {
        // Three megabytes lie there, and a page of them holds two.
        let page = call.attributes(Range::All, 100, names).await.unwrap();
        let shown = |at: usize| {
            (
                page.items[at].sort.as_str(),
                page.items[at].attributes.as_str(),
            )
        };
        assert_eq!((page.items.len(), page.cursor.as_ref()), (31, None));
        assert_eq!((shown(0), shown(30)), (("10", first), ("40", last)));
        assert_eq!(page.items[30].expires_at_ms, expires.expires_at_ms);
    }
    let ranged = Range::Between(("20".to_owned(), "21".to_owned()));
    let page = call.attributes(ranged, 1, &["a"]).await.unwrap();
    assert_eq!(page.items[0].attributes, r#"{"a":1}"#);
    assert!(page.cursor.is_some());
    let names: Vec<String> = (0..65).map(|n| format!("n{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let refused = call.attributes(Range::All, 1, &names).await;
    let Err(GuestError::Invalid(reason)) = refused else {
        panic!("{refused:?}");
    };
    assert!(
        reason.contains("documents.query_attributes_max"),
        "{reason}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cursor_is_of_its_range_or_refused() {
    let bench = Bench::new().await;
    let mut call = filled(&bench, &["a1", "a2", "b1", "b2"]).await;
    let begins = |text: &str| Range::BeginsWith(text.to_owned());
    let cursor = call
        .page(begins("a"), 1, None, false)
        .await
        .unwrap()
        .cursor
        .unwrap();
    let foreign = call.page(begins("b"), 1, Some(&cursor), false).await;
    assert!(
        matches!(foreign, Err(GuestError::Invalid(_))),
        "{foreign:?}"
    );
    for bad in [
        "",
        "1",
        "2YTE",
        "1***",
        "1/w",
        &cursor[1..],
        &format!("{cursor}="),
    ] {
        let page = call.page(Range::All, 1, Some(bad), false).await;
        assert!(
            matches!(page, Err(GuestError::Invalid(_))),
            "{bad}: {page:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cursor_goes_on_where_its_item_was_deleted() {
    cursor_of_deleted(&Bench::new().await).await;
}

pub async fn cursor_of_deleted(bench: &Bench) {
    let mut call = filled(bench, &["a", "b", "c", "d"]).await;
    let cursor = call
        .page(Range::All, 2, None, false)
        .await
        .unwrap()
        .cursor
        .unwrap();
    call.delete(super::fixture::key("b")).await.unwrap();
    let page = call
        .page(Range::All, 10, Some(&cursor), false)
        .await
        .unwrap();
    let sorts: Vec<_> = page.items.into_iter().map(|item| item.sort).collect();
    assert_eq!(sorts, ["c", "d"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_of_reading_and_counting_hold() {
    let config = Config {
        query_items_max: 3,
        count_max: 4,
        ..Config::default()
    };
    let bench = Bench::with(config).await;
    let mut call = filled(&bench, &["a", "b", "c", "d", "e"]).await;
    let page = call.page(Range::All, 1_000, None, false).await.unwrap();
    assert_eq!(page.items.len(), 3);
    assert!(page.cursor.is_some());
    assert_eq!(call.count(Range::All, 4).await, Ok(4));
    assert_eq!(call.count(Range::All, 0).await, Ok(0));
    let over = call.count(Range::All, 5).await;
    assert!(matches!(over, Err(GuestError::Invalid(_))), "{over:?}");
    let none = call.page(Range::All, 0, None, false).await;
    assert!(matches!(none, Err(GuestError::Invalid(_))), "{none:?}");
}

//! Search, as people type.

use reqwest::StatusCode;
use serde_json::json;

use super::events::fixture::Stage;
use super::lists::found;
use super::{Support, id};
use crate::harness::host::runs;
use crate::harness::postgres::until;

#[tokio::test]
async fn words_are_found_however_they_are_typed_and_by_their_beginning() {
    let support = Support::open();
    for subject in ["Crème brûlée", "PRINTER jammed", "Łódź: Straße"] {
        let ticket = json!({"subject": subject, "description": "d"});
        support.create(ticket).await;
    }
    for (query, expected) in [
        ("cr%C3%A8me", "Crème brûlée"),
        ("cre%CC%80me", "Crème brûlée"),
        ("CREME+brulee", "Crème brûlée"),
        ("bru", "Crème brûlée"),
        ("print", "PRINTER jammed"),
        ("jam+pri", "PRINTER jammed"),
        ("lodz", "Łódź: Straße"),
        ("STRASSE", "Łódź: Straße"),
        ("%EF%BC%AC%C3%B3dz", "Łódź: Straße"),
    ] {
        assert_eq!(
            found(&support, &format!("q={query}")).await,
            [expected],
            "{query}"
        );
    }
    for nothing in ["rinter", "printers", "creme+printer"] {
        assert_eq!(
            found(&support, &format!("q={nothing}")).await,
            [""; 0],
            "{nothing}"
        );
    }
}

#[tokio::test]
async fn parts_of_sentences_without_spaces_are_found() {
    let support = Support::open();
    for subject in [
        "ランプが暗い",
        "打印机无法打印",
        "เครื่องพิมพ์ไม่ทำงาน",
        "暗所で使うプリンタ",
    ] {
        let ticket = json!({"subject": subject, "description": "d"});
        support.create(ticket).await;
    }
    for (query, expected) in [
        ("ランプ", &["ランプが暗い"][..]),
        ("ﾗﾝﾌﾟ", &["ランプが暗い"]),
        ("暗い", &["ランプが暗い"]),
        ("暗", &["暗所で使うプリンタ", "ランプが暗い"]),
        ("い", &["ランプが暗い"]),
        ("打印 无法", &["打印机无法打印"]),
        ("พิมพ์", &["เครื่องพิมพ์ไม่ทำงาน"]),
        // Each two of its neighbours are there, but not in a row.
        ("法打印机", &[]),
        ("プラン", &[]),
    ] {
        assert_eq!(
            found(&support, &format!("q={query}")).await,
            expected,
            "{query}"
        );
    }
}

#[tokio::test]
async fn pages_of_a_beginning_have_each_ticket_once_in_every_order() {
    let support = Support::open();
    for number in 0..6 {
        let subject = format!("pump{number} pumps pumping");
        let ticket = json!({"subject": subject, "description": "d"});
        support.create(ticket).await;
    }
    for sort in ["created_at", "-updated_at", "-priority", "due_at"] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("/support/tickets?q=pump&sort={sort}&limit=4{cursor}");
            let (status, page) = support.get(&path).await;
            assert_eq!(status, StatusCode::OK, "{page}");
            let tickets = page["tickets"].as_array().unwrap();
            seen.extend(tickets.iter().map(|ticket| id(ticket).to_string()));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        let listed = seen.len();
        seen.sort();
        seen.dedup();
        assert_eq!((listed, seen.len()), (6, 6), "{sort}");
    }
    let (_, count) = support.get("/support/tickets/count?q=pump").await;
    assert_eq!(count["count"], 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tickets_of_before_are_found_as_before_until_the_next_review_folds_them() {
    let stage = Stage::open().await;
    let support = &stage.support;
    let number = runs(12, 200);
    for _ in 0..number {
        let ticket = json!({"subject": "Crème brûlée", "description": "of before"});
        support.create(ticket).await;
    }
    // As a version of before wrote them.
    let before = "SET search_path = plugin_tickets; DELETE FROM ticket_terms;
        UPDATE tickets SET folded = false,
            search = to_tsvector('simple', subject || ' ' || description);
        INSERT INTO ticket_terms (customer_id, term, ticket_id)
        SELECT customer_id, lexeme, id FROM tickets, unnest(search) AS words (lexeme, p, w)";
    stage.database.batch_execute(before).await.unwrap();
    let count = async |word: &str| {
        let path = format!("/support/tickets/count?q={word}");
        let (_, count) = support.get(&path).await;
        count["count"].as_u64().unwrap()
    };
    let all = u64::try_from(number).unwrap();
    assert_eq!((count("before").await, count("creme").await), (all, 0));
    stage.put_forward(61).await;
    until(async || count("creme").await == all).await;
    let left = "SELECT count(*) FROM plugin_tickets.ticket_terms WHERE term = 'crème'";
    let left: i64 = stage.database.query_one(left, &[]).await.unwrap().get(0);
    assert_eq!(left, 0, "nothing is found by what it was found by before");
}

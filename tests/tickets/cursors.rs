//! Cursors are signed, and hold for their customer, list and filter.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{Support, read};

async fn pages(support: &Support) -> String {
    for number in 0..3 {
        support
            .create(json!({"subject": format!("s{number}"), "description": "d"}))
            .await;
    }
    let (_, page) = support.get("/support/tickets?limit=1").await;
    page["next_cursor"].as_str().unwrap().to_string()
}

/// The same cursor with one of its characters exchanged.
fn tampered(cursor: &str, at: usize) -> String {
    let mut letters: Vec<char> = cursor.chars().collect();
    letters[at] = if letters[at] == 'A' { 'B' } else { 'A' };
    letters.into_iter().collect()
}

#[tokio::test]
async fn tampered_foreign_and_misused_cursors_are_400_and_rotation_keeps_true_ones() {
    let mut support = Support::open();
    let cursor = pages(&support).await;
    let (status, page) = support
        .get(&format!("/support/tickets?limit=1&cursor={cursor}"))
        .await;
    assert_eq!(status, StatusCode::OK, "{page}");
    for at in [0, 2, 10, cursor.len() - 2] {
        let path = format!("/support/tickets?cursor={}", tampered(&cursor, at));
        let (status, problem) = support.get(&path).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{at}: {problem}");
        assert_eq!(problem["errors"][0]["code"], "invalid_cursor");
    }
    for other in [
        format!("/support/tickets?status=new&cursor={cursor}"),
        format!("/support/tickets?sort=created_at&cursor={cursor}"),
        format!("/support/tickets/export.csv?cursor={cursor}"),
        format!("/support/tickets/changes?cursor={cursor}"),
    ] {
        assert_eq!(
            support.get(&other).await.0,
            StatusCode::BAD_REQUEST,
            "{other}"
        );
    }
    let foreign = support.host.key("bolt", &[]);
    let path = format!("/support/tickets?limit=1&cursor={cursor}");
    let answer = support.host.get(&path, &foreign).send().await.unwrap();
    let (status, _): (_, Value) = read(answer).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    rotate(&mut support);
    let (status, again) = support.get(&path).await;
    assert_eq!(
        (status, &again["tickets"]),
        (StatusCode::OK, &page["tickets"])
    );
    assert_ne!(
        again["next_cursor"], page["next_cursor"],
        "the newest key signs"
    );
}

/// A new version of the root secret, and a restart that reads it.
fn rotate(support: &mut Support) {
    let file = support.host.data_dir().join("secret");
    let before = std::fs::read_to_string(&file).unwrap();
    support.host.stop();
    hearth::secret::RootSecret::rotate(&file).unwrap();
    assert_ne!(std::fs::read_to_string(&file).unwrap(), before);
    support.host.restart();
}

//! Searching, counting, exporting: what any list can.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{Support, id};

pub async fn found(support: &Support, query: &str) -> Vec<String> {
    let (status, list) = support.get(&format!("/support/tickets?{query}")).await;
    assert_eq!(status, StatusCode::OK, "{list}");
    let tickets = list["tickets"].as_array().unwrap();
    tickets
        .iter()
        .map(|ticket| ticket["subject"].as_str().unwrap().to_string())
        .collect()
}

#[tokio::test]
async fn search_finds_tickets_with_all_words_and_follows_renames() {
    let support = Support::open();
    let make = |subject: &str, description: &str, tag: &str| {
        support.create(json!({"subject": subject, "description": description, "tags": [tag]}))
    };
    make("Red printer", "does not print", "hw").await;
    make("Blue printer", "prints in GREEN", "hw").await;
    let third = make("Invoice", "printer ink, red", "bill").await;
    assert_eq!(
        found(&support, "q=printer").await,
        ["Invoice", "Blue printer", "Red printer"]
    );
    assert_eq!(
        found(&support, "q=RED+printer&sort=created_at").await,
        ["Red printer", "Invoice"]
    );
    assert_eq!(
        found(&support, "q=printer&tag=hw&sort=updated_at").await,
        ["Red printer", "Blue printer"]
    );
    assert_eq!(found(&support, "q=green").await, ["Blue printer"]);
    assert_eq!(found(&support, "q=printer+nothing").await, [""; 0]);
    support.patch(id(&third), json!({"subject": "Bill"})).await;
    assert_eq!(found(&support, "q=invoice").await, [""; 0]);
    assert_eq!(found(&support, "q=bill+ink").await, ["Bill"]);
    let (_, count) = support
        .get("/support/tickets/count?q=printer&status=new")
        .await;
    assert_eq!(count, json!({"count": 3, "exact": true}));
    for wrong in ["q=!!!", "q=a+b+c+d+e+f+g+h+i", "q="] {
        let (status, answer) = support.get(&format!("/support/tickets?{wrong}")).await;
        assert_eq!(status.as_u16(), 400, "{wrong}: {answer}");
    }
    let bolt = support.host.key("bolt", &[]);
    let theirs = support
        .host
        .get("/support/tickets?q=printer", &bolt)
        .send()
        .await
        .unwrap();
    assert_eq!(theirs.json::<Value>().await.unwrap()["tickets"], json!([]));
}

/// Every page of an export, one after the other, and how many there were.
async fn export(support: &Support) -> (String, usize) {
    let mut path = "/support/tickets/export.csv?limit=2&sort=created_at".to_string();
    let (mut text, mut pages) = (String::new(), 0);
    loop {
        let answer = support.host.get(&path, &support.key).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let header = if pages == 0 { "present" } else { "absent" };
        let expected = format!("text/csv; charset=utf-8; header={header}");
        assert_eq!(answer.headers()["content-type"], expected);
        let link = answer
            .headers()
            .get("link")
            .map(|link| link.to_str().unwrap().to_string());
        text.push_str(&answer.text().await.unwrap());
        pages += 1;
        match link {
            Some(link) => path = link[1..link.find('>').unwrap()].to_string(),
            None => return (text, pages),
        }
    }
}

#[tokio::test]
async fn export_pages_are_one_csv_file_without_formulas() {
    let support = Support::open();
    for subject in [
        "=HYPERLINK(\"x\")",
        "a, b",
        "say \"hi\"",
        "two\nlines",
        "@cmd",
        "\n=1",
        "＝1",
    ] {
        support
            .create(
                json!({"subject": subject, "description": "d", "tags": ["t,u"],
                "requester": {"email": "ada@example.com"}}),
            )
            .await;
    }
    let (text, pages) = export(&support).await;
    assert_eq!(pages, 4);
    assert!(text.starts_with("id,external_id,status,priority,type,subject,assignee,tags,"));
    assert_eq!(text.matches("external_id").count(), 1, "one line of names");
    assert_eq!(text.matches(",,ada@example.com\r\n").count(), 7);
    assert_eq!(text.matches("\r\n").count(), 8);
    for cell in [
        ",\"'=HYPERLINK(\"\"x\"\")\",",
        ",\"a, b\",",
        ",\"say \"\"hi\"\"\",",
        ",\"two\nlines\",",
        ",'@cmd,",
        ",\"'\n=1\",",
        ",'＝1,",
        ",\"[\"\"t,u\"\"]\",",
    ] {
        assert!(text.contains(cell), "{cell}\n{text}");
    }
}

/// Postgres writes it with all of its 309 digits.
#[tokio::test]
async fn numbers_come_back_with_every_digit_up_to_the_edge_of_what_a_float_holds() {
    let support = Support::open();
    let long = "[18446744073709551616,0.30000000000000004441,1.50]";
    let fields = json!({"most": f64::MAX, "least": f64::MIN_POSITIVE, "third": 1.0 / 3.0,
        "long": serde_json::from_str::<Value>(long).unwrap()});
    let ticket =
        json!({"subject": "Numbers", "description": "Large ones.", "custom_fields": fields});
    support.create(ticket).await;
    let (status, list) = support.get("/support/tickets").await;
    assert_eq!(status, StatusCode::OK, "{list}");
    let read = &list["tickets"][0]["custom_fields"];
    for name in ["most", "least", "third"] {
        assert_eq!(read[name].as_f64(), fields[name].as_f64(), "{name}");
    }
    assert_eq!(read["long"].to_string(), long);
    let twice = r#"{"subject": "first", "subject": "second", "description": "d"}"#;
    let request = support.host.post("/support/tickets", &support.key);
    let answer = request.body(twice).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
}

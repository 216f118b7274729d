//! Every type of value, both ways.

use hearth::capability::sql::statement::{AccessMode, Type};
use hearth::capability::sql::{GuestError, Value};

use super::fixture::{Caller, Fixture, Package, migration, statement};

const TABLE: &str = "CREATE TABLE everything (
    customer_id text, id bigint, b boolean, i integer, l bigint, f double precision, t text,
    y bytea, u uuid, ts timestamptz, d date, n numeric, j json, jb jsonb,
    ta text[], la bigint[], ua uuid[], s smallint, r real, PRIMARY KEY (customer_id, id))";
const PUT: &str = "INSERT INTO everything (id, b, i, l, f, t, y, u, ts, d, n, j, jb, ta, la, ua) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)";
const GET: &str =
    "SELECT b, i, l, f, t, y, u, ts, d, n, j, jb, ta, la, ua FROM everything WHERE id = $1";
const SHOWN: &str = "SELECT ts::text AS ts, d::text AS d, n::text AS n, jb::text AS jb FROM everything WHERE id = $1";
const NARROW: &str = "SELECT 7::smallint AS s, 0.5::real AS r";
const HOLES: &str = "SELECT ARRAY['a', NULL] AS ta";
const SQUARE: &str = "SELECT ARRAY[[1::bigint], [2]] AS la";

const KINDS: [(&str, Type); 15] = [
    ("b", Type::Bool),
    ("i", Type::Int4),
    ("l", Type::Int8),
    ("f", Type::Float8),
    ("t", Type::Text),
    ("y", Type::Bytea),
    ("u", Type::Uuid),
    ("ts", Type::Timestamptz),
    ("d", Type::Date),
    ("n", Type::Numeric),
    ("j", Type::Json),
    ("jb", Type::Json),
    ("ta", Type::TextArray),
    ("la", Type::Int8Array),
    ("ua", Type::UuidArray),
];

fn package() -> Package {
    let mut put = vec![Type::Int8];
    put.extend(KINDS.map(|(_, kind)| kind));
    let text = |name| (name, Type::Text);
    let declared = vec![
        statement(PUT, &put, &[], AccessMode::Write),
        statement(GET, &[Type::Int8], &KINDS, AccessMode::Read),
        statement(
            SHOWN,
            &[Type::Int8],
            &["ts", "d", "n", "jb"].map(text),
            AccessMode::Read,
        ),
        statement(
            NARROW,
            &[],
            &[("s", Type::Int4), ("r", Type::Float8)],
            AccessMode::Read,
        ),
        statement(HOLES, &[], &[("ta", Type::TextArray)], AccessMode::Read),
        statement(SQUARE, &[], &[("la", Type::Int8Array)], AccessMode::Read),
    ];
    Package {
        declared,
        migrations: vec![migration(1, TABLE)],
        ..Package::notes()
    }
}

const ID: &str = "67e55044-10b1-426f-9247-bb680e5fe0c8";

fn rows() -> Vec<Vec<Value>> {
    let row = |b, i, l, f, t: &str, y: &[u8], ts, d, n: &str, j: &str| {
        vec![
            Value::Boolean(b),
            Value::Int32(i),
            Value::Int64(l),
            Value::Float64(f),
            Value::Text(t.into()),
            Value::Bytes(y.into()),
            Value::Uuid(ID.into()),
            Value::Timestamp(ts),
            Value::Date(d),
            Value::Numeric(n.into()),
            Value::Json(j.into()),
            Value::Json(j.into()),
            Value::TextArray(vec![t.into(), String::new(), "a,\"b\"{}\\".into()]),
            Value::Int64Array(vec![l, 0, -1]),
            Value::UuidArray(vec![ID.into()]),
        ]
    };
    vec![
        row(
            true,
            1,
            2,
            0.1,
            "ü 漢 '\"",
            &[0, 255],
            1_700_000_000_123_456,
            19_000,
            "-12.500",
            "{\"a\": [1, null]}",
        ),
        row(
            false,
            i32::MIN,
            i64::MIN,
            f64::MIN,
            "",
            &[],
            -1,
            -1,
            "0.000000000000000000001",
            "null",
        ),
        row(
            true,
            i32::MAX,
            i64::MAX,
            f64::INFINITY,
            " ",
            &[7],
            i64::MAX,
            i32::MAX,
            "NaN",
            "1.10",
        ),
        row(
            true,
            0,
            0,
            -0.0,
            "\n",
            &[1],
            i64::MIN,
            i32::MIN,
            "123456789012345678901234567890.5",
            "\"x\"",
        ),
        vec![Value::Null; 15],
        vec![
            Value::Null,
            Value::Null,
            Value::Null,
            Value::Null,
            Value::Null,
            Value::Null,
            Value::Null,
            Value::Null,
            Value::Null,
            Value::Null,
            Value::Null,
            Value::Null,
            Value::TextArray(vec![]),
            Value::Int64Array(vec![]),
            Value::UuidArray(vec![]),
        ],
    ]
}

#[tokio::test]
async fn values_of_every_type_come_back_exactly() {
    let fixture = Fixture::start().await;
    let lent = fixture.lend(package()).await;
    let mut acme = Caller::of(&lent, "acme");
    for (id, row) in (0..).zip(rows()) {
        let mut params = vec![Value::Int64(id)];
        params.extend(row.clone());
        assert_eq!(acme.execute(PUT, params).await.unwrap(), 1);
        let found = acme.query(GET, vec![Value::Int64(id)]).await.unwrap();
        assert_eq!(found.columns, KINDS.map(|(name, _)| name));
        assert_eq!(format!("{:?}", found.rows), format!("{:?}", [row]));
    }
}

/// Both directions could share one mistake; so Postgres says what it understood.
#[tokio::test]
async fn postgres_understands_what_was_sent() {
    let fixture = Fixture::start().await;
    let lent = fixture.lend(package()).await;
    let mut acme = Caller::of(&lent, "acme");
    let mut params = vec![Value::Int64(1)];
    params.extend(rows().swap_remove(0));
    acme.execute(PUT, params).await.unwrap();
    let shown = acme.query(SHOWN, vec![Value::Int64(1)]).await.unwrap();
    let wanted = [
        "2023-11-14 22:13:20.123456+00",
        "2022-01-08",
        "-12.500",
        "{\"a\": [1, null]}",
    ];
    assert_eq!(
        shown.rows[0]
            .iter()
            .map(super::fixture::text_of)
            .collect::<Vec<_>>(),
        wanted
    );
}

#[tokio::test]
async fn narrower_numbers_are_widened() {
    let fixture = Fixture::start().await;
    let lent = fixture.lend(package()).await;
    let row = Caller::of(&lent, "acme")
        .query(NARROW, vec![])
        .await
        .unwrap();
    assert!(matches!(row.rows[0].as_slice(), [Value::Int32(7), Value::Float64(r)] if *r == 0.5));
}

#[tokio::test]
async fn arrays_that_have_no_form_here_are_invalid_and_harm_no_later_call() {
    let fixture = Fixture::start().await;
    let lent = fixture.lend(package()).await;
    let mut acme = Caller::of(&lent, "acme");
    for text in [HOLES, SQUARE] {
        let result = acme.query(text, vec![]).await;
        assert!(matches!(result, Err(GuestError::Invalid(_))), "{result:?}");
    }
    assert!(acme.query(NARROW, vec![]).await.is_ok());
}

#[tokio::test]
async fn malformed_values_are_invalid_before_anything_is_sent() {
    let fixture = Fixture::start().await;
    let lent = fixture.lend(package()).await;
    let mut acme = Caller::of(&lent, "acme");
    let good = || {
        let mut params = vec![Value::Int64(1)];
        params.extend(rows().swap_remove(0));
        params
    };
    let bad = [
        (
            7,
            Value::Uuid("{67e55044-10b1-426f-9247-bb680e5fe0c8}".into()),
        ),
        (7, Value::Uuid("x".repeat(36))),
        (8, Value::Timestamp(i64::MIN + 1)),
        (9, Value::Date(i32::MIN + 1)),
        (10, Value::Numeric("1e5".into())),
        (15, Value::UuidArray(vec!["x".into()])),
    ];
    for (place, value) in bad {
        let mut params = good();
        params[place] = value;
        let result = acme.execute(PUT, params).await;
        assert!(matches!(result, Err(GuestError::Invalid(_))), "{result:?}");
    }
    assert_eq!(lent.pool().unwrap().open, 0);
    // These reach Postgres, which refuses them.
    for (place, value) in [
        (11, Value::Json("{".into())),
        (8, Value::Timestamp(i64::MIN / 2)),
    ] {
        let mut params = good();
        params[place] = value;
        let result = acme.execute(PUT, params).await;
        assert!(matches!(result, Err(GuestError::Invalid(_))), "{result:?}");
    }
}

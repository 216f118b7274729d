//! The judge on plans that Postgres 15 and 18 made of the tables in `fixtures/schema.sql`,
//! which were empty, under the host's policies: as EXPLAIN told them, without the members
//! that nobody reads.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::indexes::TableIndex;
use super::judge::Judge;
use super::plan::{self, PlanNode};
use crate::capability::sql::gate::limits_rows;

const VERSIONS: [&str; 2] = [
    include_str!("fixtures/postgres-15.json"),
    include_str!("fixtures/postgres-18.json"),
];

/// A statement, the tables of which it reads all rows, and its plans with sorts and
/// without.
#[derive(Deserialize)]
struct Case {
    text: String,
    tables: Vec<String>,
    plans: [Box<RawValue>; 2],
}

fn index(table: &str, name: &str, columns: &[&str]) -> TableIndex {
    TableIndex {
        table: table.into(),
        name: format!("{table}_{name}"),
        is_secured: columns.contains(&"customer_id"),
        is_unique: name == "pkey",
        is_comparable: vec![!["amount", "length"].contains(&name); columns.len()],
        columns: columns.iter().map(|column| (*column).to_owned()).collect(),
        predicate: (name == "pending").then(|| "(state = 'pending'::text)".to_owned()),
    }
}

fn indexes() -> Vec<TableIndex> {
    vec![
        index("note", "pkey", &["customer_id", "id"]),
        index("note", "author", &["customer_id", "author"]),
        index("note", "kind", &["customer_id", "kind::text"]),
        index("note", "at", &["customer_id", "at", "id"]),
        index("note", "pending", &["customer_id", "at"]),
        index("note", "amount", &["customer_id", "amount"]),
        index("note", "length", &["customer_id", "length(author)"]),
        index("remark", "pkey", &["customer_id", "id"]),
        index("remark", "note", &["customer_id", "note", "body"]),
        index("counter", "pkey", &["customer_id"]),
        index("country", "pkey", &["code"]),
    ]
}

/// The tables of which both plans read all rows.
fn judged(case: &Case) -> Vec<String> {
    let indexes = indexes();
    let judge = Judge {
        schema: "plugin_notes",
        indexes: &indexes,
    };
    let limits = limits_rows(&case.text);
    let tables = case.plans.iter().map(|plan| {
        let plan = plan::read(plan.get()).unwrap();
        let unbound = judge.unbound(&plan, limits);
        let tables = unbound.iter().filter_map(|node| node.table.clone());
        tables.collect::<BTreeSet<String>>()
    });
    let mut tables: Vec<_> = tables.collect();
    tables.sort_by_key(BTreeSet::len);
    tables.swap_remove(0).into_iter().collect()
}

#[test]
fn what_keys_and_limits_bind_passes_and_what_reads_all_rows_is_found() {
    for version in VERSIONS {
        let cases: Vec<Case> = serde_json::from_str(version).unwrap();
        assert!(cases.len() >= 50);
        let wrong = cases
            .iter()
            .map(|case| (&case.text, &case.tables, judged(case)))
            .filter(|(_, wanted, found)| *wanted != found);
        let wrong: Vec<_> = wrong.collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}

/// A scan of `note` under some other nodes.
fn plan_of(scan: &str, above: &[&str]) -> PlanNode {
    let scan = format!(
        r#"{{"Node Type": "Index Scan", "Parent Relationship": "Outer", "Schema": "plugin_notes",
            "Relation Name": "note", "Alias": "n", "Index Name": "note_at", {scan}}}"#
    );
    let plan = above.iter().rev().fold(scan, |plan, kind| {
        format!(r#"{{"Node Type": "{kind}", "Parent Relationship": "Outer", "Plans": [{plan}]}}"#)
    });
    plan::read(&format!(r#"[{{"Plan": {plan}}}]"#)).unwrap()
}

const TENANT: &str = r#""Index Cond": "(n.customer_id = NULLIF(current_setting('hearth.customer_id'::text, true), ''::text))""#;

fn is_bound(scan: &str, above: &[&str]) -> bool {
    let indexes = indexes();
    let judge = Judge {
        schema: "plugin_notes",
        indexes: &indexes,
    };
    judge.unbound(&plan_of(scan, above), true).is_empty()
}

#[test]
fn limit_binds_what_comes_in_order_and_not_what_is_gathered_before_it() {
    for above in [
        &["Limit"][..],
        &["Limit", "LockRows"],
        &["Aggregate", "Limit", "Subquery Scan"],
        &["ModifyTable", "Nested Loop", "Limit"],
    ] {
        assert!(is_bound(TENANT, above), "{above:?}");
    }
    for above in [
        &[][..],
        &["Limit", "Sort"],
        &["Limit", "Incremental Sort"],
        &["Limit", "Aggregate"],
        &["Limit", "Unique"],
        &["Limit", "WindowAgg"],
        &["Limit", "Hash"],
        &["Limit", "Materialize"],
        &["Limit", "A Node Of Later Versions"],
    ] {
        assert!(!is_bound(TENANT, above), "{above:?}");
    }
}

#[test]
fn condition_counts_where_it_is_on_the_key_and_its_value_is_there() {
    let filtered = |filter: &str| is_bound(&format!(r#"{TENANT}, "Filter": "{filter}""#), &[]);
    for filter in [
        "(n.author = $1)",
        "($1 = n.author)",
        "(n.id = ANY ($1))",
        "(n.at > now())",
        "((n.body ~~ $2) AND (n.author = 'a AND b'::text))",
        "(n.author = (InitPlan 1).col1)",
        "((n.kind)::text = $1)",
    ] {
        assert!(filtered(filter), "{filter}");
    }
    for filter in [
        "(n.body = $1)",
        "(n.author <> $1)",
        "(n.author IS NOT NULL)",
        "(n.author = n.body)",
        "((n.author = $1) OR (n.id = $2))",
        "(NOT (n.author = $1))",
        "(lower(n.author) = $1)",
        "(n.authors = $1)",
        "(n.amount = $1)",
        "(an.author = $1)",
        "(n.body = 'n.author = 1'::text)",
    ] {
        assert!(!filtered(filter), "{filter}");
    }
}

#[test]
fn function_of_the_plugin_is_no_table() {
    let indexes = indexes();
    let judge = Judge {
        schema: "plugin_notes",
        indexes: &indexes,
    };
    let plan = r#"[{"Plan": {"Node Type": "Function Scan", "Function Name": "touch",
        "Schema": "plugin_notes", "Alias": "touch"}}]"#;
    assert!(judge.unbound(&plan::read(plan).unwrap(), true).is_empty());
}

#[test]
fn plan_that_cannot_be_read_is_told() {
    let deep = format!(
        r#"[{{"Plan": {}{}"#,
        r#"{"Plans": ["#.repeat(200),
        "]}".repeat(200)
    );
    assert!(plan::read(&format!("{deep}}}]")).is_err());
    for text in ["", "[]", "{}", "[{}]", "null"] {
        assert!(plan::read(text).is_err(), "{text}");
    }
}

#[test]
fn plan_is_shown_with_its_conditions_and_what_reads_all_rows() {
    let indexes = indexes();
    let judge = Judge {
        schema: "plugin_notes",
        indexes: &indexes,
    };
    let plan = plan_of(
        &format!(r#"{TENANT}, "Filter": "(n.body = $1)""#),
        &["Sort"],
    );
    let unbound = judge.unbound(&plan, true);
    assert_eq!(
        plan::shown(&plan, &unbound),
        "Sort\n  Index Scan on note as n by note_at  <- all rows\n      \
         Index Cond: (n.customer_id = the customer)\n      Filter: (n.body = $1)"
    );
}

//! The statement gate: what SQL a plugin may declare and migrate.

use hearth::capability::sql::gate::{
    ApprovedFunctions, Refusal, check_declared, check_migration, check_statement,
};
use hearth::capability::sql::statement::{AccessMode, Declared};

mod function;
mod hostile;
mod migration;
mod positions;
mod record;

const SCHEMA: &str = "tickets";

fn approved(names: &[&str]) -> ApprovedFunctions {
    ApprovedFunctions::new(names.iter().map(|name| name.to_string())).unwrap()
}

fn statement(text: &str) -> Result<AccessMode, Refusal> {
    check_statement(text, SCHEMA, &approved(&[]))
}

fn migrate(text: &str) -> Result<Vec<String>, Refusal> {
    check_migration(text, SCHEMA, &approved(&["touch"]))
}

/// Asserts that each text is refused for its reason, and names all that are not.
fn assert_all_refused<T: std::fmt::Debug>(
    cases: &[(&str, &str)],
    check: impl Fn(&str) -> Result<T, Refusal>,
) {
    let wrong = |(text, reason): &&(&str, &str)| match check(text) {
        Err(refusal) => !refusal.reason.contains(reason),
        Ok(_) => true,
    };
    let wrong = cases
        .iter()
        .filter(wrong)
        .map(|(text, reason)| (text, reason, check(text)));
    let wrong = wrong.collect::<Vec<_>>();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Asserts that a text is refused, and for that reason.
fn assert_refused<T: std::fmt::Debug>(answer: Result<T, Refusal>, text: &str, reason: &str) {
    match answer {
        Err(refusal) => assert!(refusal.reason.contains(reason), "{text}: {refusal}"),
        Ok(answer) => panic!("{text}: passed as {answer:?}"),
    }
}

#[test]
fn reading_statements_pass_as_read() {
    let texts = [
        "SELECT id, subject FROM ticket WHERE status = $1 ORDER BY id LIMIT $2",
        "SELECT t.id FROM tickets.ticket t JOIN hearth.customer c ON c.id = t.customer_id",
        "SELECT count(*) FROM ticket",
        "SELECT count(*) FILTER (WHERE status = 'open') AS open FROM ticket;",
        "WITH recent AS (SELECT id FROM ticket LIMIT 10) SELECT id FROM recent",
        "SELECT coalesce(subject, ''), nullif(a, b), greatest(1, 2) FROM ticket",
        "SELECT now(), CURRENT_TIMESTAMP, CURRENT_DATE, date_trunc('day', created_at) FROM ticket",
        "SELECT extract(epoch FROM created_at) FROM ticket WHERE created_at AT TIME ZONE 'UTC' > $1",
        "SELECT jsonb_build_object('id', id) -> 'id', custom ->> 'x' FROM ticket",
        "SELECT id FROM ticket WHERE search @@ websearch_to_tsquery('english'::regconfig, $1)",
        "SELECT row_number() OVER (PARTITION BY status ORDER BY id) FROM ticket",
        "SELECT g FROM generate_series(1, 10) AS g",
        "SELECT e.key FROM ticket, LATERAL jsonb_each(custom) AS e",
        "SELECT id FROM ticket WHERE id = ANY($1::uuid[]) AND EXISTS (SELECT 1 FROM comment)",
        "SELECT pg_catalog.lower(subject) FROM ticket WHERE subject OPERATOR(pg_catalog.=) $1",
        "SELECT id FROM ticket UNION ALL SELECT id FROM archive",
        "SELECT trim(both ' ' from subject), substring(subject from 1 for 3), position('a' in b) FROM t",
        "VALUES (1, 'a'), (2, 'b')",
        "SELECT CASE WHEN a > 1 THEN 'x' ELSE 'y' END, (a, b) = (c, d), a[1:2] FROM t",
        "SELECT id FROM ticket TABLESAMPLE bernoulli (10)",
        "SELECT subject COLLATE \"C\" FROM ticket WHERE subject LIKE $1 ESCAPE '!'",
        "SELECT x.a FROM ROWS FROM (generate_series(1, 2)) AS x(a)",
        "SELECT a FROM t GROUP BY GROUPING SETS ((a), ()) HAVING grouping(a) = 0",
    ];
    for text in texts {
        assert_eq!(statement(text), Ok(AccessMode::Read), "{text}");
    }
}

#[test]
fn what_can_write_lock_or_change_its_answer_passes_as_write() {
    let texts = [
        "INSERT INTO ticket (id, subject) VALUES ($1, $2) RETURNING id",
        "INSERT INTO ticket (id) VALUES ($1) ON CONFLICT (id) DO UPDATE SET subject = excluded.subject",
        "UPDATE tickets.ticket SET subject = $1 WHERE id = $2",
        "DELETE FROM ticket WHERE id = $1",
        "MERGE INTO ticket t USING (SELECT 1 AS id) s ON t.id = s.id WHEN MATCHED THEN DELETE",
        "WITH gone AS (DELETE FROM ticket RETURNING id) SELECT id FROM gone",
        "SELECT id FROM (SELECT 1 AS id FROM ticket FOR UPDATE) x",
        "SELECT t.id FROM ticket t FOR UPDATE OF t SKIP LOCKED",
        "SELECT id FROM ticket FOR KEY SHARE",
        "SELECT id FROM ticket ORDER BY random()",
        "SELECT gen_random_uuid()",
        "SELECT clock_timestamp()",
    ];
    for text in texts {
        assert_eq!(statement(text), Ok(AccessMode::Write), "{text}");
    }
}

#[test]
fn statements_that_reach_further_are_refused_with_the_reason() {
    let cases = [
        ("", "0 statements"),
        ("SELECT 1; SELECT 2", "2 statements"),
        ("SELECT * FROM ticket", "name the columns"),
        ("SELECT t.* FROM ticket t", "name the columns"),
        ("SELECT (t).* FROM ticket t", "name the columns"),
        ("TABLE ticket", "name the columns"),
        ("SELECT ROW(t.*) FROM ticket t", "name the columns"),
        (
            "INSERT INTO ticket (id) VALUES (1) RETURNING *",
            "name the columns",
        ),
        ("SELECT id INTO TEMP items FROM ticket", "SELECT INTO"),
        ("SELECT id INTO items FROM ticket", "SELECT INTO"),
        ("SET ROLE postgres", "no others are allowed"),
        ("RESET ALL", "no others are allowed"),
        ("SHOW search_path", "no others are allowed"),
        ("DO $$ BEGIN END $$", "no others are allowed"),
        ("CALL touch()", "no others are allowed"),
        ("COPY ticket TO '/tmp/x'", "no others are allowed"),
        ("EXPLAIN SELECT 1", "no others are allowed"),
        ("BEGIN", "no others are allowed"),
        ("LOCK TABLE ticket", "no others are allowed"),
        ("CREATE TABLE x (a int)", "no others are allowed"),
        ("PREPARE x AS SELECT 1", "no others are allowed"),
        ("DECLARE c CURSOR FOR SELECT 1", "no others are allowed"),
        ("NOTIFY x", "no others are allowed"),
        ("CREATE TABLE x AS SELECT 1", "no others are allowed"),
        ("SELECT pg_sleep(1)", "approve"),
        (
            "SELECT current_setting('hearth.customer_id')",
            "plugins may not call",
        ),
        (
            "SELECT query_to_xml('SELECT 1', true, true, '')",
            "plugins may not call",
        ),
        (
            "SELECT word FROM ts_stat('SELECT 1')",
            "plugins may not call",
        ),
        (
            "SELECT ts_rewrite('a'::tsquery, 'SELECT 1')",
            "plugins may not call",
        ),
        ("SELECT lo_import('/etc/passwd')", "plugins may not call"),
        ("SELECT pg_advisory_lock(1)", "plugins may not call"),
        ("SELECT pg_notify('a', 'b')", "plugins may not call"),
        (
            "SELECT nextval('ticket_id_seq')",
            "an operator can approve it",
        ),
        ("SELECT touch(1)", "an operator can approve it"),
        ("SELECT version()", "an operator can approve it"),
        ("SELECT public.lower('a')", "calls public.lower"),
        ("SELECT tickets.lower('a')", "calls tickets.lower"),
        ("SELECT a.b.lower('a')", "more than two parts"),
        ("SELECT id FROM other.ticket", "own schema"),
        ("SELECT id FROM public.ticket", "own schema"),
        ("SELECT id FROM db.tickets.ticket", "own schema"),
        ("SELECT id FROM hearth.api_key", "own schema"),
        ("SELECT id FROM db.hearth.customer", "own schema"),
        ("UPDATE hearth.customer SET tier = 'x'", "own schema"),
        ("INSERT INTO hearth.customer (id) VALUES (1)", "own schema"),
        ("DELETE FROM hearth.customer", "own schema"),
        (
            "MERGE INTO hearth.customer c USING t ON c.id = t.id WHEN MATCHED THEN DELETE",
            "own schema",
        ),
        (
            "SELECT table_name FROM information_schema.tables",
            "own schema",
        ),
        ("SELECT rolname FROM pg_catalog.pg_roles", "own schema"),
        ("SELECT rolname FROM pg_roles", "catalogs of Postgres"),
        (
            "UPDATE pg_settings SET setting = 'x' WHERE name = 'search_path'",
            "catalogs of Postgres",
        ),
        (
            "SELECT id FROM ticket WHERE id IN (SELECT oid FROM pg_class)",
            "catalogs of Postgres",
        ),
        ("SELECT 'pg_class'::regclass", "regclass"),
        ("SELECT CAST($1 AS pg_catalog.regrole)", "regrole"),
        ("SELECT $1::regproc[]", "regproc"),
        ("SELECT '{pg_class}'::_regclass", "regclass"),
        ("SELECT NULL::pg_authid", "pg_authid"),
        ("SELECT '<a/>'::xml", "xml"),
        ("SELECT $1::other.thing", "of another schema"),
        ("SELECT 1 OPERATOR(other.+) 2", "of another schema"),
        (
            "SELECT 1 OPERATOR(other.=) ANY (SELECT 2)",
            "of another schema",
        ),
        (
            "SELECT a FROM t ORDER BY a USING OPERATOR(other.<)",
            "of another schema",
        ),
        ("SELECT a COLLATE other.x FROM t", "of another schema"),
        ("SELECT CURRENT_USER", "reads the current role"),
        ("SELECT session_user", "reads the current role"),
        ("SELECT current_role", "reads the current role"),
        ("SELECT current_schema", "reads the current role"),
        ("SELECT current_catalog", "reads the current role"),
        ("SELECT current_schema()", "an operator can approve it"),
        ("SELECT system_user", "an operator can approve it"),
        ("SELECT xmlserialize(content 'a' AS text)", "XML"),
        ("SELECT xmlelement(name a)", "XML"),
        (
            "SELECT x.a FROM xmltable('/' PASSING 'b' COLUMNS a text) x",
            "XML",
        ),
        (
            "SELECT id FROM ticket TABLESAMPLE other.system (1)",
            "uses a sampling method other than",
        ),
        ("UPDATE ticket SET id = 1 WHERE CURRENT OF c", "CURRENT OF"),
        ("SELECT COLLATION FOR ('a')", "plugins may not call"),
        ("SELECT 'a\0b'", ""),
    ];
    assert_all_refused(&cases, statement);
}

#[test]
fn a_syntax_error_is_refused_with_its_position() {
    let text = "SELECT a, form FROM t WHERE form form x";
    let refusal = statement(text).unwrap_err();
    assert!(refusal.reason.contains("syntax error"), "{refusal}");
    assert_eq!(refusal.position, Some(33), "{refusal}");
    let refusal = statement("SELECT id FRM ticket t WHERE 1").unwrap_err();
    assert_eq!(refusal.position, Some(14), "{refusal}");
    let refusal = statement("SELECT 'é', set_config('a', 'b', true)").unwrap_err();
    assert_eq!(refusal.position, Some(13), "{refusal}");
}

#[test]
fn a_refusal_reads_as_a_sentence_and_quotes_at_most_120_characters() {
    let text = format!("SELECT set_config('{}', 'b', true)", "ä".repeat(500));
    let refusal = statement(&text).unwrap_err();
    assert_eq!(refusal.statement.chars().count(), 120);
    let shown = statement("SELECT set_config('a', 'b', true)")
        .unwrap_err()
        .to_string();
    let wanted = "calls set_config, which plugins may not call (at byte 7)";
    assert_eq!(
        shown,
        format!("`SELECT set_config('a', 'b', true)`: {wanted}")
    );
}

#[test]
fn an_approved_function_is_called_by_name_and_counts_as_writing() {
    let approved = approved(&["touch", "nextval"]);
    let check = |text| check_statement(text, SCHEMA, &approved);
    assert_eq!(check("SELECT touch(1)"), Ok(AccessMode::Write));
    assert_eq!(check("SELECT tickets.touch(1)"), Ok(AccessMode::Write));
    assert_eq!(check("SELECT nextval('a')"), Ok(AccessMode::Write));
    assert_eq!(check("SELECT t.touch FROM ticket t"), Ok(AccessMode::Write));
    assert_eq!(
        check("SELECT (t).touch FROM ticket t"),
        Ok(AccessMode::Write)
    );
    assert_refused(
        check("SELECT other.touch(1)"),
        "other.touch",
        "calls other.touch",
    );
}

#[test]
fn some_functions_cannot_be_approved() {
    let names = [
        "set_config",
        "SET_CONFIG",
        "dblink_exec",
        "lo_export",
        "pg_read_file",
        "query_to_xml_and_xmlschema",
        "current_setting",
    ];
    for name in names {
        assert!(
            ApprovedFunctions::new([name.to_string()]).is_err(),
            "{name}"
        );
    }
}

#[test]
fn a_statement_declared_to_read_must_not_be_able_to_write() {
    let declared = |text: &str, access| Declared {
        name: "one".into(),
        text: text.into(),
        params: Vec::new(),
        columns: Vec::new(),
        access,
    };
    let check = |declared: &Declared| check_declared(declared, SCHEMA, &approved(&[]));
    assert!(check(&declared("SELECT 1 AS a", AccessMode::Read)).is_ok());
    assert!(check(&declared("SELECT 1 AS a", AccessMode::Write)).is_ok());
    let text = "SELECT id FROM ticket FOR UPDATE";
    assert_refused(
        check(&declared(text, AccessMode::Read)),
        text,
        "declared to read",
    );
    assert!(check(&declared(text, AccessMode::Write)).is_ok());
}

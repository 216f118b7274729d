//! The statement gate: what SQL a plugin may declare and migrate.

use hearth::capability::sql::gate::{
    ApprovedFunctions, Refusal, check_declared, check_migration, check_statement,
};
use hearth::capability::sql::statement::{
    Access, Column, Declared, SectionError, TEXT_BYTES_MAX, Type, encode, join, parse_section,
};
use proptest::prelude::*;

const SCHEMA: &str = "tickets";

fn approved(names: &[&str]) -> ApprovedFunctions {
    ApprovedFunctions::new(names.iter().map(|name| name.to_string())).unwrap()
}

fn statement(text: &str) -> Result<Access, Refusal> {
    check_statement(text, SCHEMA, &approved(&[]))
}

fn migration(text: &str) -> Result<Vec<String>, Refusal> {
    check_migration(text, SCHEMA, &approved(&["touch"]))
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
        assert_eq!(statement(text), Ok(Access::Read), "{text}");
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
        "SELECT id FROM ticket FOR UPDATE SKIP LOCKED",
        "SELECT id FROM ticket FOR KEY SHARE",
        "SELECT id FROM ticket ORDER BY random()",
        "SELECT gen_random_uuid()",
        "SELECT clock_timestamp()",
    ];
    for text in texts {
        assert_eq!(statement(text), Ok(Access::Write), "{text}");
    }
}

/// Every place of a statement where an expression can stand.
const POSITIONS: &[&str] = &[
    "SELECT @",
    "SELECT 1 AS a WHERE @ IS NOT NULL",
    "SELECT x FROM t, LATERAL @ AS x",
    "SELECT x FROM LATERAL (SELECT @) AS y(x)",
    "SELECT x FROM ROWS FROM (generate_series(1, 2), @) AS y(x, z)",
    "SELECT x FROM ROWS FROM (@ AS (a text)) AS x",
    "SELECT a FROM t JOIN u ON @ = a",
    "VALUES (1, @)",
    "SELECT a FROM t GROUP BY @",
    "SELECT a FROM t GROUP BY ROLLUP (a, @)",
    "SELECT a FROM t GROUP BY GROUPING SETS ((@), ())",
    "SELECT grouping(@) FROM t GROUP BY a",
    "SELECT a FROM t GROUP BY a HAVING @ = a",
    "SELECT a FROM t ORDER BY @",
    "SELECT a FROM t LIMIT length(@)",
    "SELECT a FROM t OFFSET length(@)",
    "SELECT a FROM t FETCH FIRST (length(@)) ROWS WITH TIES",
    "SELECT DISTINCT ON (@) a FROM t",
    "SELECT sum(a) OVER (PARTITION BY @) FROM t",
    "SELECT sum(a) OVER (ORDER BY a ROWS BETWEEN length(@) PRECEDING AND CURRENT ROW) FROM t",
    "SELECT sum(a) OVER (ORDER BY a ROWS BETWEEN CURRENT ROW AND length(@) FOLLOWING) FROM t",
    "SELECT sum(a) OVER w FROM t WINDOW w AS (ORDER BY @)",
    "SELECT sum(a) FILTER (WHERE @ = 'x') FROM t",
    "SELECT string_agg(a, ',' ORDER BY @) FROM t",
    "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY @) FROM t",
    "SELECT concat(VARIADIC ARRAY[@])",
    "SELECT make_interval(days => length(@))",
    "SELECT CASE @ WHEN 'x' THEN 1 END",
    "SELECT CASE WHEN @ = 'x' THEN 1 END",
    "SELECT CASE WHEN true THEN @ END",
    "SELECT CASE WHEN true THEN 'x' ELSE @ END",
    "SELECT a[length(@)] FROM t",
    "SELECT a[1:length(@)] FROM t",
    "SELECT (@)::text",
    "SELECT ((@)::json) -> 'a'",
    "SELECT (row_to_json(t)).x[length(@)] FROM t",
    "SELECT @ COLLATE \"C\"",
    "SELECT @ IS NULL",
    "SELECT (@)::bool IS TRUE",
    "SELECT @ IS DISTINCT FROM 'x'",
    "SELECT @ BETWEEN 'a' AND 'b'",
    "SELECT 'a' BETWEEN 'a' AND @",
    "SELECT 'a' IN ('b', @)",
    "SELECT 'a' = ANY (ARRAY[@])",
    "SELECT 'a' LIKE @ ESCAPE '!'",
    "SELECT 'a' LIKE 'b' ESCAPE @",
    "SELECT 'a' SIMILAR TO @",
    "SELECT NOT (@)::bool AND true",
    "SELECT nullif(@, 'a'), coalesce('a', @)",
    "SELECT coalesce('a', @)",
    "SELECT greatest('a', @)",
    "SELECT ROW('a', @)",
    "SELECT ('a', @) = ('a', 'b')",
    "SELECT ARRAY[['a'], [@]]",
    "SELECT ARRAY(SELECT @)",
    "SELECT (SELECT @)",
    "SELECT EXISTS (SELECT @)",
    "SELECT a FROM t WHERE (a, @) IN (SELECT 1, 2)",
    "SELECT a FROM t WHERE a > ALL (SELECT @)",
    "SELECT now() AT TIME ZONE @",
    "SELECT extract(year FROM (@)::date)",
    "SELECT substring('a' FROM @)",
    "SELECT overlay('a' PLACING @ FROM 1)",
    "SELECT trim(@ FROM 'a')",
    "SELECT a FROM t TABLESAMPLE bernoulli (length(@))",
    "SELECT a FROM t TABLESAMPLE bernoulli (10) REPEATABLE (length(@))",
    "WITH x AS MATERIALIZED (SELECT @) SELECT 1",
    "WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + length(@) FROM x) SELECT n FROM x",
    "WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n FROM x) CYCLE n SET c TO @ DEFAULT 'b' USING p SELECT n FROM x",
    "SELECT 1 UNION SELECT length(@)",
    "SELECT 1 EXCEPT (SELECT 2 INTERSECT SELECT length(@))",
    "INSERT INTO t (a) VALUES (@)",
    "INSERT INTO t (a) SELECT @",
    "INSERT INTO t (a[length(@)]) VALUES ('x')",
    "INSERT INTO t (a) VALUES ('x') RETURNING @",
    "INSERT INTO t (a) VALUES ('x') ON CONFLICT (lower(@)) DO NOTHING",
    "INSERT INTO t (a) VALUES ('x') ON CONFLICT (a) WHERE @ = 'x' DO NOTHING",
    "INSERT INTO t (a) VALUES ('x') ON CONFLICT (a) DO UPDATE SET a = @",
    "INSERT INTO t (a) VALUES ('x') ON CONFLICT (a) DO UPDATE SET (a, b) = ('x', @)",
    "INSERT INTO t (a) VALUES ('x') ON CONFLICT (a) DO UPDATE SET a = 'x' WHERE @ = 'x'",
    "WITH x AS (SELECT @) INSERT INTO t (a) VALUES ('x')",
    "UPDATE t SET a = @",
    "UPDATE t SET (a, b) = (SELECT 'x', @)",
    "UPDATE t SET (a, b) = ROW('x', @)",
    "UPDATE t SET a[length(@)] = 'x'",
    "UPDATE t SET a = 'x' FROM (SELECT @) y",
    "UPDATE t SET a = 'x' WHERE @ = a",
    "UPDATE t SET a = 'x' RETURNING @",
    "DELETE FROM t USING (SELECT @) y",
    "DELETE FROM t WHERE @ = a",
    "DELETE FROM t RETURNING @",
    "MERGE INTO t USING (SELECT @ AS a) s ON t.a = s.a WHEN MATCHED THEN DELETE",
    "MERGE INTO t USING s ON t.a = @ WHEN MATCHED THEN DELETE",
    "MERGE INTO t USING s ON t.a = s.a WHEN MATCHED AND @ = 'x' THEN DELETE",
    "MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN UPDATE SET a = @",
    "MERGE INTO t USING s ON t.a = s.a WHEN NOT MATCHED THEN INSERT (a) VALUES (@)",
    "MERGE INTO t USING s ON t.a = s.a WHEN NOT MATCHED BY SOURCE AND @ = 'x' THEN DELETE",
    "MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN DELETE RETURNING @",
    "SELECT JSON_VALUE('{}', '$' PASSING @ AS x)",
    "SELECT JSON_VALUE(@, '$')",
    "SELECT JSON_VALUE('{}', '$' DEFAULT @ ON EMPTY)",
    "SELECT JSON_QUERY('{}', '$' DEFAULT @ ON ERROR)",
    "SELECT JSON_EXISTS('{}', '$' PASSING @ AS x)",
    "SELECT a FROM JSON_TABLE(@, '$' COLUMNS (a int PATH '$')) x",
    "SELECT a FROM JSON_TABLE('{}', '$' PASSING @ AS y COLUMNS (a int PATH '$')) x",
    "SELECT a FROM JSON_TABLE('{}', '$' COLUMNS (a int PATH '$' DEFAULT length(@) ON EMPTY)) x",
    "SELECT a FROM JSON_TABLE('{}', '$' COLUMNS (NESTED '$' COLUMNS (a int PATH '$' DEFAULT length(@) ON ERROR))) x",
    "SELECT JSON_OBJECT('a': @)",
    "SELECT JSON_OBJECT(@: 1)",
    "SELECT JSON_ARRAY(1, @)",
    "SELECT JSON_ARRAY(SELECT @)",
    "SELECT JSON_OBJECTAGG('a': @)",
    "SELECT JSON_ARRAYAGG(a ORDER BY @) FROM t",
    "SELECT JSON_ARRAYAGG(a) FILTER (WHERE @ = 'x') FROM t",
    "SELECT JSON_SERIALIZE(@)",
    "SELECT JSON_SCALAR(@)",
    "SELECT JSON(@)",
    "SELECT @ IS JSON",
];

#[test]
fn set_config_is_found_wherever_an_expression_can_stand() {
    for position in POSITIONS {
        let innocent = position.replace('@', "lower('a')");
        assert!(statement(&innocent).is_ok(), "{innocent}: {:?}", statement(&innocent));
        for call in ["set_config('a', 'b', false)", "pg_catalog.SET_CONFIG('a', 'b', true)"] {
            let text = position.replace('@', call);
            let answer = check_statement(&text, SCHEMA, &approved(&["lookup"]));
            assert_refused(answer, &text, "set_config, which no plugin may call");
        }
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
        ("INSERT INTO ticket (id) VALUES (1) RETURNING *", "name the columns"),
        ("SELECT id INTO TEMP items FROM ticket", "SELECT INTO"),
        ("SELECT id INTO items FROM ticket", "SELECT INTO"),
        ("SET ROLE postgres", "nothing else may be declared"),
        ("RESET ALL", "nothing else may be declared"),
        ("SHOW search_path", "nothing else may be declared"),
        ("DO $$ BEGIN END $$", "nothing else may be declared"),
        ("CALL touch()", "nothing else may be declared"),
        ("COPY ticket TO '/tmp/x'", "nothing else may be declared"),
        ("EXPLAIN SELECT 1", "nothing else may be declared"),
        ("BEGIN", "nothing else may be declared"),
        ("LOCK TABLE ticket", "nothing else may be declared"),
        ("CREATE TABLE x (a int)", "nothing else may be declared"),
        ("PREPARE x AS SELECT 1", "nothing else may be declared"),
        ("DECLARE c CURSOR FOR SELECT 1", "nothing else may be declared"),
        ("NOTIFY x", "nothing else may be declared"),
        ("CREATE TABLE x AS SELECT 1", "nothing else may be declared"),
        ("SELECT pg_sleep(1)", "no plugin may call"),
        ("SELECT current_setting('hearth.customer_id')", "no plugin may call"),
        ("SELECT query_to_xml('SELECT 1', true, true, '')", "no plugin may call"),
        ("SELECT word FROM ts_stat('SELECT 1')", "no plugin may call"),
        ("SELECT ts_rewrite('a'::tsquery, 'SELECT 1')", "no plugin may call"),
        ("SELECT lo_import('/etc/passwd')", "no plugin may call"),
        ("SELECT pg_advisory_lock(1)", "no plugin may call"),
        ("SELECT pg_notify('a', 'b')", "no plugin may call"),
        ("SELECT nextval('ticket_id_seq')", "an operator may approve it"),
        ("SELECT touch(1)", "an operator may approve it"),
        ("SELECT version()", "an operator may approve it"),
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
        ("MERGE INTO hearth.customer c USING t ON c.id = t.id WHEN MATCHED THEN DELETE", "own schema"),
        ("SELECT table_name FROM information_schema.tables", "own schema"),
        ("SELECT rolname FROM pg_catalog.pg_roles", "own schema"),
        ("SELECT rolname FROM pg_roles", "catalogs of Postgres"),
        ("UPDATE pg_settings SET setting = 'x' WHERE name = 'search_path'", "catalogs of Postgres"),
        ("SELECT id FROM ticket WHERE id IN (SELECT oid FROM pg_class)", "catalogs of Postgres"),
        ("SELECT 'pg_class'::regclass", "regclass"),
        ("SELECT CAST($1 AS pg_catalog.regrole)", "regrole"),
        ("SELECT $1::regproc[]", "regproc"),
        ("SELECT '{pg_class}'::_regclass", "regclass"),
        ("SELECT NULL::pg_authid", "pg_authid"),
        ("SELECT '<a/>'::xml", "xml"),
        ("SELECT $1::other.thing", "of another schema"),
        ("SELECT 1 OPERATOR(other.+) 2", "of another schema"),
        ("SELECT 1 OPERATOR(other.=) ANY (SELECT 2)", "of another schema"),
        ("SELECT a FROM t ORDER BY a USING OPERATOR(other.<)", "of another schema"),
        ("SELECT a COLLATE other.x FROM t", "of another schema"),
        ("SELECT CURRENT_USER", "are the host's"),
        ("SELECT session_user", "are the host's"),
        ("SELECT current_role", "are the host's"),
        ("SELECT current_schema", "are the host's"),
        ("SELECT current_catalog", "are the host's"),
        ("SELECT current_schema()", "an operator may approve it"),
        ("SELECT system_user", "an operator may approve it"),
        ("SELECT xmlserialize(content 'a' AS text)", "XML"),
        ("SELECT xmlelement(name a)", "XML"),
        ("SELECT x.a FROM xmltable('/' PASSING 'b' COLUMNS a text) x", "XML"),
        ("SELECT id FROM ticket TABLESAMPLE other.system (1)", "samples by another method"),
        ("UPDATE ticket SET id = 1 WHERE CURRENT OF c", "CURRENT OF"),
        ("SELECT COLLATION FOR ('a')", "no plugin may call"),
        ("SELECT 'a\0b'", ""),
    ];
    for (text, reason) in cases {
        assert_refused(statement(text), text, reason);
    }
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
    let shown = statement("SELECT set_config('a', 'b', true)").unwrap_err().to_string();
    let wanted = "calls set_config, which no plugin may call (at byte 7)";
    assert_eq!(shown, format!("`SELECT set_config('a', 'b', true)`: {wanted}"));
}

#[test]
fn an_approved_function_is_called_by_name_and_counts_as_writing() {
    let approved = approved(&["touch", "nextval"]);
    let check = |text| check_statement(text, SCHEMA, &approved);
    assert_eq!(check("SELECT touch(1)"), Ok(Access::Write));
    assert_eq!(check("SELECT tickets.touch(1)"), Ok(Access::Write));
    assert_eq!(check("SELECT nextval('a')"), Ok(Access::Write));
    assert_eq!(check("SELECT t.touch FROM ticket t"), Ok(Access::Write));
    assert_eq!(check("SELECT (t).touch FROM ticket t"), Ok(Access::Write));
    assert_refused(check("SELECT other.touch(1)"), "other.touch", "calls other.touch");
}

#[test]
fn some_functions_cannot_be_approved() {
    let names = ["set_config", "SET_CONFIG", "dblink_exec", "lo_export", "pg_read_file",
        "query_to_xml_and_xmlschema", "current_setting"];
    for name in names {
        assert!(ApprovedFunctions::new([name.to_string()]).is_err(), "{name}");
    }
}

#[test]
fn a_statement_declared_to_read_must_not_be_able_to_write() {
    let declared = |text: &str, access| Declared {
        text: text.into(),
        params: Vec::new(),
        columns: Vec::new(),
        access,
    };
    let check = |declared: &Declared| check_declared(declared, SCHEMA, &approved(&[]));
    assert!(check(&declared("SELECT 1 AS a", Access::Read)).is_ok());
    assert!(check(&declared("SELECT 1 AS a", Access::Write)).is_ok());
    let text = "SELECT id FROM ticket FOR UPDATE";
    assert_refused(check(&declared(text, Access::Read)), text, "declared to read");
    assert!(check(&declared(text, Access::Write)).is_ok());
}

#[test]
fn deep_and_long_texts_are_refused_and_harm_nobody() {
    let deep = [
        format!("SELECT {}1", "NOT ".repeat(15_000)),
        format!("SELECT 1{}", "+1".repeat(30_000)),
        format!("SELECT {}1{}", "(".repeat(30_000), ")".repeat(30_000)),
        format!("SELECT {}1{}", "abs(".repeat(10_000), ")".repeat(10_000)),
        format!("SELECT 1{}", " UNION SELECT 1".repeat(4_000)),
        format!("SELECT {}1{}", "(SELECT ".repeat(7_000), ")".repeat(7_000)),
        format!("SELECT 1{}", "::int".repeat(12_000)),
        format!("SELECT a {}", "IS NULL ".repeat(8_000)),
    ];
    for text in deep {
        assert!(statement(&text).is_err(), "{}", &text[..60]);
    }
    let long = format!("SELECT '{}'", "a".repeat(TEXT_BYTES_MAX));
    assert_refused(statement(&long), "long", "bytes");
    let wide = format!("SELECT 1{}", ", 1".repeat(10_000));
    assert_eq!(statement(&wide), Ok(Access::Read));
    let chain = format!("SELECT a{} FROM t", " || a".repeat(40));
    assert_eq!(statement(&chain), Ok(Access::Read));
}

#[test]
fn a_migration_is_split_into_its_statements() {
    let sql = "\
-- Tickets.
CREATE TABLE ticket (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  customer_id text NOT NULL,
  subject text NOT NULL CHECK (length(subject) BETWEEN 1 AND 255),
  number bigint GENERATED ALWAYS AS IDENTITY,
  search tsvector GENERATED ALWAYS AS (to_tsvector('english', subject)) STORED,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (customer_id, number)
);
CREATE INDEX ticket_search ON ticket USING gin (search) WHERE subject <> ';';
INSERT INTO ticket (id, customer_id, subject) SELECT * FROM (VALUES (gen_random_uuid(), 'a', 'é;')) v;

";
    let statements = migration(sql).unwrap();
    assert_eq!(statements.len(), 3);
    assert!(statements[0].ends_with("UNIQUE (customer_id, number)\n)"), "{}", statements[0]);
    assert!(statements[1].starts_with("CREATE INDEX"));
    assert!(statements[2].ends_with("'é;')) v"));
    assert_eq!(migration(""), Ok(Vec::new()));
    assert_eq!(migration("-- nothing\n"), Ok(Vec::new()));
}

const GOOD_FUNCTION: &str = "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  -- SET ROLE in a comment is harmless.
  NEW.updated_at := now();
  IF NEW.status = 'x' THEN UPDATE ticket SET a = 'set_config' WHERE id = NEW.id; ELSE NULL; END IF;
  INSERT INTO t (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET a = 2;
  RETURN NEW;
END $$";

#[test]
fn migrations_may_shape_the_plugins_own_tables() {
    let texts = [
        "CREATE TABLE tickets.a (id int8 PRIMARY KEY, b_id int8 REFERENCES b (id) ON DELETE CASCADE)",
        "CREATE TABLE a (LIKE b INCLUDING ALL)",
        "CREATE TABLE a (at date) PARTITION BY RANGE (date_trunc('month', at))",
        "CREATE TABLE a_1 PARTITION OF a FOR VALUES FROM ('2024-01-01') TO ('2024-02-01')",
        "CREATE TABLE IF NOT EXISTS a (id serial, x text[] DEFAULT '{}')",
        "ALTER TABLE a ADD COLUMN x text DEFAULT 'a', DROP COLUMN y, ALTER COLUMN z SET NOT NULL",
        "ALTER TABLE a ALTER COLUMN x TYPE int8 USING length(x)",
        "ALTER TABLE a ADD CONSTRAINT c CHECK (x > 0) NOT VALID, DROP CONSTRAINT d",
        "ALTER TABLE a VALIDATE CONSTRAINT c",
        "ALTER TABLE a SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.01)",
        "ALTER TABLE a RENAME COLUMN x TO y",
        "ALTER TABLE a RENAME TO b",
        "ALTER TABLE a RENAME CONSTRAINT x TO y",
        "ALTER INDEX a_idx RENAME TO b_idx",
        "CREATE UNIQUE INDEX ON a (customer_id, lower(x) text_pattern_ops DESC) INCLUDE (y)",
        "-- no-transaction\nCREATE INDEX CONCURRENTLY a_x ON a (x)",
        "-- no-transaction\nDROP INDEX CONCURRENTLY a_x",
        "CREATE TYPE status AS ENUM ('open', 'closed')",
        "ALTER TYPE status ADD VALUE 'held' AFTER 'open'",
        "CREATE DOMAIN short AS text CHECK (length(VALUE) < 10)",
        "ALTER DOMAIN short DROP CONSTRAINT c",
        "CREATE VIEW v WITH (security_invoker = true) AS SELECT id FROM ticket",
        "CREATE OR REPLACE VIEW v WITH (security_invoker) AS SELECT id FROM ticket",
        "DROP VIEW v", "DROP TABLE IF EXISTS tickets.a, b CASCADE", "DROP INDEX a_x", "DROP TYPE status",
        "DROP DOMAIN short", "DROP SEQUENCE s", "DROP FUNCTION touch()", "DROP TRIGGER x ON ticket",
        "CREATE SEQUENCE s OWNED BY a.id", "ALTER SEQUENCE s RESTART WITH 5",
        "COMMENT ON TABLE a IS 'x'", "COMMENT ON COLUMN tickets.a.x IS 'y'",
        "COMMENT ON CONSTRAINT c ON a IS 'y'",
        "UPDATE ticket SET subject = upper(subject)", "DELETE FROM ticket",
        GOOD_FUNCTION,
        "CREATE FUNCTION touch(a int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + abs(a)'",
        "CREATE FUNCTION touch(a int) RETURNS int LANGUAGE sql RETURN a + 1",
        "CREATE FUNCTION tickets.touch(a int) RETURNS int BEGIN ATOMIC SELECT a + 1; END",
        "CREATE TRIGGER t BEFORE UPDATE ON ticket FOR EACH ROW EXECUTE FUNCTION touch()",
    ];
    for text in texts {
        assert!(migration(text).is_ok(), "{text}: {}", migration(text).unwrap_err());
    }
}

#[test]
fn migrations_that_reach_further_are_refused_with_the_reason() {
    let cases = [
        ("SET ROLE postgres", "VariableSetStmt"),
        ("SET search_path = public", "VariableSetStmt"),
        ("RESET ALL", "VariableSetStmt"),
        ("DO $$ BEGIN END $$", "DoStmt"),
        ("CALL touch()", "CallStmt"),
        ("COPY a FROM PROGRAM 'id'", "CopyStmt"),
        ("GRANT ALL ON a TO public", "GrantStmt"),
        ("REVOKE ALL ON a FROM public", "GrantStmt"),
        ("CREATE ROLE x", "CreateRoleStmt"),
        ("ALTER ROLE x SUPERUSER", "AlterRoleStmt"),
        ("ALTER ROLE x SET a = 'b'", "AlterRoleSetStmt"),
        ("SET SESSION AUTHORIZATION x", "VariableSetStmt"),
        ("ALTER TABLE a OWNER TO x", "AtChangeOwner"),
        ("ALTER VIEW a OWNER TO x", "AtChangeOwner"),
        ("ALTER FUNCTION touch() OWNER TO x", "AlterOwnerStmt"),
        ("ALTER FUNCTION touch() SECURITY DEFINER", "AlterFunctionStmt"),
        ("CREATE POLICY p ON a USING (true)", "CreatePolicyStmt"),
        ("ALTER POLICY p ON a USING (true)", "AlterPolicyStmt"),
        ("DROP POLICY p ON a", "drops"),
        ("ALTER TABLE a DISABLE ROW LEVEL SECURITY", "RowSecurity"),
        ("ALTER TABLE a NO FORCE ROW LEVEL SECURITY", "RowSecurity"),
        ("ALTER TABLE a ENABLE ROW LEVEL SECURITY", "RowSecurity"),
        ("ALTER TABLE a DISABLE TRIGGER ALL", "Trig"),
        ("ALTER TABLE a SET UNLOGGED", "Logged"),
        ("ALTER TABLE a SET TABLESPACE x", "TableSpace"),
        ("ALTER TABLE a SET SCHEMA public", "AlterObjectSchemaStmt"),
        ("ALTER TABLE v SET (security_invoker = false)", "security_invoker"),
        ("ALTER VIEW v RESET (security_invoker)", "security_invoker"),
        ("CREATE EXTENSION x", "CreateExtensionStmt"),
        ("CREATE RULE r AS ON INSERT TO a DO INSTEAD NOTHING", "RuleStmt"),
        ("CREATE EVENT TRIGGER x ON ddl_command_start EXECUTE FUNCTION touch()", "CreateEventTrigStmt"),
        ("CREATE FOREIGN TABLE x (a int) SERVER y", "CreateForeignTableStmt"),
        ("CREATE SERVER x FOREIGN DATA WRAPPER y", "CreateForeignServerStmt"),
        ("CREATE SCHEMA x", "CreateSchemaStmt"),
        ("DROP SCHEMA x", "drops"),
        ("CREATE TABLE other.a (id int)", "own schema"),
        ("CREATE TABLE hearth.customer (id int)", "own schema"),
        ("ALTER TABLE hearth.customer ADD COLUMN x int", "own schema"),
        ("CREATE INDEX ON hearth.customer (id)", "own schema"),
        ("CREATE TABLE a (id int REFERENCES hearth.customer (id))", "own schema"),
        ("CREATE TABLE a (LIKE hearth.customer)", "own schema"),
        ("DROP TABLE other.a", "own schema"),
        ("DROP TYPE other.a", "of another schema"),
        ("DROP FUNCTION other.touch()", "own schema"),
        ("DROP TRIGGER t ON other.a", "own schema"),
        ("COMMENT ON COLUMN other.a.x IS 'y'", "own schema"),
        ("COMMENT ON ROLE x IS 'y'", "cannot have made"),
        ("CREATE TYPE other.x AS ENUM ('a')", "own schema"),
        ("CREATE SEQUENCE other.s", "own schema"),
        ("CREATE TEMP TABLE a (id int)", "temporary"),
        ("CREATE UNLOGGED TABLE a (id int)", "unlogged"),
        ("CREATE TEMP SEQUENCE s", "temporary"),
        ("CREATE TEMP VIEW v WITH (security_invoker) AS SELECT 1 AS a", "temporary"),
        ("CREATE TABLE a AS SELECT 1 AS x", "CreateTableAsStmt"),
        ("CREATE MATERIALIZED VIEW v AS SELECT 1 AS a", "CreateTableAsStmt"),
        ("SELECT 1 AS a INTO b", "SELECT INTO"),
        ("BEGIN", "TransactionStmt"),
        ("COMMIT", "TransactionStmt"),
        ("SAVEPOINT a", "TransactionStmt"),
        ("PREPARE x AS SELECT 1", "PrepareStmt"),
        ("EXECUTE x", "ExecuteStmt"),
        ("TRUNCATE a", "TruncateStmt"),
        ("LOCK TABLE a", "LockStmt"),
        ("CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = touch)", "DefineStmt"),
        ("CREATE AGGREGATE x (int) (SFUNC = touch, STYPE = int)", "DefineStmt"),
        ("CREATE CAST (text AS int) WITH FUNCTION touch(text)", "CreateCastStmt"),
        ("CREATE VIEW v AS SELECT id FROM ticket", "security_invoker"),
        ("CREATE VIEW v WITH (security_invoker = false) AS SELECT id FROM ticket", "security_invoker"),
        ("CREATE VIEW v WITH (security_invoker) AS SELECT id FROM other.ticket", "own schema"),
        ("CREATE VIEW v WITH (security_invoker) AS SELECT pg_sleep(1)", "no plugin may call"),
        ("CREATE INDEX CONCURRENTLY a_x ON a (x)", "no-transaction"),
        ("DROP INDEX CONCURRENTLY a_x", "no-transaction"),
        ("CREATE TABLE a (id int) TABLESPACE x", "tablespace"),
        ("CREATE TABLE a (id int PRIMARY KEY USING INDEX TABLESPACE x)", "tablespace"),
        ("CREATE TABLE a (x text DEFAULT set_config('a', 'b', false))", "set_config"),
        ("CREATE TABLE a (x text DEFAULT nextval('other.s'))", "nextval"),
        ("CREATE TABLE a (x text CHECK (set_config('a', x, false) = x))", "set_config"),
        ("CREATE TABLE a (x text GENERATED ALWAYS AS (pg_read_file('a')) STORED)", "pg_read_file"),
        ("CREATE TABLE a (x text, EXCLUDE USING gist (set_config('a', x, false) WITH =))", "set_config"),
        ("CREATE TABLE a (x text) PARTITION BY HASH (set_config('a', x, false))", "set_config"),
        ("CREATE TABLE a PARTITION OF b FOR VALUES IN (set_config('a', 'x', false))", "set_config"),
        ("CREATE TABLE a (x regclass)", "regclass"),
        ("CREATE DOMAIN d AS regclass", "regclass"),
        ("CREATE DOMAIN d AS text DEFAULT set_config('a', 'b', false)", "set_config"),
        ("CREATE DOMAIN d AS text CHECK (set_config('a', VALUE, false) = '')", "set_config"),
        ("ALTER DOMAIN d SET DEFAULT set_config('a', 'b', false)", "set_config"),
        ("ALTER TABLE a ALTER x SET DEFAULT set_config('a', 'b', false)", "set_config"),
        ("ALTER TABLE a ALTER x TYPE int USING set_config('a', 'b', false)::int", "set_config"),
        ("ALTER TABLE a ADD CHECK (set_config('a', 'b', false) = '')", "set_config"),
        ("ALTER TABLE a ADD COLUMN x text DEFAULT set_config('a', 'b', false)", "set_config"),
        ("CREATE INDEX ON a (set_config('a', x, false))", "set_config"),
        ("CREATE INDEX ON a (x) WHERE set_config('a', x, false) = ''", "set_config"),
        ("CREATE TRIGGER t BEFORE UPDATE ON a FOR EACH ROW WHEN (set_config('a', 'b', true) = '') EXECUTE FUNCTION touch()", "set_config"),
        ("CREATE TRIGGER t BEFORE UPDATE ON a FOR EACH ROW EXECUTE FUNCTION sneak()", "did not approve"),
        ("CREATE TRIGGER t BEFORE UPDATE ON a FOR EACH ROW EXECUTE FUNCTION pg_catalog.touch()", "own schema"),
        ("CREATE FUNCTION sneak() RETURNS int LANGUAGE sql AS 'SELECT 1'", "did not approve"),
        ("CREATE FUNCTION other.touch() RETURNS int LANGUAGE sql AS 'SELECT 1'", "own schema"),
        ("CREATE PROCEDURE touch() LANGUAGE sql AS 'SELECT 1'", "procedure"),
        ("CREATE FUNCTION touch() RETURNS int LANGUAGE c AS 'a', 'b'", "another language"),
        ("CREATE FUNCTION touch() RETURNS int LANGUAGE plpython3u AS 'a'", "another language"),
        ("CREATE FUNCTION touch() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'", "SECURITY DEFINER"),
        ("CREATE FUNCTION touch() RETURNS int LANGUAGE sql SET ROLE x AS 'SELECT 1'", "SET clause"),
        ("CREATE FUNCTION touch() RETURNS int LANGUAGE sql AS 'SET ROLE x'", "says SET"),
        ("CREATE FUNCTION touch() RETURNS int LANGUAGE sql AS 'SELECT set_config($1, $1, true)'", "SET_CONFIG"),
        ("CREATE FUNCTION touch() RETURNS int LANGUAGE sql AS 'SELECT nextval($1)'", "nextval"),
        ("CREATE FUNCTION touch() RETURNS int LANGUAGE sql RETURN set_config('a', 'b', true)", "set_config"),
        ("CREATE FUNCTION touch() RETURNS int BEGIN ATOMIC SELECT set_config('a', 'b', true); END", "set_config"),
        ("CREATE FUNCTION touch(a text DEFAULT set_config('a', 'b', true)) RETURNS int LANGUAGE sql AS 'SELECT 1'", "set_config"),
        ("CREATE FUNCTION touch() RETURNS int LANGUAGE sql AS 'DROP TABLE a'", "says DROP"),
    ];
    for (text, reason) in cases {
        assert_refused(migration(text), text, reason);
    }
}

#[test]
fn a_function_body_that_leaves_its_bounds_is_refused() {
    let bodies = [
        "PERFORM set_config('a', 'b', true);", "PERFORM \"set_config\"('a', 'b', true);",
        "PERFORM pg_catalog.set_config('a', 'b', true);", "x := Set_Config('a', 'b', true);",
        "PERFORM U&\"set\\005fconfig\"('a', 'b', true);",
        "EXECUTE 'SET ROLE x';", "RETURN QUERY EXECUTE 'x';", "execute format('x');",
        "SET ROLE x;", "SET LOCAL ROLE x;", "SET SESSION AUTHORIZATION x;", "RESET ROLE;",
        "SET hearth.customer_id = 'x';", "IF true THEN SET search_path = x; END IF;",
        "<<label>> SET search_path = x;", "DO 'x';", "CALL x();", "COPY a FROM 'x';",
        "FOR r IN SELECT id FROM a FOR UPDATE LOOP SET search_path = x; END LOOP;",
        "UPDATE a SET b = 1; SET search_path = x;", "UPDATE a SET ROLE x;",
        "PERFORM dblink_exec('a', 'b');", "GRANT ALL ON a TO b;", "ALTER TABLE a OWNER TO b;",
        "/* x */ SET /* y */ ROLE x;", "LISTEN x;", "COMMIT;",
    ];
    for body in bodies {
        let text = format!(
            "CREATE FUNCTION touch() RETURNS int LANGUAGE plpgsql AS $body$ BEGIN {body} END $body$"
        );
        assert_refused(migration(&text), &text, "whose body");
    }
}

#[test]
fn a_function_may_not_take_the_name_of_one_of_postgres() {
    let text = "CREATE FUNCTION lower(a int) RETURNS int LANGUAGE sql AS 'SELECT 1'";
    let answer = check_migration(text, SCHEMA, &approved(&["lower"]));
    assert_refused(answer, text, "one of Postgres's");
}

#[test]
fn a_refusal_in_a_migration_names_the_statement_and_its_place() {
    let sql = "CREATE TABLE a (id int);\nGRANT ALL ON a TO public;\nSELECT 1";
    let refusal = migration(sql).unwrap_err();
    assert!(refusal.statement.starts_with("GRANT ALL"), "{refusal}");
    assert_eq!(refusal.position, Some(25), "{refusal}");
}

fn types() -> impl Strategy<Value = Type> {
    (1_u8..=14).prop_map(|code| Type::from_code(code).unwrap())
}

fn columns() -> impl Strategy<Value = Column> {
    ("[a-zé]{1,9}", types(), any::<bool>())
        .prop_map(|(name, kind, nullable)| Column { name, kind, nullable })
}

fn declared() -> impl Strategy<Value = Declared> {
    let access = prop_oneof![Just(Access::Read), Just(Access::Write)];
    let lists = (prop::collection::vec(types(), 0..5), prop::collection::vec(columns(), 0..5));
    ("\\PC{0,40}", lists, access).prop_map(|(text, (params, columns), access)| Declared {
        text,
        params,
        columns,
        access,
    })
}

proptest! {
    #[test]
    fn any_bytes_as_a_section_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse_section(&bytes);
    }

    #[test]
    fn what_is_encoded_is_read_again(list in prop::collection::vec(declared(), 0..6)) {
        if let Ok(joined) = join(list) {
            let section = encode(&joined);
            prop_assert_eq!(parse_section(&section), Ok(joined.clone()));
            let twice = [section.clone(), section].concat();
            prop_assert_eq!(parse_section(&twice), Ok(joined));
        }
    }

    #[test]
    fn a_damaged_section_is_read_or_refused(one in declared(), at in any::<prop::sample::Index>(), byte: u8) {
        let mut section = encode(&[one]);
        let at = at.index(section.len());
        let _ = parse_section(&section[..at]);
        section[at] = byte;
        let _ = parse_section(&section);
    }

    #[test]
    fn any_text_is_passed_or_refused(text in "\\PC{0,80}") {
        let _ = statement(&text);
        let _ = migration(&text);
    }

    #[test]
    fn any_sequence_of_sql_words_is_passed_or_refused(words in prop::collection::vec(word(), 0..25)) {
        let text = words.join(" ");
        let _ = statement(&text);
        let _ = migration(&text);
    }
}

fn word() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "SELECT", "FROM", "t", "(", ")", ",", "*", "WHERE", "a", "=", "$1", "'x'", "1", "INSERT",
        "INTO", "VALUES", "UPDATE", "SET", "DELETE", "CREATE", "TABLE", "FUNCTION", "INDEX", "ON",
        "DROP", "ALTER", "TYPE", "AS", "COMMENT", "IS", "NULL", ";", ".", "::", "int", "[", "]",
        "WITH", "RETURNING", "TRIGGER", "VIEW", "RULE", "CASE", "WHEN", "THEN", "END", "$$", "é",
    ])
}

#[test]
fn the_same_text_with_different_types_is_refused() {
    let one = |params| Declared {
        text: "SELECT 1".into(),
        params,
        columns: Vec::new(),
        access: Access::Read,
    };
    let section = encode(&[one(vec![Type::Text]), one(vec![Type::Text])]);
    assert_eq!(parse_section(&section).unwrap().len(), 1);
    let section = encode(&[one(vec![Type::Text]), one(vec![Type::Int8])]);
    assert_eq!(parse_section(&section), Err(SectionError::Conflict("SELECT 1".into())));
}

#[test]
fn the_record_format_is_what_the_sdk_writes() {
    let bytes = [
        &27_u32.to_le_bytes()[..],
        &[1, 1],
        &8_u32.to_le_bytes(),
        b"SELECT 1",
        &2_u16.to_le_bytes(),
        &[5, 14],
        &1_u16.to_le_bytes(),
        &[2, 1],
        &3_u16.to_le_bytes(),
        b"one",
    ]
    .concat();
    let wanted = Declared {
        text: "SELECT 1".into(),
        params: vec![Type::Text, Type::UuidArray],
        columns: vec![Column { name: "one".into(), kind: Type::Int4, nullable: true }],
        access: Access::Write,
    };
    assert_eq!(parse_section(&bytes), Ok(vec![wanted]));
}

#[test]
fn every_type_has_a_code_and_a_name_of_its_own() {
    for code in 0..=255 {
        if let Some(kind) = Type::from_code(code) {
            assert_eq!(kind.code(), code);
            assert_eq!(Type::from_name(kind.name()), Some(kind));
        }
    }
    assert_eq!(Type::names().count(), 14);
}

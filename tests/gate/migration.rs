//! What a migration may contain.

use super::{assert_all_refused, migrate};

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
    let statements = migrate(sql).unwrap();
    assert_eq!(statements.len(), 3);
    assert!(
        statements[0].ends_with("UNIQUE (customer_id, number)\n)"),
        "{}",
        statements[0]
    );
    assert!(statements[1].starts_with("CREATE INDEX"));
    assert!(statements[2].ends_with("'é;')) v"));
    assert_eq!(migrate(""), Ok(Vec::new()));
    assert_eq!(migrate("-- nothing\n"), Ok(Vec::new()));
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
        "DROP VIEW v",
        "DROP TABLE IF EXISTS tickets.a, b CASCADE",
        "DROP INDEX a_x",
        "DROP TYPE status",
        "DROP DOMAIN short",
        "DROP SEQUENCE s",
        "DROP FUNCTION touch()",
        "DROP TRIGGER x ON ticket",
        "CREATE SEQUENCE s OWNED BY a.id",
        "ALTER SEQUENCE s RESTART WITH 5",
        "COMMENT ON TABLE a IS 'x'",
        "COMMENT ON COLUMN tickets.a.x IS 'y'",
        "COMMENT ON CONSTRAINT c ON a IS 'y'",
        "UPDATE ticket SET subject = upper(subject)",
        "DELETE FROM ticket",
        GOOD_FUNCTION,
        "CREATE FUNCTION touch(a int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + abs(a)'",
        "CREATE FUNCTION touch(a int) RETURNS int LANGUAGE sql RETURN a + 1",
        "CREATE FUNCTION tickets.touch(a int) RETURNS int BEGIN ATOMIC SELECT a + 1; END",
        "CREATE TRIGGER t BEFORE UPDATE ON ticket FOR EACH ROW EXECUTE FUNCTION touch()",
        "CREATE CONSTRAINT TRIGGER t AFTER INSERT ON ticket FOR EACH ROW EXECUTE FUNCTION touch()",
        "CREATE CONSTRAINT TRIGGER t AFTER INSERT ON ticket NOT DEFERRABLE FOR EACH ROW EXECUTE FUNCTION touch()",
    ];
    for text in texts {
        assert!(
            migrate(text).is_ok(),
            "{text}: {}",
            migrate(text).unwrap_err()
        );
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
        ("ALTER TABLE a OWNER TO x", "AT_ChangeOwner"),
        ("ALTER VIEW a OWNER TO x", "AT_ChangeOwner"),
        ("ALTER FUNCTION touch() OWNER TO x", "AlterOwnerStmt"),
        (
            "ALTER FUNCTION touch() SECURITY DEFINER",
            "AlterFunctionStmt",
        ),
        ("CREATE POLICY p ON a USING (true)", "CreatePolicyStmt"),
        ("ALTER POLICY p ON a USING (true)", "AlterPolicyStmt"),
        ("DROP POLICY p ON a", "drops"),
        ("ALTER TABLE a DISABLE ROW LEVEL SECURITY", "RowSecurity"),
        ("ALTER TABLE a NO FORCE ROW LEVEL SECURITY", "RowSecurity"),
        ("ALTER TABLE a ENABLE ROW LEVEL SECURITY", "RowSecurity"),
        ("ALTER TABLE a DISABLE TRIGGER ALL", "Trig"),
        ("ALTER TABLE a SET UNLOGGED", "AT_SetUnLogged"),
        ("ALTER TABLE a SET TABLESPACE x", "AT_SetTableSpace"),
        ("ALTER TABLE a SET SCHEMA public", "AlterObjectSchemaStmt"),
        (
            "ALTER TABLE v SET (security_invoker = false)",
            "security_invoker",
        ),
        ("ALTER VIEW v RESET (security_invoker)", "security_invoker"),
        ("CREATE EXTENSION x", "CreateExtensionStmt"),
        (
            "CREATE RULE r AS ON INSERT TO a DO INSTEAD NOTHING",
            "RuleStmt",
        ),
        (
            "CREATE EVENT TRIGGER x ON ddl_command_start EXECUTE FUNCTION touch()",
            "CreateEventTrigStmt",
        ),
        (
            "CREATE FOREIGN TABLE x (a int) SERVER y",
            "CreateForeignTableStmt",
        ),
        (
            "CREATE SERVER x FOREIGN DATA WRAPPER y",
            "CreateForeignServerStmt",
        ),
        ("CREATE SCHEMA x", "CreateSchemaStmt"),
        ("DROP SCHEMA x", "drops"),
        ("CREATE TABLE other.a (id int)", "own schema"),
        ("CREATE TABLE hearth.customer (id int)", "own schema"),
        ("ALTER TABLE hearth.customer ADD COLUMN x int", "own schema"),
        ("CREATE INDEX ON hearth.customer (id)", "own schema"),
        (
            "CREATE TABLE a (id int REFERENCES hearth.customer (id))",
            "own schema",
        ),
        ("CREATE TABLE a (LIKE hearth.customer)", "own schema"),
        ("DROP TABLE other.a", "own schema"),
        ("DROP TYPE other.a", "own schema"),
        ("DROP FUNCTION other.touch()", "own schema"),
        ("DROP TRIGGER t ON other.a", "own schema"),
        ("COMMENT ON COLUMN other.a.x IS 'y'", "own schema"),
        ("COMMENT ON ROLE x IS 'y'", "migrations cannot create"),
        ("CREATE TYPE other.x AS ENUM ('a')", "own schema"),
        ("CREATE SEQUENCE other.s", "own schema"),
        ("CREATE TEMP TABLE a (id int)", "temporary"),
        ("CREATE UNLOGGED TABLE a (id int)", "unlogged"),
        ("CREATE TEMP SEQUENCE s", "temporary"),
        (
            "CREATE TEMP VIEW v WITH (security_invoker) AS SELECT 1 AS a",
            "temporary",
        ),
        ("CREATE TABLE a AS SELECT 1 AS x", "CreateTableAsStmt"),
        (
            "CREATE MATERIALIZED VIEW v AS SELECT 1 AS a",
            "CreateTableAsStmt",
        ),
        ("SELECT 1 AS a INTO b", "SELECT INTO"),
        ("BEGIN", "TransactionStmt"),
        ("COMMIT", "TransactionStmt"),
        ("SAVEPOINT a", "TransactionStmt"),
        ("PREPARE x AS SELECT 1", "PrepareStmt"),
        ("EXECUTE x", "ExecuteStmt"),
        ("TRUNCATE a", "TruncateStmt"),
        ("LOCK TABLE a", "LockStmt"),
        (
            "CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = touch)",
            "DefineStmt",
        ),
        (
            "CREATE AGGREGATE x (int) (SFUNC = touch, STYPE = int)",
            "DefineStmt",
        ),
        (
            "CREATE CAST (text AS int) WITH FUNCTION touch(text)",
            "CreateCastStmt",
        ),
        ("CREATE VIEW v AS SELECT id FROM ticket", "security_invoker"),
        (
            "CREATE VIEW v WITH (security_invoker = false) AS SELECT id FROM ticket",
            "security_invoker",
        ),
        (
            "CREATE VIEW v WITH (security_invoker) AS SELECT id FROM other.ticket",
            "own schema",
        ),
        (
            "CREATE VIEW v WITH (security_invoker) AS SELECT pg_sleep(1)",
            "approve",
        ),
        ("CREATE INDEX CONCURRENTLY a_x ON a (x)", "no-transaction"),
        ("DROP INDEX CONCURRENTLY a_x", "no-transaction"),
        ("CREATE TABLE a (id int) TABLESPACE x", "tablespace"),
        (
            "CREATE TABLE a (id int PRIMARY KEY USING INDEX TABLESPACE x)",
            "tablespace",
        ),
        (
            "CREATE TABLE a (x text DEFAULT set_config('a', 'b', false))",
            "set_config",
        ),
        (
            "CREATE TABLE a (x text DEFAULT nextval('other.s'))",
            "nextval",
        ),
        (
            "CREATE TABLE a (x text CHECK (set_config('a', x, false) = x))",
            "set_config",
        ),
        (
            "CREATE TABLE a (x text GENERATED ALWAYS AS (pg_read_file('a')) STORED)",
            "pg_read_file",
        ),
        (
            "CREATE TABLE a (x text, EXCLUDE USING gist (set_config('a', x, false) WITH =))",
            "set_config",
        ),
        (
            "CREATE TABLE a (x text) PARTITION BY HASH (set_config('a', x, false))",
            "set_config",
        ),
        (
            "CREATE TABLE a PARTITION OF b FOR VALUES IN (set_config('a', 'x', false))",
            "set_config",
        ),
        ("CREATE TABLE a (x regclass)", "regclass"),
        ("CREATE DOMAIN d AS regclass", "regclass"),
        (
            "CREATE DOMAIN d AS text DEFAULT set_config('a', 'b', false)",
            "set_config",
        ),
        (
            "CREATE DOMAIN d AS text CHECK (set_config('a', VALUE, false) = '')",
            "set_config",
        ),
        (
            "ALTER DOMAIN d SET DEFAULT set_config('a', 'b', false)",
            "set_config",
        ),
        (
            "ALTER TABLE a ALTER x SET DEFAULT set_config('a', 'b', false)",
            "set_config",
        ),
        (
            "ALTER TABLE a ALTER x TYPE int USING set_config('a', 'b', false)::int",
            "set_config",
        ),
        (
            "ALTER TABLE a ADD CHECK (set_config('a', 'b', false) = '')",
            "set_config",
        ),
        (
            "ALTER TABLE a ADD COLUMN x text DEFAULT set_config('a', 'b', false)",
            "set_config",
        ),
        (
            "CREATE INDEX ON a (set_config('a', x, false))",
            "set_config",
        ),
        (
            "CREATE INDEX ON a (x) WHERE set_config('a', x, false) = ''",
            "set_config",
        ),
        (
            "CREATE TRIGGER t BEFORE UPDATE ON a FOR EACH ROW WHEN (set_config('a', 'b', true) = '') EXECUTE FUNCTION touch()",
            "set_config",
        ),
        (
            "CREATE TRIGGER t BEFORE UPDATE ON a FOR EACH ROW EXECUTE FUNCTION sneak()",
            "is not approved",
        ),
        (
            "CREATE CONSTRAINT TRIGGER t AFTER INSERT ON a DEFERRABLE FOR EACH ROW EXECUTE FUNCTION touch()",
            "would run at COMMIT",
        ),
        (
            "CREATE CONSTRAINT TRIGGER t AFTER INSERT ON a INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION touch()",
            "would run at COMMIT",
        ),
        (
            "CREATE CONSTRAINT TRIGGER t AFTER INSERT ON a DEFERRABLE INITIALLY IMMEDIATE FOR EACH ROW EXECUTE FUNCTION touch()",
            "would run at COMMIT",
        ),
        (
            "CREATE TRIGGER t BEFORE UPDATE ON a FOR EACH ROW EXECUTE FUNCTION pg_catalog.touch()",
            "own schema",
        ),
        (
            "CREATE FUNCTION sneak() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "is not approved",
        ),
        (
            "CREATE FUNCTION other.touch() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "own schema",
        ),
        (
            "CREATE PROCEDURE touch() LANGUAGE sql AS 'SELECT 1'",
            "procedure",
        ),
        (
            "CREATE FUNCTION touch() RETURNS int LANGUAGE c AS 'a', 'b'",
            "unsupported language",
        ),
        (
            "CREATE FUNCTION touch() RETURNS int LANGUAGE plpython3u AS 'a'",
            "unsupported language",
        ),
        (
            "CREATE FUNCTION touch() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'",
            "SECURITY DEFINER",
        ),
        (
            "CREATE FUNCTION touch() RETURNS int LANGUAGE sql SET ROLE x AS 'SELECT 1'",
            "SET clause",
        ),
        (
            "CREATE FUNCTION touch() RETURNS int LANGUAGE sql AS 'SET ROLE x'",
            "contains SET",
        ),
        (
            "CREATE FUNCTION touch() RETURNS int LANGUAGE sql AS 'SELECT set_config($1, $1, true)'",
            "SET_CONFIG",
        ),
        (
            "CREATE FUNCTION touch() RETURNS int LANGUAGE sql AS 'SELECT nextval($1)'",
            "nextval",
        ),
        (
            "CREATE FUNCTION touch() RETURNS int LANGUAGE sql RETURN set_config('a', 'b', true)",
            "set_config",
        ),
        (
            "CREATE FUNCTION touch() RETURNS int BEGIN ATOMIC SELECT set_config('a', 'b', true); END",
            "set_config",
        ),
        (
            "CREATE FUNCTION touch(a text DEFAULT set_config('a', 'b', true)) RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "set_config",
        ),
        (
            "CREATE FUNCTION touch() RETURNS int LANGUAGE sql AS 'DROP TABLE a'",
            "contains DROP",
        ),
    ];
    assert_all_refused(&cases, migrate);
}

#[test]
fn a_refusal_in_a_migration_names_the_statement_and_its_place() {
    let sql = "CREATE TABLE a (id int);\nGRANT ALL ON a TO public;\nSELECT 1";
    let refusal = migrate(sql).unwrap_err();
    assert!(refusal.statement.starts_with("GRANT ALL"), "{refusal}");
    assert_eq!(refusal.position, Some(25), "{refusal}");
}

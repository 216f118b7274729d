//! The ways in which Postgres runs a function that somebody defined, by hand from its
//! documentation, and what code of a plugin would like to reach.

/// One way, as a line of SQL. It leaves nothing but what it notes.
pub struct Way {
    pub name: &'static str,
    pub line: &'static str,
    /// The server's version from which on there is such a way.
    pub since: u32,
}

const fn way(name: &'static str, line: &'static str) -> Way {
    Way {
        name,
        line,
        since: 0,
    }
}

pub const WAYS: &[Way] = &[
    way("select", "SELECT note('select')"),
    way(
        "returning",
        "CREATE TABLE t (id int); INSERT INTO t VALUES (1) RETURNING note('returning'); DROP TABLE t",
    ),
    way(
        "prepared",
        "PREPARE p AS SELECT note('prepared'); EXECUTE p; DEALLOCATE p",
    ),
    way("do", "DO $do$ BEGIN PERFORM note('do'); END $do$"),
    way(
        "procedure",
        "CREATE PROCEDURE p() LANGUAGE plpgsql AS $p$ BEGIN PERFORM note('procedure'); END $p$;
         CALL p(); DROP PROCEDURE p()",
    ),
    way(
        "security definer",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER AS $f$ SELECT plugin_notes.note('security definer') $f$;
         SELECT f(); DROP FUNCTION f()",
    ),
    // Triggers.
    way(
        "before",
        "CREATE TABLE t (id int);
         CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION fire('before');
         INSERT INTO t VALUES (1); DROP TABLE t",
    ),
    way(
        "after",
        "CREATE TABLE t (id int); INSERT INTO t VALUES (1);
         CREATE TRIGGER x AFTER UPDATE ON t FOR EACH ROW EXECUTE FUNCTION fire('after');
         UPDATE t SET id = 2; DROP TABLE t",
    ),
    way(
        "statement",
        "CREATE TABLE t (id int);
         CREATE TRIGGER x AFTER DELETE ON t REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION fire('statement');
         DELETE FROM t; DROP TABLE t",
    ),
    way(
        "truncate",
        "CREATE TABLE t (id int);
         CREATE TRIGGER x BEFORE TRUNCATE ON t FOR EACH STATEMENT EXECUTE FUNCTION fire('truncate');
         TRUNCATE t; DROP TABLE t",
    ),
    way(
        "instead of",
        "CREATE VIEW v AS SELECT 1 AS id;
         CREATE TRIGGER x INSTEAD OF INSERT ON v FOR EACH ROW EXECUTE FUNCTION fire('instead of');
         INSERT INTO v VALUES (1); DROP VIEW v",
    ),
    way(
        "when",
        "CREATE TABLE t (id int);
         CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW WHEN (note('when') = 0) EXECUTE FUNCTION fire('-');
         INSERT INTO t VALUES (1); DROP TABLE t",
    ),
    way(
        "referential action",
        "CREATE TABLE parent (id int PRIMARY KEY);
         CREATE TABLE child (id int REFERENCES parent ON DELETE CASCADE);
         CREATE TRIGGER x BEFORE DELETE ON child FOR EACH ROW EXECUTE FUNCTION fire('referential action');
         INSERT INTO parent VALUES (1); INSERT INTO child VALUES (1); DELETE FROM parent;
         DROP TABLE child; DROP TABLE parent",
    ),
    way(
        "constraint trigger",
        "CREATE TABLE t (id int);
         CREATE CONSTRAINT TRIGGER x AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION fire('constraint trigger');
         INSERT INTO t VALUES (1); DROP TABLE t",
    ),
    way(
        "deferred trigger",
        "CREATE CONSTRAINT TRIGGER x AFTER INSERT ON spring DEFERRABLE INITIALLY DEFERRED
         FOR EACH ROW EXECUTE FUNCTION fire('deferred trigger');
         INSERT INTO spring VALUES (1)",
    ),
    // At the host's SET CONSTRAINTS it puts off another one to the COMMIT itself.
    way(
        "deferred at commit",
        "CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $f$
         BEGIN SET CONSTRAINTS ALL DEFERRED; INSERT INTO plugin_notes.exclusive VALUES (1); RETURN NULL; END $f$;
         CREATE CONSTRAINT TRIGGER again AFTER INSERT ON spring_again DEFERRABLE INITIALLY DEFERRED
         FOR EACH ROW EXECUTE FUNCTION again();
         CREATE CONSTRAINT TRIGGER late AFTER INSERT ON exclusive DEFERRABLE INITIALLY DEFERRED
         FOR EACH ROW EXECUTE FUNCTION fire('deferred at commit');
         INSERT INTO spring_again VALUES (1)",
    ),
    // Indexes.
    way(
        "index expression",
        "CREATE TABLE t (id int); INSERT INTO t VALUES (1);
         CREATE INDEX ON t (spy('index expression', id)); DROP TABLE t",
    ),
    way(
        "index predicate",
        "CREATE TABLE t (id int); INSERT INTO t VALUES (1);
         CREATE INDEX ON t (id) WHERE spy('index predicate', id) = 1; DROP TABLE t",
    ),
    way(
        "index insert",
        "CREATE TABLE t (id int); CREATE UNIQUE INDEX ON t (spy('index insert', id));
         INSERT INTO t VALUES (1); DROP TABLE t",
    ),
    way(
        "reindex",
        "CREATE TABLE t (id int); CREATE INDEX ON t (spy('reindex', id));
         INSERT INTO t VALUES (1); REINDEX TABLE t; DROP TABLE t",
    ),
    way(
        "cluster",
        "CREATE TABLE t (id int); CREATE INDEX i ON t (spy('cluster', id));
         INSERT INTO t VALUES (1); CLUSTER t USING i; DROP TABLE t",
    ),
    way(
        "analyze",
        "CREATE TABLE t (id int); INSERT INTO t VALUES (1), (2);
         CREATE INDEX ON t (spy('analyze', id)); ANALYZE t; DROP TABLE t",
    ),
    way(
        "statistics",
        "CREATE TABLE t (id int); INSERT INTO t VALUES (1), (2);
         CREATE STATISTICS s ON (spy('statistics', id)) FROM t; ANALYZE t; DROP TABLE t",
    ),
    way(
        "exclusion",
        "CREATE TABLE t (id int, EXCLUDE USING btree (spy('exclusion', id) WITH =) DEFERRABLE INITIALLY DEFERRED);
         INSERT INTO t VALUES (1); SET CONSTRAINTS ALL IMMEDIATE; DROP TABLE t",
    ),
    // Columns and their constraints.
    way(
        "default",
        "CREATE TABLE t (id int, d int DEFAULT note('default')); INSERT INTO t VALUES (1); DROP TABLE t",
    ),
    way(
        "default of a new column",
        "CREATE TABLE t (id int); INSERT INTO t VALUES (1);
         ALTER TABLE t ADD COLUMN d int DEFAULT note('default of a new column'); DROP TABLE t",
    ),
    way(
        "generated column",
        "CREATE TABLE t (id int, g int GENERATED ALWAYS AS (spy('generated column', id)) STORED);
         INSERT INTO t VALUES (1); DROP TABLE t",
    ),
    way(
        "new generated column",
        "CREATE TABLE t (id int); INSERT INTO t VALUES (1);
         ALTER TABLE t ADD COLUMN g int GENERATED ALWAYS AS (spy('new generated column', id)) STORED;
         DROP TABLE t",
    ),
    way(
        "check",
        "CREATE TABLE t (id int CHECK (note('check') = 1)); INSERT INTO t VALUES (1); DROP TABLE t",
    ),
    way(
        "validate",
        "CREATE TABLE t (id int); INSERT INTO t VALUES (1);
         ALTER TABLE t ADD CONSTRAINT c CHECK (note('validate') = 1) NOT VALID;
         ALTER TABLE t VALIDATE CONSTRAINT c; DROP TABLE t",
    ),
    way(
        "using",
        "CREATE TABLE t (id int); INSERT INTO t VALUES (1);
         ALTER TABLE t ALTER COLUMN id TYPE bigint USING note('using'); DROP TABLE t",
    ),
    way(
        "domain",
        "CREATE DOMAIN d AS int CHECK (note('domain') = 1); SELECT 5::d; DROP DOMAIN d",
    ),
    way(
        "validate domain",
        "CREATE DOMAIN d AS int; CREATE TABLE t (v d); INSERT INTO t VALUES (1);
         ALTER DOMAIN d ADD CONSTRAINT c CHECK (note('validate domain') = 1) NOT VALID;
         ALTER DOMAIN d VALIDATE CONSTRAINT c; DROP TABLE t; DROP DOMAIN d",
    ),
    way(
        "partition key",
        "CREATE TABLE t (id int) PARTITION BY LIST (spy('partition key', id));
         CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1);
         INSERT INTO t VALUES (5); DROP TABLE t",
    ),
    way(
        "attach",
        "CREATE TABLE t (id int) PARTITION BY LIST (spy('attach', id));
         CREATE TABLE t1 (id int); INSERT INTO t1 VALUES (7);
         ALTER TABLE t ATTACH PARTITION t1 FOR VALUES IN (1); DROP TABLE t",
    ),
    // Views, rules, policies.
    way(
        "view",
        "CREATE VIEW v AS SELECT note('view') AS n; SELECT n FROM v; DROP VIEW v",
    ),
    way(
        "invoker view",
        "CREATE VIEW v WITH (security_barrier) AS SELECT note('invoker view') AS n; SELECT n FROM v; DROP VIEW v",
    ),
    way(
        "materialized view",
        "CREATE MATERIALIZED VIEW m AS SELECT note('materialized view') AS n; DROP MATERIALIZED VIEW m",
    ),
    way(
        "refresh",
        "CREATE MATERIALIZED VIEW m AS SELECT note('refresh') AS n WITH NO DATA;
         REFRESH MATERIALIZED VIEW m; DROP MATERIALIZED VIEW m",
    ),
    way(
        "rule",
        "CREATE TABLE t (id int); CREATE RULE r AS ON INSERT TO t DO ALSO SELECT note('rule');
         INSERT INTO t VALUES (1); DROP TABLE t",
    ),
    way(
        "policy",
        "CREATE TABLE t (id int); INSERT INTO t VALUES (1);
         ALTER TABLE t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
         CREATE POLICY p ON t USING (note('policy') = 1); UPDATE t SET id = 2; DROP TABLE t",
    ),
    way(
        "policy of a new row",
        "CREATE TABLE t (id int);
         ALTER TABLE t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
         CREATE POLICY p ON t WITH CHECK (note('policy of a new row') = 1);
         INSERT INTO t VALUES (1); DROP TABLE t",
    ),
    // Operators and their like.
    way(
        "operator",
        "CREATE OPERATOR === (LEFTARG = text, RIGHTARG = int, FUNCTION = spy);
         SELECT 'operator'::text === 1; DROP OPERATOR === (text, int)",
    ),
    way(
        "aggregate",
        "CREATE FUNCTION sum_note(int, int) RETURNS int LANGUAGE sql AS $f$ SELECT plugin_notes.note('aggregate') $f$;
         CREATE AGGREGATE total (int) (SFUNC = sum_note, STYPE = int, INITCOND = '0');
         SELECT total(1); DROP AGGREGATE total (int); DROP FUNCTION sum_note",
    ),
    way(
        "cast",
        "CREATE TYPE pair AS (a int, b int);
         CREATE FUNCTION first(pair) RETURNS int LANGUAGE sql AS $f$ SELECT plugin_notes.note('cast') $f$;
         CREATE CAST (pair AS int) WITH FUNCTION first(pair);
         SELECT ROW(1, 2)::pair::int; DROP CAST (pair AS int); DROP FUNCTION first; DROP TYPE pair",
    ),
    Way {
        name: "merge",
        line: "CREATE TABLE t (id int);
               MERGE INTO t USING (SELECT 1 AS id) s ON t.id = s.id WHEN NOT MATCHED THEN INSERT VALUES (note('merge'));
               DROP TABLE t",
        since: 150_000,
    },
    // What would take the host's role back, if it were there.
    way("reset role", "RESET ROLE; SELECT note('reset role')"),
    way("role none", "SET ROLE NONE; SELECT note('role none')"),
    way("local role none", "SET LOCAL ROLE NONE; SELECT note('local role none')"),
    way(
        "reset session authorization",
        "RESET SESSION AUTHORIZATION; SELECT note('reset session authorization')",
    ),
    way(
        "session authorization default",
        "SET SESSION AUTHORIZATION DEFAULT; SELECT note('session authorization default')",
    ),
    way("reset all", "RESET ALL; SELECT plugin_notes.note('reset all')"),
    // Names that hide Postgres's own from whoever looks them up in the schema first.
    way(
        "search path",
        "CREATE FUNCTION to_regnamespace(text) RETURNS regnamespace LANGUAGE sql
             AS $f$ SELECT 'pg_catalog'::regnamespace FROM plugin_notes.note('search path') $f$;
         SET search_path = plugin_notes, pg_catalog;
         SELECT to_regnamespace('x')",
    ),
];

/// What must be denied, with the name of the owner's role as OWNER.
pub const REACHES: &[&str] = &[
    "SET ROLE keeper",
    "SET ROLE hearth",
    "SET SESSION AUTHORIZATION keeper",
    "SET SESSION AUTHORIZATION hearth",
    "GRANT keeper TO OWNER",
    "ALTER ROLE OWNER SUPERUSER",
    "ALTER ROLE OWNER CREATEROLE",
    "ALTER ROLE OWNER LOGIN",
    "ALTER ROLE keeper PASSWORD 'x'",
    "CREATE ROLE mine LOGIN",
    "CREATE SCHEMA plugin_mine",
    "CREATE TABLE hearth.mine (id int)",
    "SELECT hmac FROM hearth.keys",
    "UPDATE hearth.keys SET customer_id = 'cus_other'",
    "UPDATE hearth.deployments SET grants = '{sql,log}'",
    "SELECT * FROM hearth.migration_intents",
    "INSERT INTO hearth.plugin_migrations (plugin, version, name, checksum) VALUES ('other', 9, 'x', 'x')",
    "DELETE FROM hearth.plugin_migrations",
    "SELECT hearth.record_migration('\\x00')",
    "SELECT * FROM plugin_other.note",
    "CREATE TABLE plugin_other.mine (id int)",
    "COPY seen TO PROGRAM 'true'",
    "COPY seen TO '/tmp/seen'",
    "SELECT rolpassword FROM pg_authid",
    "ALTER DATABASE hearth SET search_path = plugin_notes",
    "CREATE EVENT TRIGGER x ON ddl_command_start EXECUTE FUNCTION fire()",
    "ALTER DEFAULT PRIVILEGES FOR ROLE keeper GRANT ALL ON TABLES TO OWNER",
];

//! Functions that a migration makes.

use hearth::capability::sql::gate::check_migration;

use super::{SCHEMA, approved, assert_refused, migrate};

#[test]
fn a_function_body_that_leaves_its_bounds_is_refused() {
    let bodies = [
        "PERFORM set_config('a', 'b', true);",
        "PERFORM \"set_config\"('a', 'b', true);",
        "PERFORM pg_catalog.set_config('a', 'b', true);",
        "x := Set_Config('a', 'b', true);",
        "PERFORM U&\"set\\005fconfig\"('a', 'b', true);",
        "EXECUTE 'SET ROLE x';",
        "RETURN QUERY EXECUTE 'x';",
        "execute format('x');",
        "SET ROLE x;",
        "SET LOCAL ROLE x;",
        "SET SESSION AUTHORIZATION x;",
        "RESET ROLE;",
        "SET hearth.customer_id = 'x';",
        "IF true THEN SET search_path = x; END IF;",
        "<<label>> SET search_path = x;",
        "DO 'x';",
        "CALL x();",
        "COPY a FROM 'x';",
        "FOR r IN SELECT id FROM a FOR UPDATE LOOP SET search_path = x; END LOOP;",
        "UPDATE a SET b = 1; SET search_path = x;",
        "UPDATE a SET ROLE x;",
        "PERFORM dblink_exec('a', 'b');",
        "GRANT ALL ON a TO b;",
        "ALTER TABLE a OWNER TO b;",
        "/* x */ SET /* y */ ROLE x;",
        "LISTEN x;",
        "COMMIT;",
    ];
    for body in bodies {
        let text = format!(
            "CREATE FUNCTION touch() RETURNS int LANGUAGE plpgsql AS $body$ BEGIN {body} END $body$"
        );
        assert_refused(migrate(&text), &text, "whose body");
    }
}

#[test]
fn a_function_may_not_take_the_name_of_one_of_postgres() {
    let text = "CREATE FUNCTION lower(a int) RETURNS int LANGUAGE sql AS 'SELECT 1'";
    let answer = check_migration(text, SCHEMA, &approved(&["lower"]));
    assert_refused(answer, text, "a function of Postgres");
}

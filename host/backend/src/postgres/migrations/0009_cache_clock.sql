-- Counts what was declared stale. Whoever tells of it holds this row until the
-- commit, so that ticks become visible in their order: a snapshot that sees a tick
-- sees all that was told up to it.
CREATE TABLE hearth.cache_clock (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    tick bigint NOT NULL
);
INSERT INTO hearth.cache_clock (tick) VALUES (0);

-- The last tick of each plugin that the log does not hold any more.
CREATE TABLE hearth.cache_swept (
    plugin text PRIMARY KEY,
    tick bigint NOT NULL
);

DELETE FROM hearth.cache_invalidations;
DROP INDEX hearth.cache_invalidations_xid;
ALTER TABLE hearth.cache_invalidations
    DROP COLUMN xid,
    ADD COLUMN tick bigint NOT NULL,
    -- A row is kept from when it is told, however long its transaction took.
    ALTER COLUMN at SET DEFAULT pg_catalog.clock_timestamp();
CREATE INDEX cache_invalidations_tick ON hearth.cache_invalidations (tick);

-- What plugins cached of their caller's customer goes on every host when its tier
-- changes: for each plugin ('*') what has the tag 'hearth:customer'. It happens
-- with the commit, so that no open transaction holds the clock.
CREATE FUNCTION hearth.tell_customer_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    next bigint;
BEGIN
    UPDATE hearth.cache_clock SET tick = tick + 1 RETURNING tick INTO next;
    INSERT INTO hearth.cache_invalidations (tick, origin, plugin, customer, kind, name)
    VALUES (next, '00000000-0000-0000-0000-000000000000', '*', OLD.id, 'tag', 'hearth:customer');
    RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER tell_customer_change
AFTER UPDATE OF tier OR DELETE ON hearth.customers
DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION hearth.tell_customer_change();

REVOKE ALL ON hearth.cache_clock, hearth.cache_swept FROM PUBLIC;

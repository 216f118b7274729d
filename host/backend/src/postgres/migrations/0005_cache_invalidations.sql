-- What plugins declared stale, for every host to hear of. Rows are swept after
-- `cache.fleet_kept_ms`.
CREATE TABLE hearth.cache_invalidations (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- Rows become visible in the order of commits, not of ids: a reader asks for
    -- what was not over yet in the snapshot before.
    xid xid8 NOT NULL DEFAULT pg_catalog.pg_current_xact_id(),
    -- The host that wrote it and has done it already.
    origin uuid NOT NULL,
    plugin text NOT NULL,
    -- NULL for calls without a customer.
    customer text,
    kind text NOT NULL CHECK (kind IN ('tag', 'key', 'plugin')),
    -- The tag or the key; NULL where all of the plugin goes.
    name text,
    at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
CREATE INDEX cache_invalidations_xid ON hearth.cache_invalidations (xid);
CREATE INDEX cache_invalidations_at ON hearth.cache_invalidations (at);

REVOKE ALL ON hearth.cache_invalidations FROM PUBLIC;

-- Which migrations of plugins have run. Before this file the first migration of a
-- plugin made the table.
CREATE TABLE IF NOT EXISTS hearth.plugin_migrations (
    plugin text NOT NULL,
    version bigint NOT NULL,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (plugin, version)
);

-- The row that a migration which is about to run will become, under the SHA-256 of a
-- key that the host has for it.
CREATE TABLE hearth.migration_intents (
    key_digest bytea PRIMARY KEY CHECK (octet_length(key_digest) = 32),
    plugin text NOT NULL,
    version bigint NOT NULL,
    name text NOT NULL,
    checksum text NOT NULL,
    announced_at timestamptz NOT NULL DEFAULT now()
);

REVOKE ALL ON hearth.plugin_migrations, hearth.migration_intents FROM PUBLIC;

-- Records a migration in the transaction that ran it, which is that of the plugin's
-- owner. Whoever calls it chooses nothing: the row is the one that was announced.
CREATE FUNCTION hearth.record_migration(host_key bytea) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    WITH intent AS (
        DELETE FROM hearth.migration_intents WHERE key_digest = sha256(host_key)
        RETURNING plugin, version, name, checksum
    )
    INSERT INTO hearth.plugin_migrations (plugin, version, name, checksum)
    SELECT plugin, version, name, checksum FROM intent;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'only the host may record a migration'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
END
$$;

-- The packed plugins themselves, so that a restart needs no file.
CREATE TABLE hearth.artifacts (
    digest bytea PRIMARY KEY CHECK (octet_length(digest) = 32),
    bytes bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
-- Components are compressed badly and read whole.
ALTER TABLE hearth.artifacts ALTER COLUMN bytes SET STORAGE EXTERNAL;

-- Every deployment that came as far as the database. Rows are never deleted, so
-- a number is never used again.
CREATE TABLE hearth.deployments (
    plugin text NOT NULL,
    number bigint NOT NULL CHECK (number > 0),
    digest bytea NOT NULL,
    version text NOT NULL,
    -- What was approved together with it.
    grants text[] NOT NULL,
    functions text[] NOT NULL,
    -- The tables that its manifest lists as shared.
    shared text[] NOT NULL,
    by_whom text NOT NULL,
    deployed_at timestamptz NOT NULL DEFAULT now(),
    -- When it last began to serve; NULL where the gate refused it.
    served_at timestamptz,
    PRIMARY KEY (plugin, number)
);

-- What requests of a plugin see, by number; NULL once it was undeployed.
CREATE TABLE hearth.slots (
    plugin text PRIMARY KEY,
    serving bigint,
    since timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (plugin, serving) REFERENCES hearth.deployments (plugin, number)
);

REVOKE ALL ON hearth.artifacts, hearth.deployments, hearth.slots FROM PUBLIC;

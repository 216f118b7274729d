-- What plugins published, for every host to read and for listeners that come back.
--
-- A position is the time of its commit in microseconds since 1970, made unique and
-- rising by the one row of the clock: whoever appends holds that row until its
-- commit is visible. So positions become visible in their own order, and who has
-- read up to one has missed nothing before it.
CREATE TABLE hearth.push_clock (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    position bigint NOT NULL
);
INSERT INTO hearth.push_clock (position) VALUES (0);

CREATE TABLE hearth.push_events (
    position bigint PRIMARY KEY,
    -- Stands for plugin, customer and name together; the three are for people.
    channel uuid NOT NULL,
    plugin text NOT NULL,
    -- NULL for calls without a customer.
    customer text,
    name text NOT NULL,
    -- The plugin's own, where it gave one.
    id text,
    kind text,
    data text NOT NULL
);
CREATE UNIQUE INDEX push_events_channel ON hearth.push_events (channel, position);
CREATE INDEX push_events_id ON hearth.push_events (channel, id, position) WHERE id IS NOT NULL;

-- Up to where the log is gone: of all channels, and of those that had too much.
CREATE TABLE hearth.push_sweep (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    position bigint NOT NULL,
    -- When a host last swept. One does it for all.
    at timestamptz NOT NULL
);
INSERT INTO hearth.push_sweep (position, at) VALUES (0, '-infinity');

CREATE TABLE hearth.push_floors (
    channel uuid PRIMARY KEY,
    position bigint NOT NULL
);

REVOKE ALL ON hearth.push_clock, hearth.push_events, hearth.push_sweep, hearth.push_floors
FROM PUBLIC;

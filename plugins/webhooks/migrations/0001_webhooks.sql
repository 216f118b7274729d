-- Endpoints, events, their deliveries and every attempt. All times are the
-- plugin's own, by the host's clock, and none is Postgres's.

CREATE TABLE endpoints (
    customer_id text NOT NULL,
    -- 'ep_' and a UUID of version 7: sorting by id is sorting by creation.
    id text COLLATE "C" NOT NULL,
    -- Counts the changes; the ETag.
    version bigint NOT NULL DEFAULT 1,
    url text NOT NULL,
    description text,
    -- Names of event types, or beginnings of them with `.*`. Empty: all events.
    event_types text[] NOT NULL,
    -- One delivery at a time, in the order in which the events were accepted.
    ordered boolean NOT NULL,
    -- NULL: as many as come.
    rate_per_second bigint,
    metadata jsonb NOT NULL,
    -- How new secrets sign: 'v1' or 'v1a'.
    signature text NOT NULL,
    -- The names of the endpoint's own headers, and the headers sealed: their
    -- values may be secrets.
    header_names text[] NOT NULL,
    headers bytea NOT NULL,
    enabled boolean NOT NULL,
    disabled_reason text
        CONSTRAINT endpoints_reason CHECK (disabled_reason IN ('requested', 'gone', 'failing')),
    disabled_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    -- Its rows go with the retention, thousands at a time; until then it is hidden.
    deleted_at timestamptz,
    PRIMARY KEY (customer_id, id)
);

-- The keys that sign, sealed. The one without an end signs; the others, replaced by
-- a rotation, sign beside it until theirs.
CREATE TABLE endpoint_secrets (
    customer_id text NOT NULL,
    endpoint_id text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    signature text NOT NULL,
    sealed bytea NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    PRIMARY KEY (customer_id, endpoint_id, id),
    FOREIGN KEY (customer_id, endpoint_id) REFERENCES endpoints (customer_id, id) ON DELETE CASCADE
);

-- How an endpoint fares. A table of its own, for it is written with deliveries and
-- locked by them, and the endpoint's row is not.
CREATE TABLE endpoint_health (
    customer_id text NOT NULL,
    endpoint_id text COLLATE "C" NOT NULL,
    last_success_at timestamptz,
    -- The first attempt that failed since the last one that succeeded.
    failing_since timestamptz,
    -- Attempts that took seconds, one after the other.
    slow bigint NOT NULL DEFAULT 0,
    -- No attempt before then: it asked for rest, or it hangs.
    paused_until timestamptz,
    -- Where the line of deliveries that wait for their turn ends.
    line_ends_at timestamptz,
    -- The next instant that the rate leaves free.
    rate_free_at timestamptz,
    PRIMARY KEY (customer_id, endpoint_id),
    FOREIGN KEY (customer_id, endpoint_id) REFERENCES endpoints (customer_id, id) ON DELETE CASCADE
);

CREATE TABLE events (
    customer_id text NOT NULL,
    id text COLLATE "C" NOT NULL,
    type text COLLATE "C" NOT NULL,
    -- What is sent, byte for byte, in every attempt.
    body text NOT NULL,
    -- A test is for one endpoint alone.
    only_endpoint text COLLATE "C",
    occurred_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (customer_id, id)
);
CREATE INDEX events_created ON events (customer_id, created_at, id);
CREATE INDEX events_type ON events (customer_id, type, created_at, id);

-- One event for one endpoint.
CREATE TABLE deliveries (
    customer_id text NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    endpoint_id text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL DEFAULT 'pending'
        CONSTRAINT deliveries_status
        CHECK (status IN ('pending', 'delivered', 'failed', 'stopped')),
    -- Counts how often it was begun anew. A message of an older round is void.
    round bigint NOT NULL DEFAULT 1,
    -- Attempts of this round, and of all.
    tries bigint NOT NULL DEFAULT 0,
    attempts bigint NOT NULL DEFAULT 0,
    -- When the next attempt is due, and whether the endpoint's rate counts on it.
    due_at timestamptz NOT NULL,
    has_slot boolean NOT NULL DEFAULT false,
    -- It waits for nothing but its turn: whoever has delivered may take it along.
    in_line boolean NOT NULL DEFAULT false,
    -- Somebody makes an attempt until then at the latest.
    leased_until timestamptz,
    last_status bigint,
    last_error text,
    -- The event's, so that a list of one endpoint has an index.
    created_at timestamptz NOT NULL,
    ended_at timestamptz,
    PRIMARY KEY (customer_id, event_id, endpoint_id),
    FOREIGN KEY (customer_id, event_id) REFERENCES events (customer_id, id) ON DELETE CASCADE,
    FOREIGN KEY (customer_id, endpoint_id) REFERENCES endpoints (customer_id, id) ON DELETE CASCADE
);
CREATE INDEX deliveries_endpoint ON deliveries (customer_id, endpoint_id);
-- What is under way: at most as many rows as attempts run at once.
CREATE INDEX deliveries_leased ON deliveries (customer_id, leased_until)
    WHERE leased_until IS NOT NULL;
CREATE INDEX deliveries_line ON deliveries (customer_id, endpoint_id, due_at) WHERE in_line;
CREATE INDEX deliveries_pending ON deliveries (customer_id, due_at) WHERE status = 'pending';
CREATE INDEX deliveries_undelivered ON deliveries (customer_id, endpoint_id, created_at, event_id)
    WHERE status IN ('failed', 'stopped');
CREATE INDEX deliveries_failed ON deliveries (customer_id, ended_at, event_id, endpoint_id)
    WHERE status = 'failed';

CREATE TABLE attempts (
    customer_id text NOT NULL,
    id text COLLATE "C" NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    endpoint_id text COLLATE "C" NOT NULL,
    -- Which attempt of the delivery it was, the first is 1.
    number bigint NOT NULL,
    started_at timestamptz NOT NULL,
    duration_ms bigint NOT NULL,
    -- 'delivered', 'status', or why there was no answer.
    outcome text COLLATE "C" NOT NULL,
    status bigint,
    error text,
    -- The first 16 KiB of the answer's body.
    response bytea NOT NULL,
    PRIMARY KEY (customer_id, id),
    FOREIGN KEY (customer_id, event_id, endpoint_id)
        REFERENCES deliveries (customer_id, event_id, endpoint_id) ON DELETE CASCADE
);
CREATE INDEX attempts_event ON attempts (customer_id, event_id, endpoint_id);
CREATE INDEX attempts_endpoint ON attempts (customer_id, endpoint_id, id);

-- The attempts of an endpoint, counted by the hour: what its statistics add up.
CREATE TABLE attempt_hours (
    customer_id text NOT NULL,
    endpoint_id text COLLATE "C" NOT NULL,
    hour timestamptz NOT NULL,
    delivered bigint NOT NULL,
    failed bigint NOT NULL,
    duration_ms_sum bigint NOT NULL,
    duration_ms_max bigint NOT NULL,
    PRIMARY KEY (customer_id, endpoint_id, hour),
    FOREIGN KEY (customer_id, endpoint_id) REFERENCES endpoints (customer_id, id) ON DELETE CASCADE
);

CREATE TABLE event_types (
    customer_id text NOT NULL,
    name text COLLATE "C" NOT NULL,
    description text,
    -- A JSON Schema, see schema.rs; NULL takes any payload.
    schema jsonb,
    example jsonb,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (customer_id, name)
);

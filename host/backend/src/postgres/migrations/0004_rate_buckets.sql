-- The buckets of customers near their rate limit, as all hosts together filled
-- and emptied them. Little is lost with a row: so the tables are not in the log,
-- and a crash of Postgres empties them.
CREATE UNLOGGED TABLE hearth.rate_buckets (
    customer_id text PRIMARY KEY,
    -- When the bucket is full again.
    full_at timestamptz NOT NULL,
    -- Requests on all hosts, admitted or not.
    asked bigint NOT NULL
) WITH (fillfactor = 50);

-- The hosts that are there, one row per process.
CREATE UNLOGGED TABLE hearth.rate_hosts (
    host uuid PRIMARY KEY,
    at timestamptz NOT NULL
) WITH (fillfactor = 50);

REVOKE ALL ON hearth.rate_buckets, hearth.rate_hosts FROM PUBLIC;

-- What each host admitted lately for customers near their rate limit. A host
-- writes its own rows alone. Nothing is lost that matters when they are: so the
-- table is not in the log, and a crash of Postgres empties it.
CREATE UNLOGGED TABLE hearth.rate_reports (
    -- Empty in the row that says that the host is there.
    customer_id text NOT NULL,
    -- One per process.
    host uuid NOT NULL,
    -- Requests admitted, and requests admitted or not, since the host began to
    -- count this customer.
    spent bigint NOT NULL,
    asked bigint NOT NULL,
    -- How long the customer's bucket would have taken to be full again.
    owed_us bigint NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (customer_id, host)
) WITH (fillfactor = 50);

REVOKE ALL ON hearth.rate_reports FROM PUBLIC;

-- The attempts of an endpoint, counted by the hour. Each hour has sixteen rows, of which
-- an attempt takes one at random: those that end in the same instant do not wait for
-- each other, as they did with `attempt_hours`. What that table counted is added.
CREATE TABLE attempt_counts (
    customer_id text NOT NULL,
    endpoint_id text COLLATE "C" NOT NULL,
    hour timestamptz NOT NULL,
    part bigint NOT NULL,
    delivered bigint NOT NULL,
    failed bigint NOT NULL,
    duration_ms_sum bigint NOT NULL,
    duration_ms_max bigint NOT NULL,
    last_delivered_at timestamptz,
    PRIMARY KEY (customer_id, endpoint_id, hour, part),
    FOREIGN KEY (customer_id, endpoint_id) REFERENCES endpoints (customer_id, id) ON DELETE CASCADE
);

-- Written with every success it would be a line for all of them.
COMMENT ON COLUMN endpoint_health.last_success_at IS
    'some success, mostly the first: the last one is in attempt_counts';

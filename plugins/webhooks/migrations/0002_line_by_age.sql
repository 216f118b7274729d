-- no-transaction
-- A line is taken along by the age of its events, and counted by whoever waits.
CREATE INDEX CONCURRENTLY deliveries_line_by_age
    ON deliveries (customer_id, endpoint_id, created_at, event_id) WHERE in_line;

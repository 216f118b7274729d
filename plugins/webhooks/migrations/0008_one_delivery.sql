-- no-transaction
-- One delivery is looked up by its event and its endpoint, and nothing else is read, by
-- whichever index: of a customer whom no statistics know Postgres takes the smaller one,
-- which read all of the endpoint, or all that was pending. The second index names no
-- condition that a look-up of one delivery has.
CREATE INDEX CONCURRENTLY deliveries_of_endpoint
    ON deliveries (customer_id, endpoint_id, event_id);
CREATE INDEX CONCURRENTLY deliveries_open ON deliveries (customer_id, due_at)
    WHERE ended_at IS NULL;

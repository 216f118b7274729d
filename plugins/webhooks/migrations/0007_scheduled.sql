-- no-transaction
-- What was attempted in vain and waits for its next attempt, by the age of its event.
CREATE INDEX CONCURRENTLY deliveries_scheduled
    ON deliveries (customer_id, endpoint_id, created_at, event_id)
    WHERE status = 'pending' AND attempts > 0 AND NOT in_line;

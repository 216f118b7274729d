-- no-transaction
-- What is forgotten by its age, and the endpoints that an event may be for: each was found
-- by reading all of the customer's rows.
CREATE INDEX CONCURRENTLY attempt_hours_hour ON attempt_hours (customer_id, hour);
CREATE INDEX CONCURRENTLY attempt_counts_hour ON attempt_counts (customer_id, hour);
CREATE INDEX CONCURRENTLY endpoint_secrets_expiry ON endpoint_secrets (customer_id, expires_at)
    WHERE expires_at IS NOT NULL;
CREATE INDEX CONCURRENTLY endpoints_live ON endpoints (customer_id, id) WHERE deleted_at IS NULL;

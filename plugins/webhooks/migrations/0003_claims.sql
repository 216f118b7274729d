-- Counts the places that were taken of an endpoint. Who takes one names the count that
-- it saw: where another one was quicker the count is a different one, and nobody waits
-- for anybody's lock.
ALTER TABLE endpoint_health ADD COLUMN claims bigint NOT NULL DEFAULT 0;

-- Versions before this one, which may still serve, lock the row instead and write the
-- column. How long somebody waits follows from those who do now.
COMMENT ON COLUMN endpoint_health.line_ends_at IS 'not used any more';
COMMENT ON COLUMN deliveries.in_line IS
    'it waits for its turn, or somebody whose lease has not ended has taken it';
DROP INDEX deliveries_line;

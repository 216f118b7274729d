-- What was told of the clocks of tickets, and when they are looked at next.

ALTER TABLE ticket_clocks
    -- When a warning or a breach was told last: a due time before it is not told
    -- again.
    ADD COLUMN first_response_warned_at timestamptz,
    ADD COLUMN first_response_breached_at timestamptz,
    ADD COLUMN resolution_warned_at timestamptz,
    ADD COLUMN resolution_breached_at timestamptz,
    -- The instant of the message that looks at the clocks. Any other message about
    -- them is void.
    ADD COLUMN check_at timestamptz;

-- What was due before there were alerts is told to nobody.
UPDATE ticket_clocks SET first_response_warned_at = now(), first_response_breached_at = now(),
    resolution_warned_at = now(), resolution_breached_at = now();

-- Those that are gone through when due times may have moved for all of a customer's
-- tickets (sla/review.rs).
CREATE INDEX ticket_clocks_watched ON ticket_clocks (customer_id, ticket_id)
    WHERE running_since IS NOT NULL OR check_at IS NOT NULL;

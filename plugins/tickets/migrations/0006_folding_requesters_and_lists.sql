-- Search as people type, requesters, lists by priority, type and due time, deletion.

-- What a ticket is found by is folded and cut by the plugin (fold.rs): Postgres's parser
-- knows neither normal forms nor the words of Japanese, Chinese and Thai. A ticket of
-- before is found by what the parser made of it until it is folded too (refold.rs).
ALTER TABLE tickets ALTER COLUMN search DROP EXPRESSION;
ALTER TABLE tickets
    ADD COLUMN folded boolean NOT NULL DEFAULT false,
    -- The person who asks: `name` and `email`, or one of them.
    ADD COLUMN requester jsonb;
ALTER TABLE ticket_comments
    -- The person who wrote it, where a key writes for many.
    ADD COLUMN requester jsonb;
CREATE INDEX tickets_unfolded ON tickets (customer_id, id) WHERE NOT folded;

-- Found by status or by priority, or by both, in the order of creation or of priority:
-- a page is put together of one stretch for each status and priority.
CREATE INDEX tickets_status_priority ON tickets (customer_id, status, priority, id);
DROP INDEX tickets_status_created;
-- These cost only tickets that are in them.
CREATE INDEX tickets_unassigned ON tickets (customer_id, id) WHERE assignee IS NULL;
CREATE INDEX tickets_type ON tickets (customer_id, type, id) WHERE type IS NOT NULL;

-- When the next promise of a ticket is due (a review brings it up to date where a policy
-- changes); the end of 9999 where none is, so that such tickets come last.
ALTER TABLE ticket_clocks ADD COLUMN due_at timestamptz NOT NULL
    DEFAULT '9999-12-31 23:59:59.999999+00';
UPDATE ticket_clocks SET due_at = least(
    CASE WHEN first_response_met_at IS NULL THEN first_response_due_at END,
    CASE WHEN resolution_met_at IS NULL THEN resolution_due_at END)
WHERE (first_response_met_at IS NULL AND first_response_due_at IS NOT NULL)
    OR (resolution_met_at IS NULL AND resolution_due_at IS NOT NULL);
CREATE INDEX ticket_clocks_next ON ticket_clocks (customer_id, due_at, ticket_id);

-- That something happened to a ticket is known longer than the ticket is there.
ALTER TABLE ticket_audits DROP CONSTRAINT ticket_audits_customer_id_ticket_id_fkey;

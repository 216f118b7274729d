-- Clocks are found by when they are to be looked at. Until now each ticket had a
-- message of its own, which waited in a queue for that.

CREATE INDEX ticket_clocks_due ON ticket_clocks (customer_id, check_at, ticket_id)
    WHERE check_at IS NOT NULL;

-- The orders to look at a customer's clocks that are under way (sla/looks.rs). A
-- ticket whose clocks are to be looked at then or later needs none of its own.
CREATE TABLE ticket_looks (
    customer_id text NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (customer_id, at)
);

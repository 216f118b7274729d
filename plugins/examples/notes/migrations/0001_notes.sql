CREATE TABLE notes (
    customer_id text NOT NULL,
    id text NOT NULL,
    text text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (customer_id, id)
);

-- The order of the list, so that a page costs the same however many notes there are.
CREATE INDEX notes_by_time ON notes (customer_id, created_at);

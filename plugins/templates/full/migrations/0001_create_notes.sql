-- Every table has a customer_id, with which its keys begin: the host fills it in, and shows
-- each customer its own rows and no others. No statement has to name it.
CREATE TABLE notes (
    customer_id text NOT NULL,
    -- 'note_' and a UUID of version 7: sorting by id is sorting by time.
    id text COLLATE "C" NOT NULL,
    text text NOT NULL,
    -- Counted by the consumer, a moment later.
    words bigint,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (customer_id, id)
);

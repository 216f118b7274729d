-- What an attempt sent beside the event's body: where to, and with which headers; the
-- values of the endpoint's own are masked. And what was amiss with an answer whose
-- status counts all the same. Attempts of before have none of it.
ALTER TABLE attempts ADD COLUMN url text;
ALTER TABLE attempts ADD COLUMN request_headers jsonb;
ALTER TABLE attempts ADD COLUMN note text;

-- How often in a row the endpoint asked for rest after it had rested, and when it did last.
ALTER TABLE endpoint_health ADD COLUMN throttles bigint NOT NULL DEFAULT 0;
ALTER TABLE endpoint_health ADD COLUMN throttled_at timestamptz;

-- The sender's own id of an event, which names one.
ALTER TABLE events ADD COLUMN sender_id text COLLATE "C";
CREATE TABLE sender_ids (
    customer_id text NOT NULL,
    sender_id text COLLATE "C" NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (customer_id, sender_id),
    FOREIGN KEY (customer_id, event_id) REFERENCES events (customer_id, id) ON DELETE CASCADE
);
CREATE INDEX sender_ids_event ON sender_ids (customer_id, event_id);

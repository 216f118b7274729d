-- Ratings, merges, search by words, the feed of changes, unique external ids.

ALTER TABLE tickets
    ADD COLUMN satisfaction text
        CONSTRAINT tickets_satisfaction CHECK (satisfaction IN ('good', 'bad')),
    ADD COLUMN satisfaction_comment text,
    -- The ticket into which this one was merged, and with that closed.
    ADD COLUMN merged_into text COLLATE "C";

-- Until now two tickets could have one external id. The oldest keeps it; of the
-- others it is told apart by their own id.
UPDATE tickets SET external_id = external_id || '#' || id
WHERE external_id IS NOT NULL AND EXISTS (
    SELECT 1 FROM tickets AS older
    WHERE older.customer_id = tickets.customer_id
        AND older.external_id = tickets.external_id AND older.id < tickets.id);
CREATE UNIQUE INDEX tickets_external_id ON tickets (customer_id, external_id)
    WHERE external_id IS NOT NULL;

-- The words of tickets.search once more, to find tickets by them: `@@` is not
-- leakproof, so under row-level security no index answers it, and a search read
-- every ticket of the customer. Equality of text is leakproof. The first 1,000
-- different words of a ticket are kept. Measured through HTTP on 400,000 tickets,
-- 200,000 of them the caller's: 2 to 10 ms for a page where one of the words is
-- rare, 3 ms for a single word that every ticket has, 100 ms where all of several
-- words are in many tickets and few have them all; 350 to 400 ms for each before
-- this table. No foreign key: tickets are not removed,
-- and checking one for each word would double what a new ticket costs.
CREATE TABLE ticket_terms (
    customer_id text NOT NULL,
    term text COLLATE "C" NOT NULL,
    ticket_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (customer_id, term, ticket_id)
);
INSERT INTO ticket_terms (customer_id, term, ticket_id)
SELECT tickets.customer_id, early.lexeme, tickets.id
FROM tickets CROSS JOIN LATERAL (
    SELECT lexeme FROM unnest(tickets.search) AS words (lexeme, positions, weights)
    WHERE octet_length(lexeme) <= 1024 ORDER BY positions[1], lexeme LIMIT 1000) AS early;

-- The feed of changes: one row for each ticket, at the position of its last
-- change. Who changes a ticket sets the position to NULL in the same transaction;
-- who reads the feed numbers what it finds without one (changes.rs). A number
-- given by the writer would not do: the transaction with the smaller number may
-- commit last, when readers have passed it. And a counter that writers lock until
-- they commit would let one transaction of a customer commit at a time.
CREATE TABLE ticket_changes (
    customer_id text NOT NULL,
    ticket_id text COLLATE "C" NOT NULL,
    position bigint,
    PRIMARY KEY (customer_id, ticket_id)
);
INSERT INTO ticket_changes (customer_id, ticket_id) SELECT customer_id, id FROM tickets;
CREATE UNIQUE INDEX ticket_changes_position ON ticket_changes (customer_id, position)
    WHERE position IS NOT NULL;
CREATE INDEX ticket_changes_pending ON ticket_changes (customer_id, ticket_id)
    WHERE position IS NULL;

-- The last position that was given. Who numbers locks it.
CREATE TABLE ticket_feeds (
    customer_id text NOT NULL PRIMARY KEY,
    position bigint NOT NULL DEFAULT 0
);

-- What is ready, delayed, leased and blocked in tables of their own, small ones, so
-- that a receive and a settle cost what they take, whatever else is in the queue and
-- whatever went through it before.
--
-- Deleted rows stay where they are for as long as any snapshot is as old as they, and
-- an index that begins with them is read through all of them. So nothing here is read
-- from its beginning: whoever receives says where he was. What he shows is a horizon:
-- the transactions whose messages he knows of, and where the first of those messages
-- is in each index. What has come since is found by the transaction that wrote it, in
-- whatever order transactions have ended: those that were not over at the horizon, and
-- those that began after it. That is how PgQ reads its tables.

-- The messages themselves: written once, read when they are received, and deleted.
-- The table is the old one without what changes, so no body is copied.
ALTER TABLE hearth.outbox RENAME TO messages;
ALTER TABLE hearth.messages RENAME CONSTRAINT outbox_pkey TO messages_pkey;
ALTER INDEX hearth.outbox_groups RENAME TO messages_groups;
DROP INDEX hearth.outbox_single, hearth.outbox_grouped, hearth.outbox_held, hearth.outbox_later;

-- The order of sending, and of becoming ready.
CREATE SEQUENCE hearth.message_places;
SELECT setval('hearth.message_places', coalesce(max(place), 0) + 1) FROM hearth.messages;
ALTER TABLE hearth.messages ALTER COLUMN place DROP IDENTITY;

-- Postgres plans by what a table held when it was last analysed, which says little of
-- these: for a table that was nearly empty any index seems as good as any other, and
-- the wrong one leads through all that is dead. So each statement below has one index
-- to choose from: others of the same table have no column in common with it, but
-- expressions that mean the same. (xid8send is the number in the order of its bytes.)

-- To be received. A row is never changed: what comes here again is another row, with
-- a seat behind those that are here.
CREATE TABLE hearth.ready (
    id uuid NOT NULL,
    queue text NOT NULL COLLATE "C",
    customer text NOT NULL COLLATE "C",
    group_key text COLLATE "C",
    place bigint NOT NULL,
    -- The place itself where it was ready when it was sent.
    seat bigint NOT NULL,
    attempts integer NOT NULL,
    -- Since when it can be received.
    due_at timestamptz NOT NULL,
    -- The transaction that put it here.
    xid xid8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX ready_lines ON hearth.ready (queue, customer, seat);
CREATE INDEX ready_arrivals ON hearth.ready ((queue || ''), xid);
CREATE INDEX ready_groups
    ON hearth.ready ((queue || E'\x01' || customer || E'\x01' || group_key), (seat + 0))
    WHERE group_key IS NOT NULL;
-- The few that came again, so are not in the order of their places.
CREATE INDEX ready_returned
    ON hearth.ready ((queue || E'\x02' || customer || E'\x02' || group_key), (seat + 0))
    WHERE group_key IS NOT NULL AND seat <> place;

-- Not to be received before they are due.
CREATE TABLE hearth.delayed (
    id uuid NOT NULL,
    queue text NOT NULL COLLATE "C",
    customer text NOT NULL COLLATE "C",
    group_key text COLLATE "C",
    place bigint NOT NULL,
    attempts integer NOT NULL,
    due_at timestamptz NOT NULL,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX delayed_due ON hearth.delayed (queue, due_at);
CREATE INDEX delayed_arrivals ON hearth.delayed ((queue || ''), xid);
CREATE INDEX delayed_groups
    ON hearth.delayed ((queue || E'\x01' || customer || E'\x01' || group_key))
    WHERE group_key IS NOT NULL;

-- Somebody has them until they are due.
CREATE TABLE hearth.leases (
    id uuid PRIMARY KEY,
    queue text NOT NULL COLLATE "C",
    customer text NOT NULL COLLATE "C",
    group_key text COLLATE "C",
    place bigint NOT NULL,
    attempts integer NOT NULL,
    due_at timestamptz NOT NULL,
    lease uuid NOT NULL,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX leases_due ON hearth.leases (queue, due_at);
CREATE INDEX leases_arrivals ON hearth.leases ((queue || ''), xid);
CREATE INDEX leases_groups
    ON hearth.leases ((queue || E'\x01' || customer || E'\x01' || group_key), xid8send(xid))
    WHERE group_key IS NOT NULL;

-- Behind another message of their group, which brings them forward when it goes. In
-- front of each there is one in the tables above.
CREATE TABLE hearth.blocked (
    id uuid PRIMARY KEY,
    queue text NOT NULL COLLATE "C",
    customer text NOT NULL COLLATE "C",
    group_key text NOT NULL COLLATE "C",
    place bigint NOT NULL,
    attempts integer NOT NULL,
    due_at timestamptz NOT NULL
);
CREATE INDEX blocked_due ON hearth.blocked (due_at);

-- Where receiving stood when some host last wrote it down, for hosts that start.
CREATE TABLE hearth.queue_horizons (
    queue text PRIMARY KEY,
    horizon text NOT NULL,
    customers text[] NOT NULL,
    seats bigint[] NOT NULL
) WITH (fillfactor = 50);

INSERT INTO hearth.ready (id, queue, customer, group_key, place, seat, attempts, due_at)
SELECT id, queue, customer, group_key, place, place, attempts, due_at
FROM hearth.messages WHERE state = 0 ORDER BY place;
INSERT INTO hearth.delayed (id, queue, customer, group_key, place, attempts, due_at)
SELECT id, queue, customer, group_key, place, attempts, due_at
FROM hearth.messages WHERE state = 1 AND lease IS NULL;
INSERT INTO hearth.leases (id, queue, customer, group_key, place, attempts, due_at, lease)
SELECT id, queue, customer, group_key, place, attempts, due_at, lease
FROM hearth.messages WHERE state = 1 AND lease IS NOT NULL;
INSERT INTO hearth.blocked (id, queue, customer, group_key, place, attempts, due_at)
SELECT id, queue, customer, group_key, place, attempts, due_at
FROM hearth.messages WHERE state = 2;
ALTER TABLE hearth.messages
    DROP COLUMN state, DROP COLUMN due_at, DROP COLUMN lease, DROP COLUMN attempts;

-- So many rows come and go that a share of the table says nothing: they are vacuumed
-- by their number, without pauses, and analysed early.
ALTER TABLE hearth.messages SET (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000,
    autovacuum_vacuum_insert_threshold = -1, autovacuum_vacuum_cost_delay = 0,
    autovacuum_analyze_scale_factor = 0.2, autovacuum_analyze_threshold = 10000);
ALTER TABLE hearth.ready SET (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000,
    autovacuum_vacuum_insert_threshold = -1, autovacuum_vacuum_cost_delay = 0,
    autovacuum_analyze_scale_factor = 0.2, autovacuum_analyze_threshold = 10000);
ALTER TABLE hearth.delayed SET (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000,
    autovacuum_vacuum_insert_threshold = -1, autovacuum_vacuum_cost_delay = 0,
    autovacuum_analyze_scale_factor = 0.2, autovacuum_analyze_threshold = 10000);
ALTER TABLE hearth.leases SET (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000,
    autovacuum_vacuum_insert_threshold = -1, autovacuum_vacuum_cost_delay = 0,
    autovacuum_analyze_scale_factor = 0.2, autovacuum_analyze_threshold = 10000);
ALTER TABLE hearth.blocked SET (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000,
    autovacuum_vacuum_insert_threshold = -1, autovacuum_vacuum_cost_delay = 0,
    autovacuum_analyze_scale_factor = 0.2, autovacuum_analyze_threshold = 10000);

-- Writes messages, column by column, in their order.
CREATE FUNCTION hearth.add_messages(
    new_ids uuid[], messages uuid[], queues text[], plugins text[], customers text[],
    groups text[], bodies bytea[], new_attributes text[], new_attempts integer[],
    times timestamptz[], delays_ms bigint[], offset_ms bigint
) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    moment timestamptz := clock_timestamp() + offset_ms * interval '1 millisecond';
BEGIN
    WITH entry AS MATERIALIZED (
        SELECT e.*, nextval('hearth.message_places') AS place
        FROM unnest(new_ids, messages, queues, plugins, customers, groups, bodies,
                    new_attributes, new_attempts, times, delays_ms)
            AS e (id, message, queue, plugin, customer, group_key, body, attributes, attempts,
                  sent_at, delay_ms)
    ), written AS (
        INSERT INTO hearth.messages
            (id, message, place, queue, plugin, customer, group_key, body, attributes, sent_at)
        SELECT e.id, e.message, e.place, e.queue, e.plugin, e.customer, e.group_key, e.body,
               e.attributes, coalesce(e.sent_at, moment)
        FROM entry e
    ), ready AS (
        INSERT INTO hearth.ready (id, queue, customer, group_key, place, seat, attempts, due_at)
        SELECT e.id, e.queue, e.customer, e.group_key, e.place, e.place, e.attempts, moment
        FROM entry e WHERE e.delay_ms <= 0
    )
    INSERT INTO hearth.delayed (id, queue, customer, group_key, place, attempts, due_at)
    SELECT e.id, e.queue, e.customer, e.group_key, e.place, e.attempts,
           moment + e.delay_ms * interval '1 millisecond'
    FROM entry e WHERE e.delay_ms > 0;
END
$$;

CREATE OR REPLACE FUNCTION hearth.enqueue(
    host_key bytea, new_id uuid, to_queue text, from_plugin text, for_customer text,
    in_group text, new_body bytea, new_attributes text, delay_ms bigint, offset_ms bigint,
    deduplication text
) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    moment timestamptz := clock_timestamp() + offset_ms * interval '1 millisecond';
    known uuid;
    new_place bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM hearth.outbox_keys WHERE digest = sha256(host_key)) THEN
        RAISE EXCEPTION 'only the host may send' USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF deduplication IS NOT NULL THEN
        INSERT INTO hearth.outbox_recent AS recent
            (queue, plugin, customer, deduplication_id, id, until)
        VALUES (to_queue, from_plugin, for_customer, deduplication, new_id,
                moment + interval '5 minutes')
        ON CONFLICT (queue, plugin, customer, deduplication_id) DO UPDATE
        SET id = CASE WHEN recent.until > moment THEN recent.id ELSE excluded.id END,
            until = CASE WHEN recent.until > moment THEN recent.until ELSE excluded.until END
        RETURNING recent.id INTO known;
        IF known <> new_id THEN
            RETURN known;
        END IF;
    END IF;
    new_place := nextval('hearth.message_places');
    INSERT INTO hearth.messages
        (id, message, place, queue, plugin, customer, group_key, body, attributes, sent_at)
    VALUES (new_id, new_id, new_place, to_queue, from_plugin, for_customer, in_group, new_body,
            new_attributes, moment);
    IF delay_ms > 0 THEN
        INSERT INTO hearth.delayed (id, queue, customer, group_key, place, attempts, due_at)
        VALUES (new_id, to_queue, for_customer, in_group, new_place, 0,
                moment + delay_ms * interval '1 millisecond');
    ELSE
        INSERT INTO hearth.ready (id, queue, customer, group_key, place, seat, attempts, due_at)
        VALUES (new_id, to_queue, for_customer, in_group, new_place, new_place, 0, moment);
    END IF;
    RETURN new_id;
END
$$;

-- Sends all messages of a transaction that have no deduplication id. It is what most
-- writing requests end with, so it calls no other function.
CREATE FUNCTION hearth.enqueue_many(
    host_key bytea, new_ids uuid[], queues text[], plugins text[], customers text[],
    groups text[], bodies bytea[], new_attributes text[], delays_ms bigint[], offset_ms bigint
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog
    SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    moment timestamptz := clock_timestamp() + offset_ms * interval '1 millisecond';
BEGIN
    IF NOT EXISTS (SELECT FROM hearth.outbox_keys WHERE digest = sha256(host_key)) THEN
        RAISE EXCEPTION 'only the host may send' USING ERRCODE = 'insufficient_privilege';
    END IF;
    WITH entry AS MATERIALIZED (
        SELECT e.*, nextval('hearth.message_places') AS place
        FROM unnest(new_ids, queues, plugins, customers, groups, bodies, new_attributes, delays_ms)
            AS e (id, queue, plugin, customer, group_key, body, attributes, delay_ms)
    ), written AS (
        INSERT INTO hearth.messages
            (id, message, place, queue, plugin, customer, group_key, body, attributes, sent_at)
        SELECT e.id, e.id, e.place, e.queue, e.plugin, e.customer, e.group_key, e.body,
               e.attributes, moment
        FROM entry e
    ), ready AS (
        INSERT INTO hearth.ready (id, queue, customer, group_key, place, seat, attempts, due_at)
        SELECT e.id, e.queue, e.customer, e.group_key, e.place, e.place, 0, moment
        FROM entry e WHERE e.delay_ms <= 0
    )
    INSERT INTO hearth.delayed (id, queue, customer, group_key, place, attempts, due_at)
    SELECT e.id, e.queue, e.customer, e.group_key, e.place, 0,
           moment + e.delay_ms * interval '1 millisecond'
    FROM entry e WHERE e.delay_ms > 0;
END
$$;

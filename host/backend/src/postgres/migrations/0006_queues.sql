-- Messages. With the backend `postgres` these rows are the queues themselves; with
-- `sqs` they wait here for the relay. A plugin's transaction writes them through
-- hearth.enqueue alone.
CREATE TABLE hearth.outbox (
    -- The row. A message that comes here again (it waits for days, or was redriven)
    -- has another, perhaps while the first is still there.
    id uuid PRIMARY KEY,
    message uuid NOT NULL,
    -- The order of sending. It is no key, so that no plan walks it instead of the
    -- indexes below.
    place bigint GENERATED ALWAYS AS IDENTITY,
    queue text NOT NULL COLLATE "C",
    -- The sender and its customer, stamped by the host; '.' is nobody.
    plugin text NOT NULL,
    customer text NOT NULL COLLATE "C" CHECK (customer <> ''),
    -- Messages of one group, of a queue and a customer, arrive in their order.
    group_key text COLLATE "C",
    body bytea NOT NULL,
    -- Pairs of names and values, as JSON.
    attributes text NOT NULL,
    sent_at timestamptz NOT NULL,
    -- 0: to be received. 1: not before due_at, for it is delayed or (with a lease)
    -- somebody has it. 2: put aside, behind another message of its group.
    state smallint NOT NULL CHECK (state IN (0, 1, 2)),
    due_at timestamptz NOT NULL,
    lease uuid,
    -- Deliveries that counted.
    attempts integer NOT NULL DEFAULT 0
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05);

-- Each receive seeks in these and reads no more than it takes: the customers in
-- turn, and the oldest messages of each.
CREATE INDEX outbox_single ON hearth.outbox (queue, customer, place)
    WHERE state = 0 AND group_key IS NULL;
CREATE INDEX outbox_grouped ON hearth.outbox (queue, customer, place)
    WHERE state = 0 AND group_key IS NOT NULL;
CREATE INDEX outbox_groups ON hearth.outbox (queue, customer, group_key, place)
    WHERE group_key IS NOT NULL;
CREATE INDEX outbox_held ON hearth.outbox (queue, customer, group_key)
    WHERE group_key IS NOT NULL AND lease IS NOT NULL;
CREATE INDEX outbox_later ON hearth.outbox (queue, due_at) WHERE state = 1;

-- Deduplication ids of the last five minutes, and the message that each stands for.
CREATE TABLE hearth.outbox_recent (
    queue text NOT NULL,
    plugin text NOT NULL,
    customer text NOT NULL,
    deduplication_id text NOT NULL,
    id uuid NOT NULL,
    until timestamptz NOT NULL,
    PRIMARY KEY (queue, plugin, customer, deduplication_id)
);
CREATE INDEX outbox_recent_until ON hearth.outbox_recent (until);

-- SHA-256 of the keys with which hosts may call hearth.enqueue: each derives from
-- a version of the fleet's root secret.
CREATE TABLE hearth.outbox_keys (
    digest bytea PRIMARY KEY CHECK (octet_length(digest) = 32)
);

-- Messages that nobody could consume, of both backends.
CREATE TABLE hearth.dead_letters (
    id uuid PRIMARY KEY,
    number bigint GENERATED ALWAYS AS IDENTITY,
    queue text NOT NULL,
    plugin text NOT NULL,
    customer text NOT NULL,
    group_key text,
    body bytea NOT NULL,
    attributes text NOT NULL,
    reason text NOT NULL,
    attempts integer NOT NULL,
    sent_at timestamptz NOT NULL,
    died_at timestamptz NOT NULL
);
CREATE INDEX dead_letters_queue ON hearth.dead_letters (queue, number);
CREATE INDEX dead_letters_died_at ON hearth.dead_letters (died_at);

-- How much is in each queue, as whichever host came first has counted: one row,
-- which the others read.
CREATE TABLE hearth.queue_depths (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    -- When somebody began to count, and when the numbers were true.
    begun_at timestamptz NOT NULL,
    counted_at timestamptz NOT NULL,
    depths text NOT NULL
);
INSERT INTO hearth.queue_depths (begun_at, counted_at, depths)
VALUES ('-infinity', '-infinity', '[]');

-- What SQS counts as a delivery of a message and the host does not: it was given
-- back, or waited for longer than SQS can hide it.
CREATE TABLE hearth.sqs_deliveries (
    queue text NOT NULL,
    -- SQS's own id of the message.
    message text NOT NULL,
    uncounted integer NOT NULL,
    not_before timestamptz NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (queue, message)
);
CREATE INDEX sqs_deliveries_at ON hearth.sqs_deliveries (at);

REVOKE ALL ON hearth.outbox, hearth.outbox_recent, hearth.outbox_keys, hearth.dead_letters,
    hearth.queue_depths, hearth.sqs_deliveries FROM PUBLIC;

-- Sends one message within the transaction of whoever calls; answers its id, or
-- the id of the message that it repeats.
--
-- The host alone can call it: it wants a key of which Postgres knows only the
-- digest. So a declared statement sends nothing, should one ever get past the gate
-- with this name in it, and neither does a trigger or function of a plugin.
CREATE FUNCTION hearth.enqueue(
    host_key bytea, new_id uuid, to_queue text, from_plugin text, for_customer text,
    in_group text, new_body bytea, new_attributes text, delay_ms bigint, offset_ms bigint,
    deduplication text
) RETURNS uuid
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE
    moment timestamptz := clock_timestamp() + offset_ms * interval '1 millisecond';
    known uuid;
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
    INSERT INTO hearth.outbox
        (id, message, queue, plugin, customer, group_key, body, attributes, sent_at, state, due_at)
    VALUES (new_id, new_id, to_queue, from_plugin, for_customer, in_group, new_body, new_attributes,
            moment, CASE WHEN delay_ms > 0 THEN 1 ELSE 0 END,
            moment + delay_ms * interval '1 millisecond');
    RETURN new_id;
END
$$;

-- The lock under which messages of a group are put aside and brought forward.
CREATE FUNCTION hearth.group_lock(queue text, customer text, group_key text) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN pg_catalog.hashtextextended(
    pg_catalog.concat(queue, E'\x01', customer, E'\x01', group_key), 0);

-- A plan that was made while the table was small must not read all of it when it is
-- large: hence the settings of the functions below.

-- Leases messages of a queue: the next customers after `after_customer` in turn,
-- of each the oldest, as many as there is room for. `due_at` says since when a
-- message could have been received. The last row has no id: it says whose turn it
-- was last, whether there may be more to find at once (`attempts` > 0), what time it
-- is (`sent_at`) and when something becomes due.
--
-- Of a group only the first message can be received. The others are put aside
-- when they are met, so that they are met once; whoever removes the first brings
-- the next one forward. Both hold the group's lock, and look again under it.
CREATE FUNCTION hearth.receive_messages(
    wanted text, after_customer text, messages_max integer, visibility_ms bigint,
    offset_ms bigint, new_lease uuid, counted boolean
) RETURNS TABLE (
    id uuid, message uuid, place bigint, plugin text, customer text, group_key text, body bytea,
    attributes text, attempts integer, sent_at timestamptz, due_at timestamptz
)
LANGUAGE plpgsql SET search_path = pg_catalog SET enable_seqscan = off
    SET enable_bitmapscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    customers_max CONSTANT integer := 32;
    looked_max CONSTANT integer := 400;
    moment timestamptz := clock_timestamp() + offset_ms * interval '1 millisecond';
    taken uuid[] := '{}';
    turn text COLLATE "C" := after_customer;
    next_turn text COLLATE "C";
    wrapped boolean := false;
    visited integer := 0;
    looked bigint := 0;
    last_place bigint;
    seen bigint;
    heads uuid[];
    behind uuid[];
    aside integer := 0;
    moved integer;
BEGIN
    WITH due AS MATERIALIZED (
        SELECT o.id FROM hearth.outbox o
        WHERE o.queue = wanted AND o.state = 1 AND o.due_at <= moment
        ORDER BY o.due_at LIMIT 500 FOR UPDATE SKIP LOCKED
    )
    UPDATE hearth.outbox o SET state = 0, lease = NULL FROM due WHERE o.id = due.id;

    WHILE cardinality(taken) < messages_max AND visited < customers_max AND looked < looked_max
    LOOP
        LOOP
            SELECT min(first.customer) INTO next_turn FROM (
                (SELECT o.customer FROM hearth.outbox o
                 WHERE o.queue = wanted AND o.state = 0 AND o.group_key IS NULL
                   AND o.customer > turn ORDER BY o.customer LIMIT 1)
                UNION ALL
                (SELECT o.customer FROM hearth.outbox o
                 WHERE o.queue = wanted AND o.state = 0 AND o.group_key IS NOT NULL
                   AND o.customer > turn ORDER BY o.customer LIMIT 1)) first;
            EXIT WHEN next_turn IS NOT NULL OR wrapped;
            -- Past the last customer: on with the first.
            wrapped := true;
            turn := '';
        END LOOP;
        EXIT WHEN next_turn IS NULL OR (wrapped AND next_turn > after_customer);
        turn := next_turn;
        visited := visited + 1;

        -- Grouped and single messages of a customer come first by turns, too.
        IF random() < 0.5 THEN
            SELECT taken || coalesce(array_agg(free.id), '{}') INTO taken FROM (
                SELECT o.id FROM hearth.outbox o
                WHERE o.queue = wanted AND o.state = 0 AND o.group_key IS NULL
                  AND o.customer = turn
                ORDER BY o.place LIMIT messages_max - cardinality(taken)
                FOR UPDATE SKIP LOCKED) free;
        END IF;

        last_place := -1;
        WHILE cardinality(taken) < messages_max AND looked < looked_max LOOP
            SELECT count(*), max(met.place),
                   array_agg(met.id ORDER BY met.place)
                       FILTER (WHERE NOT met.is_behind AND NOT met.is_held),
                   array_agg(met.id) FILTER (WHERE met.is_behind)
            INTO seen, last_place, heads, behind
            FROM (
                SELECT o.id, o.place,
                       EXISTS (SELECT FROM hearth.outbox e
                               WHERE e.queue = o.queue AND e.customer = o.customer
                                 AND e.group_key = o.group_key AND e.place < o.place) AS is_behind,
                       EXISTS (SELECT FROM hearth.outbox e
                               WHERE e.queue = o.queue AND e.customer = o.customer
                                 AND e.group_key = o.group_key
                                 AND e.lease IS NOT NULL) AS is_held
                FROM hearth.outbox o
                WHERE o.queue = wanted AND o.state = 0 AND o.group_key IS NOT NULL
                  AND o.customer = turn AND o.place > last_place
                ORDER BY o.place LIMIT 100) met;
            looked := looked + seen;
            EXIT WHEN seen = 0;
            IF heads IS NOT NULL THEN
                SELECT taken || coalesce(array_agg(free.id), '{}') INTO taken FROM (
                    SELECT o.id FROM hearth.outbox o
                    WHERE o.id = ANY (heads) AND o.state = 0
                    LIMIT messages_max - cardinality(taken)
                    FOR UPDATE SKIP LOCKED) free;
            END IF;
            IF behind IS NOT NULL THEN
                SELECT array_agg(o.id) INTO behind FROM hearth.outbox o
                WHERE o.id = ANY (behind)
                  AND pg_try_advisory_xact_lock(
                      hearth.group_lock(o.queue, o.customer, o.group_key));
                -- Not `= 0`: by that the index of all that can be received would be read.
                UPDATE hearth.outbox o SET state = 2
                WHERE o.id = ANY (behind) AND o.state < 1 AND EXISTS (
                    SELECT FROM hearth.outbox e
                    WHERE e.queue = o.queue AND e.customer = o.customer
                      AND e.group_key = o.group_key AND e.place < o.place);
                GET DIAGNOSTICS moved = ROW_COUNT;
                aside := aside + moved;
            END IF;
            EXIT WHEN seen < 100;
        END LOOP;

        IF cardinality(taken) < messages_max THEN
            SELECT taken || coalesce(array_agg(free.id), '{}') INTO taken FROM (
                SELECT o.id FROM hearth.outbox o
                WHERE o.queue = wanted AND o.state = 0 AND o.group_key IS NULL
                  AND o.customer = turn AND o.id <> ALL (taken)
                ORDER BY o.place LIMIT messages_max - cardinality(taken)
                FOR UPDATE SKIP LOCKED) free;
        END IF;
    END LOOP;

    RETURN QUERY
        UPDATE hearth.outbox o
        SET state = 1, lease = new_lease, due_at = moment + visibility_ms * interval '1 millisecond',
            attempts = o.attempts + counted::integer
        FROM hearth.outbox before
        WHERE o.id = ANY (taken) AND before.id = o.id
        RETURNING o.id, o.message, o.place, o.plugin, o.customer, o.group_key, o.body,
                  o.attributes, o.attempts, o.sent_at, before.due_at;
    attempts := aside;
    customer := turn;
    sent_at := moment;
    due_at := (SELECT o.due_at FROM hearth.outbox o
               WHERE o.queue = wanted AND o.state = 1 ORDER BY o.due_at LIMIT 1);
    RETURN NEXT;
END
$$;

-- Ends leases; answers the ids of those that held. `kinds`: 0 deletes, 1 comes
-- again and counts, 2 comes again and does not, 3 goes to the dead letters.
CREATE FUNCTION hearth.settle_messages(
    ids uuid[], leases uuid[], kinds smallint[], delays_ms bigint[], reasons text[],
    offset_ms bigint
) RETURNS SETOF uuid
LANGUAGE plpgsql SET search_path = pg_catalog SET enable_seqscan = off
    SET enable_bitmapscan = off SET jit = off AS $$
DECLARE
    moment timestamptz := clock_timestamp() + offset_ms * interval '1 millisecond';
    held uuid[];
    gone uuid[];
BEGIN
    SELECT array_agg(own.id) INTO held FROM (
        SELECT o.id FROM hearth.outbox o
        WHERE o.id = ANY (ids) AND o.lease = leases[array_position(ids, o.id)]
        ORDER BY o.id FOR UPDATE) own;
    IF held IS NULL THEN
        RETURN;
    END IF;

    UPDATE hearth.outbox o
    SET state = CASE WHEN delays_ms[array_position(ids, o.id)] > 0 THEN 1 ELSE 0 END,
        lease = NULL,
        due_at = moment + delays_ms[array_position(ids, o.id)] * interval '1 millisecond',
        attempts = o.attempts - (kinds[array_position(ids, o.id)] = 2)::integer
    WHERE o.id = ANY (held) AND kinds[array_position(ids, o.id)] IN (1, 2);

    SELECT array_agg(h.id) INTO gone FROM unnest(held) AS h (id)
    WHERE kinds[array_position(ids, h.id)] IN (0, 3);
    IF gone IS NOT NULL THEN
        INSERT INTO hearth.dead_letters
            (id, queue, plugin, customer, group_key, body, attributes, reason, attempts, sent_at,
             died_at)
        SELECT o.message, o.queue, o.plugin, o.customer, o.group_key, o.body, o.attributes,
               reasons[array_position(ids, o.id)], o.attempts, o.sent_at, moment
        FROM hearth.outbox o
        WHERE o.id = ANY (gone) AND kinds[array_position(ids, o.id)] = 3
        ORDER BY o.place
        ON CONFLICT (id) DO NOTHING;
        PERFORM hearth.remove_messages(gone);
    END IF;
    RETURN QUERY SELECT unnest(held);
END
$$;

-- Deletes messages, and brings forward what was put aside behind them.
CREATE FUNCTION hearth.remove_messages(gone uuid[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog SET enable_seqscan = off
    SET enable_bitmapscan = off SET jit = off AS $$
DECLARE
    queues text[];
    customers text[];
    groups text[];
BEGIN
    SELECT array_agg(g.queue), array_agg(g.customer), array_agg(g.group_key)
    INTO queues, customers, groups
    FROM (SELECT DISTINCT o.queue, o.customer, o.group_key FROM hearth.outbox o
          WHERE o.id = ANY (gone) AND o.group_key IS NOT NULL) g;
    -- In one order everywhere, or two that settle would wait for each other.
    PERFORM pg_advisory_xact_lock(each.lock) FROM (
        SELECT DISTINCT hearth.group_lock(g.queue, g.customer, g.group_key) AS lock
        FROM unnest(queues, customers, groups) AS g (queue, customer, group_key)
        ORDER BY 1) each;
    DELETE FROM hearth.outbox WHERE id = ANY (gone);
    UPDATE hearth.outbox o SET state = 0
    FROM unnest(queues, customers, groups) AS g (queue, customer, group_key)
    CROSS JOIN LATERAL (
        SELECT n.id FROM hearth.outbox n
        WHERE n.queue = g.queue AND n.customer = g.customer AND n.group_key = g.group_key
        ORDER BY n.place LIMIT 1) next
    WHERE o.id = next.id AND o.state = 2;
END
$$;

REVOKE ALL ON FUNCTION hearth.receive_messages, hearth.settle_messages, hearth.remove_messages,
    hearth.group_lock FROM PUBLIC;

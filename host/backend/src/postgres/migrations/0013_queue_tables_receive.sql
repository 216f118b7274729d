-- Goes on from 0013_queue_tables.sql: receiving.

-- A plan that was made while a table was small must not read all of it when it is
-- large: hence the settings of the functions below that are called from outside. Those
-- that they call run under them. And rows are looked up one by one (`= ANY`, or LATERAL
-- behind an OFFSET, which is not joined): a join with a table that is nearly empty may
-- read all that was ever in it.

-- Leases messages of a queue: of the customers who have some, in turn from
-- `after_customer` on, the oldest of each, as many as there is room for.
--
-- `since` is the horizon of an earlier answer, and `known_customers` are customers who
-- had messages then, the next in turn, each with a seat behind which all of them are.
-- Without a horizon all is looked for from the beginning.
--
-- The last row has no id. It tells the new horizon, and for each customer who is to be
-- known anew behind which seat his messages are, or NULL where he has none; whose turn
-- it was last (`customer`), whether there may be more to find at once (`attempts` > 0),
-- what time it is (`sent_at`) and when something becomes due.
--
-- Of a group only the first message can be received. The others are set aside when
-- they are met, so that they are met once.
CREATE FUNCTION hearth.lease_messages(
    wanted text, since text, known_customers text[], known_seats bigint[], after_customer text,
    messages_max integer, visibility_ms bigint, offset_ms bigint, new_lease uuid, counted boolean
) RETURNS TABLE (
    id uuid, message uuid, place bigint, plugin text, customer text, group_key text, body bytea,
    attributes text, attempts integer, sent_at timestamptz, due_at timestamptz,
    horizon text, customers text[], seats bigint[]
)
LANGUAGE plpgsql SET search_path = pg_catalog SET plan_cache_mode = force_generic_plan
    SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
    looked_max CONSTANT integer := 400;
    due_look CONSTANT interval := '50 milliseconds';
    moment timestamptz := clock_timestamp() + offset_ms * interval '1 millisecond';
    -- A horizon means nothing to another server: its transactions have other numbers.
    server text := extract(epoch FROM pg_postmaster_start_time())::text;
    parts text[] := string_to_array(since, '/');
    seen pg_snapshot;
    began xid8;
    pending xid8[];
    ended xid8[];
    -- No lease that lived at the horizon is of an earlier transaction, and none that
    -- lives now is of an earlier one than the second.
    leased_from xid8;
    held_from xid8;
    is_grouped boolean := false;
    -- Until then nothing is due. It is known anew now and then.
    delayed_until timestamptz := '-infinity';
    leased_until timestamptz := '-infinity';
    due_looked timestamptz := '-infinity';
    due_began xid8;
    due_pending xid8[];
    due_count integer := 0;
    aside integer := 0;
    taken integer := 0;
    looked integer := 0;
    chunk integer := messages_max;
    moved integer;
    line_customers text[];
    line_seats bigint[];
    visited integer;
    met integer;
    heads tid[];
    behind tid[];
BEGIN
    IF parts[1] = server THEN
        began := parts[2]::xid8;
        pending := parts[3]::xid8[];
        leased_from := parts[4]::xid8;
        is_grouped := parts[5]::boolean;
        delayed_until := parts[6]::timestamptz;
        leased_until := parts[7]::timestamptz;
        due_looked := parts[8]::timestamptz;
        due_began := parts[9]::xid8;
        due_pending := parts[10]::xid8[];
        line_customers := known_customers;
        line_seats := known_seats;
    ELSE
        WITH RECURSIVE line AS (
            (SELECT r.customer, r.seat FROM hearth.ready r WHERE r.queue = wanted
             ORDER BY r.customer, r.seat LIMIT 1)
            UNION ALL
            SELECT next.customer, next.seat FROM line CROSS JOIN LATERAL (
                SELECT r.customer, r.seat FROM hearth.ready r
                WHERE r.queue = wanted AND r.customer > line.customer
                ORDER BY r.customer, r.seat LIMIT 1) next
        )
        SELECT pg_current_snapshot(), coalesce(array_agg(l.customer), '{}'),
               coalesce(array_agg(l.seat - 1), '{}')
        INTO seen, line_customers, line_seats
        FROM (SELECT * FROM line ORDER BY customer <= after_customer, customer) l;
        began := pg_snapshot_xmax(seen);
        pending := ARRAY(SELECT pg_snapshot_xip(seen));
        leased_from := '0';
        due_began := began;
        due_pending := pending;
    END IF;

    IF least(delayed_until, leased_until) <= moment THEN
        due_count := hearth.ready_due(wanted, delayed_until, leased_until, moment);
    END IF;

    LOOP
        -- What was under way and is not any more; the rest is looked for the next time.
        ended := '{}';
        IF pending <> '{}' THEN
            SELECT coalesce(array_agg(p) FILTER (WHERE is_over), '{}'),
                   coalesce(array_agg(p) FILTER (WHERE NOT is_over), '{}')
            INTO ended, pending
            FROM (SELECT p, pg_visible_in_snapshot(p, pg_current_snapshot())
                            OR p IS NOT DISTINCT FROM pg_current_xact_id_if_assigned() AS is_over
                  FROM unnest(pending) p) known;
        END IF;
        IF NOT is_grouped THEN
            SELECT m.* INTO seen, line_customers, line_seats, met, visited, heads, is_grouped
            FROM hearth.meet_messages(wanted, began, ended, line_customers, line_seats,
                                      after_customer, chunk) m;
        END IF;
        IF is_grouped THEN
            held_from := least(leased_from, began,
                               (SELECT p FROM unnest(pending || ended) p ORDER BY p LIMIT 1));
            SELECT m.* INTO seen, line_customers, line_seats, met, visited, heads, is_grouped, behind
            FROM hearth.meet_grouped(wanted, began, ended, line_customers, line_seats,
                                     after_customer, chunk, held_from) m;
            heads := hearth.free_heads(heads[:messages_max - taken], held_from);
        END IF;
        began := pg_snapshot_xmax(seen);
        leased_from := least(
            began,
            (SELECT l.xid FROM hearth.leases l
             WHERE l.queue || '' = wanted AND l.xid >= leased_from ORDER BY l.xid LIMIT 1));
        IF ended <> '{}' THEN
            leased_from := least(leased_from, (
                SELECT each.xid FROM unnest(ended) AS each (xid)
                WHERE (SELECT l.xid FROM hearth.leases l
                       WHERE l.queue || '' = wanted AND l.xid = each.xid LIMIT 1) IS NOT NULL
                ORDER BY each.xid LIMIT 1));
        END IF;
        pending := ARRAY(SELECT unnest(pending) UNION SELECT pg_snapshot_xip(seen));
        -- A snapshot does not list its own transaction.
        IF pg_current_xact_id_if_assigned() < began THEN
            pending := pending || pg_current_xact_id_if_assigned();
        END IF;
        looked := looked + met;

        IF heads IS NOT NULL THEN
            RETURN QUERY
                WITH gone AS (
                    DELETE FROM hearth.ready WHERE ctid = ANY (heads[:messages_max - taken])
                    RETURNING *
                ), leased AS (
                    INSERT INTO hearth.leases
                        (id, queue, customer, group_key, place, attempts, due_at, lease)
                    SELECT g.id, g.queue, g.customer, g.group_key, g.place,
                           g.attempts + counted::integer,
                           moment + visibility_ms * interval '1 millisecond', new_lease
                    FROM gone g)
                SELECT g.id, m.message, g.place, m.plugin, g.customer, g.group_key, m.body,
                       m.attributes, g.attempts + counted::integer, m.sent_at, g.due_at,
                       NULL::text, NULL::text[], NULL::bigint[]
                FROM gone g CROSS JOIN LATERAL (
                    SELECT m.message, m.plugin, m.body, m.attributes, m.sent_at
                    FROM hearth.messages m WHERE m.id = g.id OFFSET 0) m;
            GET DIAGNOSTICS moved = ROW_COUNT;
            taken := taken + moved;
        END IF;
        IF behind IS NOT NULL THEN
            moved := hearth.block_messages(behind);
            aside := aside + moved;
        END IF;
        -- All whose turn could come were visited.
        IF met < chunk THEN
            visited := least(cardinality(line_customers), 32);
        END IF;
        EXIT WHEN taken >= messages_max OR behind IS NULL OR moved = 0 OR looked >= looked_max;
        chunk := greatest(messages_max - taken, 100);
    END LOOP;

    -- Where those who were visited begin now. The others were not looked at.
    SELECT array_agg(l.customer),
           array_agg(CASE WHEN l.number > visited THEN l.seat
                          ELSE (SELECT r.seat - 1 FROM hearth.ready r
                                WHERE r.queue = wanted AND r.customer = l.customer
                                  AND r.seat > l.seat
                                ORDER BY r.seat LIMIT 1) END)
    INTO customers, seats
    FROM unnest(line_customers, line_seats) WITH ORDINALITY AS l (customer, seat, number);
    IF taken = 0 OR due_count > 0 OR due_looked NOT BETWEEN moment - due_look AND moment THEN
        SELECT d.seen, d.delayed_until, d.leased_until INTO seen, delayed_until, leased_until
        FROM hearth.due_times(wanted, due_began, due_pending, delayed_until, leased_until) d;
        due_looked := moment;
        due_began := pg_snapshot_xmax(seen);
        due_pending := array_remove(
            ARRAY(SELECT pg_snapshot_xip(seen)) || pg_current_xact_id_if_assigned(), NULL);
    END IF;
    horizon := concat_ws('/', server, began, pending, leased_from, is_grouped, delayed_until,
                         leased_until, due_looked, due_began, due_pending);
    attempts := aside + due_count;
    due_at := nullif(least(delayed_until, leased_until), 'infinity');
    customer := line_customers[visited];
    sent_at := moment;
    RETURN NEXT;
END
$$;

-- Locks the next messages of a queue, of 32 customers at most, and tells who has
-- messages now; whether all of those that were met can be received is another matter
-- where some are of groups. For queues that have none this costs half of what follows.
CREATE FUNCTION hearth.meet_messages(
    wanted text, began xid8, ended xid8[], known_customers text[], known_seats bigint[],
    after_customer text, chunk integer, OUT seen pg_snapshot, OUT customers text[],
    OUT seats bigint[], OUT met integer, OUT visited integer, OUT heads tid[],
    OUT is_grouped boolean
)
LANGUAGE plpgsql AS $$
BEGIN
    SELECT a.seen, a.customers, a.seats INTO seen, customers, seats
    FROM hearth.ready_customers(wanted, began, ended, known_customers, known_seats,
                                after_customer) a;
    SELECT count(*), max(m.number), array_agg(m.tid),
           coalesce(bool_or(m.group_key IS NOT NULL), false)
    INTO met, visited, heads, is_grouped
    FROM (
        SELECT line.number, r.tid, r.group_key
        FROM unnest(customers[:32], seats[:32]) WITH ORDINALITY AS line (customer, seat, number)
        CROSS JOIN LATERAL (
            SELECT r.ctid AS tid, r.group_key FROM hearth.ready r
            WHERE r.queue = wanted AND r.customer = line.customer AND r.seat > line.seat
            ORDER BY r.seat LIMIT chunk FOR UPDATE SKIP LOCKED) r
        LIMIT chunk) m;
END
$$;

-- The same where there are groups: tells which are the first of theirs (`heads`), and
-- which are behind another. In one statement, for what it finds in one place it must
-- find missing in the others: it sees each message once.
CREATE FUNCTION hearth.meet_grouped(
    wanted text, began xid8, ended xid8[], known_customers text[], known_seats bigint[],
    after_customer text, chunk integer, held_from xid8, OUT seen pg_snapshot,
    OUT customers text[], OUT seats bigint[], OUT met integer, OUT visited integer,
    OUT heads tid[], OUT is_grouped boolean, OUT behind tid[]
)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    WITH line AS MATERIALIZED (
        SELECT a.seen, k.customer, k.seat, k.number
        FROM hearth.ready_customers(wanted, began, ended, known_customers, known_seats,
                                    after_customer) a
        LEFT JOIN LATERAL unnest(a.customers, a.seats) WITH ORDINALITY
            AS k (customer, seat, number) ON true
    ), ready AS MATERIALIZED (
        SELECT line.number, r.tid, r.group_key IS NOT NULL AS is_grouped,
               held.place < r.place
               OR EXISTS (
                   SELECT FROM hearth.ready e
                   WHERE e.queue || E'\x01' || e.customer || E'\x01' || e.group_key = r.group_name
                     AND e.group_key IS NOT NULL AND e.seat + 0 > line.seat
                     AND e.seat + 0 < r.seat AND e.place < r.place)
               OR EXISTS (
                   SELECT FROM hearth.ready e
                   WHERE e.queue || E'\x02' || e.customer || E'\x02' || e.group_key
                         = replace(r.group_name, E'\x01', E'\x02')
                     AND e.group_key IS NOT NULL AND e.seat + 0 > r.seat
                     AND e.seat <> e.place AND e.place < r.place)
               OR EXISTS (
                   SELECT FROM hearth.delayed e
                   WHERE e.queue || E'\x01' || e.customer || E'\x01' || e.group_key = r.group_name
                     AND e.group_key IS NOT NULL AND e.place < r.place) AS is_behind,
               -- By one that was sent later and was there before.
               held.place > r.place AS is_held
        FROM (SELECT * FROM line WHERE number <= 32) line
        CROSS JOIN LATERAL (
            SELECT r.ctid AS tid, r.group_key, r.place, r.seat,
                   r.queue || E'\x01' || r.customer || E'\x01' || r.group_key AS group_name
            FROM hearth.ready r
            WHERE r.queue = wanted AND r.customer = line.customer AND r.seat > line.seat
            ORDER BY r.seat LIMIT chunk FOR UPDATE SKIP LOCKED) r
        LEFT JOIN LATERAL (
            SELECT e.place FROM hearth.leases e
            WHERE e.queue || E'\x01' || e.customer || E'\x01' || e.group_key = r.group_name
              AND e.group_key IS NOT NULL AND xid8send(e.xid) >= xid8send(held_from)
            ORDER BY xid8send(e.xid) LIMIT 1) held ON r.group_key IS NOT NULL
        LIMIT chunk
    )
    SELECT l.*, r.*
    INTO seen, customers, seats, met, visited, heads, is_grouped, behind
    FROM (SELECT (SELECT seen FROM line LIMIT 1),
                 coalesce(array_agg(customer) FILTER (WHERE number > 0), '{}'),
                 coalesce(array_agg(seat) FILTER (WHERE number > 0), '{}')
          FROM line) l,
         (SELECT count(*), max(number),
                 array_agg(tid) FILTER (WHERE is_behind IS NOT TRUE AND is_held IS NOT TRUE),
                 coalesce(bool_or(r.is_grouped), false),
                 array_agg(tid) FILTER (WHERE is_behind)
          FROM ready r) r;
END
$$;

-- Who has messages, and behind which seat: those who were known, and those for whom some
-- have come since; in turn. Stable, so that it sees what the statement sees that asks.
--
-- Whoever receives shows no more customers than one receive visits. Where he may know of
-- others, one who is not among those shown has perhaps messages in front of the ones that
-- have come: he is behind all of them, so that he is not visited without his seat.
CREATE FUNCTION hearth.ready_customers(
    wanted text, began xid8, ended xid8[], known_customers text[], known_seats bigint[],
    after_customer text, OUT seen pg_snapshot, OUT customers text[], OUT seats bigint[]
)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    lines_max CONSTANT integer := 32;
BEGIN
    SELECT pg_current_snapshot(), array_agg(n.customer), array_agg(n.seat)
    INTO seen, customers, seats
    FROM (SELECT r.customer, min(r.seat) - 1 AS seat FROM (
              SELECT r.customer, r.seat FROM hearth.ready r
              WHERE r.queue || '' = wanted AND r.xid >= began
              UNION ALL
              SELECT r.customer, r.seat FROM unnest(ended) AS each (xid) CROSS JOIN LATERAL (
                  SELECT r.customer, r.seat FROM hearth.ready r
                  WHERE r.queue || '' = wanted AND r.xid = each.xid OFFSET 0) r) r
          GROUP BY r.customer) n;
    IF customers IS NULL THEN
        customers := known_customers;
        seats := known_seats;
        RETURN;
    END IF;
    SELECT array_agg(k.customer), array_agg(k.seat) INTO customers, seats
    FROM (SELECT k.customer, min(k.seat) AS seat
          FROM (SELECT k.customer, k.seat, k.number
                FROM unnest(known_customers, known_seats) WITH ORDINALITY
                    AS k (customer, seat, number)
                UNION ALL
                SELECT n.customer, n.seat, NULL
                FROM unnest(customers, seats) AS n (customer, seat)) k
          GROUP BY k.customer
          ORDER BY CASE WHEN cardinality(known_customers) >= lines_max THEN min(k.number) END,
                   k.customer COLLATE "C" <= after_customer, k.customer COLLATE "C") k;
END
$$;

-- Makes ready what is due: what was delayed, and what was leased and not settled in
-- time; answers how many. There is none before `delayed_from` and `leased_from`.
CREATE FUNCTION hearth.ready_due(
    wanted text, delayed_from timestamptz, leased_from timestamptz, moment timestamptz
) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    due_max CONSTANT integer := 500;
    delayed integer;
    leased integer;
BEGIN
    WITH gone AS (
        DELETE FROM hearth.delayed WHERE ctid = ANY (ARRAY(
            SELECT d.ctid FROM hearth.delayed d
            WHERE d.queue = wanted AND d.due_at >= delayed_from AND d.due_at <= moment
            ORDER BY d.due_at LIMIT due_max FOR UPDATE SKIP LOCKED))
        RETURNING *)
    INSERT INTO hearth.ready (id, queue, customer, group_key, place, seat, attempts, due_at)
    SELECT g.id, g.queue, g.customer, g.group_key, g.place, nextval('hearth.message_places'),
           g.attempts, g.due_at
    FROM (SELECT * FROM gone ORDER BY due_at, place) g;
    GET DIAGNOSTICS delayed = ROW_COUNT;
    WITH gone AS (
        DELETE FROM hearth.leases WHERE ctid = ANY (ARRAY(
            SELECT l.ctid FROM hearth.leases l
            WHERE l.queue = wanted AND l.due_at >= leased_from AND l.due_at <= moment
            ORDER BY l.due_at LIMIT due_max FOR UPDATE SKIP LOCKED))
        RETURNING *)
    INSERT INTO hearth.ready (id, queue, customer, group_key, place, seat, attempts, due_at)
    SELECT g.id, g.queue, g.customer, g.group_key, g.place, nextval('hearth.message_places'),
           g.attempts, g.due_at
    FROM (SELECT * FROM gone ORDER BY place) g;
    GET DIAGNOSTICS leased = ROW_COUNT;
    RETURN delayed + leased;
END
$$;

-- When the first of what is delayed becomes due, and of what is leased, knowing when
-- it did at a horizon.
CREATE FUNCTION hearth.due_times(
    wanted text, began xid8, pending xid8[], INOUT delayed_until timestamptz,
    INOUT leased_until timestamptz, OUT seen pg_snapshot
)
LANGUAGE plpgsql AS $$
BEGIN
    WITH new_delayed AS MATERIALIZED (
        SELECT d.due_at FROM hearth.delayed d WHERE d.queue || '' = wanted AND d.xid >= began
        UNION ALL
        SELECT d.due_at FROM unnest(pending) AS each (xid) CROSS JOIN LATERAL (
            SELECT d.due_at FROM hearth.delayed d
            WHERE d.queue || '' = wanted AND d.xid = each.xid OFFSET 0) d
    ), new_leases AS MATERIALIZED (
        SELECT l.due_at FROM hearth.leases l WHERE l.queue || '' = wanted AND l.xid >= began
        UNION ALL
        SELECT l.due_at FROM unnest(pending) AS each (xid) CROSS JOIN LATERAL (
            SELECT l.due_at FROM hearth.leases l
            WHERE l.queue || '' = wanted AND l.xid = each.xid OFFSET 0) l
    )
    SELECT pg_current_snapshot(),
           least(delayed_until, (SELECT min(n.due_at) FROM new_delayed n)),
           least(leased_until, (SELECT min(n.due_at) FROM new_leases n))
    INTO seen, delayed_until, leased_until;
    delayed_until := coalesce(
        (SELECT d.due_at FROM hearth.delayed d WHERE d.queue = wanted AND d.due_at >= delayed_until
         ORDER BY d.due_at LIMIT 1), 'infinity');
    leased_until := coalesce(
        (SELECT l.due_at FROM hearth.leases l WHERE l.queue = wanted AND l.due_at >= leased_until
         ORDER BY l.due_at LIMIT 1), 'infinity');
END
$$;

-- Of messages that are the first of their groups, those whose groups nobody else is
-- about to receive from: another may be about to lease one that was sent later, and
-- cannot know of this one yet.
CREATE FUNCTION hearth.free_heads(heads tid[], held_from xid8) RETURNS tid[]
LANGUAGE plpgsql AS $$
DECLARE
    locked tid[];
BEGIN
    SELECT array_agg(r.ctid) INTO locked FROM hearth.ready r
    WHERE r.ctid = ANY (heads)
      AND (r.group_key IS NULL OR pg_try_advisory_xact_lock(
              hearth.group_lock(r.queue, r.customer, r.group_key)));
    RETURN ARRAY(
        SELECT r.ctid FROM hearth.ready r
        WHERE r.ctid = ANY (locked)
          AND NOT EXISTS (
              SELECT FROM hearth.leases e
              WHERE e.queue || E'\x01' || e.customer || E'\x01' || e.group_key
                    = r.queue || E'\x01' || r.customer || E'\x01' || r.group_key
                AND e.group_key IS NOT NULL AND xid8send(e.xid) >= xid8send(held_from)
              OFFSET 0));
END
$$;

-- The lock under which messages of a group are blocked and brought forward is
-- hearth.group_lock. Blocks those that are, under the lock, still behind another;
-- answers how many.
CREATE FUNCTION hearth.block_messages(rows tid[]) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    locked tid[];
    moved integer;
BEGIN
    SELECT array_agg(r.ctid) INTO locked FROM hearth.ready r
    WHERE r.ctid = ANY (rows)
      AND pg_try_advisory_xact_lock(hearth.group_lock(r.queue, r.customer, r.group_key));
    WITH gone AS (
        DELETE FROM hearth.ready r
        WHERE r.ctid = ANY (locked) AND (
            SELECT e.place FROM hearth.messages e
            WHERE e.queue = r.queue AND e.customer = r.customer AND e.group_key = r.group_key
              AND e.place < r.place
            ORDER BY e.place DESC LIMIT 1) IS NOT NULL
        RETURNING *)
    INSERT INTO hearth.blocked (id, queue, customer, group_key, place, attempts, due_at)
    SELECT g.id, g.queue, g.customer, g.group_key, g.place, g.attempts, g.due_at FROM gone g;
    GET DIAGNOSTICS moved = ROW_COUNT;
    RETURN moved;
END
$$;

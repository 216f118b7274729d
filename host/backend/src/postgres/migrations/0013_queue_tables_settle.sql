-- Goes on from 0013_queue_tables_receive.sql: what becomes of messages, and the hosts of
-- the version before.

-- Brings forward what was behind messages of these places, which are gone.
CREATE FUNCTION hearth.forward_messages(
    queues text[], customers text[], groups text[], places bigint[]
) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    -- In one order everywhere, or two that settle would wait for each other.
    PERFORM pg_advisory_xact_lock(each.lock) FROM (
        SELECT DISTINCT hearth.group_lock(g.queue, g.customer, g.group_key) AS lock
        FROM unnest(queues, customers, groups) AS g (queue, customer, group_key)
        ORDER BY 1) each;
    WITH next AS MATERIALIZED (
        SELECT DISTINCT n.id
        FROM unnest(queues, customers, groups, places) AS g (queue, customer, group_key, place)
        CROSS JOIN LATERAL (
            SELECT n.id FROM hearth.messages n
            WHERE n.queue = g.queue AND n.customer = g.customer AND n.group_key = g.group_key
              AND n.place > g.place
            ORDER BY n.place LIMIT 1) n
    ), gone AS (
        DELETE FROM hearth.blocked b WHERE b.id = ANY (ARRAY(SELECT id FROM next))
        RETURNING b.*)
    INSERT INTO hearth.ready (id, queue, customer, group_key, place, seat, attempts, due_at)
    SELECT g.id, g.queue, g.customer, g.group_key, g.place, nextval('hearth.message_places'),
           g.attempts, g.due_at
    FROM gone g;
END
$$;

-- Ends leases; answers the ids of those that held. `kinds`: 0 deletes, 1 comes
-- again and counts, 2 comes again and does not, 3 goes to the dead letters.
CREATE OR REPLACE FUNCTION hearth.settle_messages(
    ids uuid[], leases uuid[], kinds smallint[], delays_ms bigint[], reasons text[],
    offset_ms bigint
) RETURNS SETOF uuid
LANGUAGE plpgsql SET search_path = pg_catalog SET plan_cache_mode = force_generic_plan
    SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
DECLARE
    moment timestamptz := clock_timestamp() + offset_ms * interval '1 millisecond';
    ended uuid[];
    queues text[];
    customers text[];
    groups text[];
    places bigint[];
BEGIN
    -- Most are done, all of them. The way for the others costs more, if only to begin.
    IF 0 = ALL (kinds) THEN
        WITH own AS (
            DELETE FROM hearth.leases l
            WHERE l.id = ANY (ids) AND l.lease = leases[array_position(ids, l.id)]
            RETURNING l.id, l.queue, l.customer, l.group_key, l.place)
        SELECT array_agg(o.id), array_agg(o.queue) FILTER (WHERE o.group_key IS NOT NULL),
               array_agg(o.customer) FILTER (WHERE o.group_key IS NOT NULL),
               array_agg(o.group_key) FILTER (WHERE o.group_key IS NOT NULL),
               array_agg(o.place) FILTER (WHERE o.group_key IS NOT NULL)
        INTO ended, queues, customers, groups, places FROM own o;
        DELETE FROM hearth.messages m WHERE m.id = ANY (ended);
        IF queues IS NOT NULL THEN
            PERFORM hearth.forward_messages(queues, customers, groups, places);
        END IF;
        RETURN QUERY SELECT unnest(ended);
        RETURN;
    END IF;
    WITH gone AS (
        DELETE FROM hearth.leases l
        WHERE l.id = ANY (ids) AND l.lease = leases[array_position(ids, l.id)]
        RETURNING l.*
    ), own AS MATERIALIZED (
        SELECT g.*, e.kind, e.delay_ms, e.reason
        FROM gone g
        JOIN unnest(ids, kinds, delays_ms, reasons) AS e (id, kind, delay_ms, reason)
            ON e.id = g.id
    ), ready AS (
        INSERT INTO hearth.ready (id, queue, customer, group_key, place, seat, attempts, due_at)
        SELECT o.id, o.queue, o.customer, o.group_key, o.place, nextval('hearth.message_places'),
               o.attempts - (o.kind = 2)::integer, moment
        FROM (SELECT * FROM own ORDER BY place) o WHERE o.kind IN (1, 2) AND o.delay_ms <= 0
    ), delayed AS (
        INSERT INTO hearth.delayed (id, queue, customer, group_key, place, attempts, due_at)
        SELECT o.id, o.queue, o.customer, o.group_key, o.place,
               o.attempts - (o.kind = 2)::integer, moment + o.delay_ms * interval '1 millisecond'
        FROM own o WHERE o.kind IN (1, 2) AND o.delay_ms > 0
    ), dead AS (
        INSERT INTO hearth.dead_letters
            (id, queue, plugin, customer, group_key, body, attributes, reason, attempts, sent_at,
             died_at)
        SELECT m.message, m.queue, m.plugin, m.customer, m.group_key, m.body, m.attributes,
               o.reason, o.attempts, m.sent_at, moment
        FROM hearth.messages m JOIN own o ON o.id = m.id
        WHERE m.id = ANY (ARRAY(SELECT id FROM own WHERE kind = 3))
        ORDER BY m.place
        ON CONFLICT (id) DO NOTHING
    ), erased AS (
        DELETE FROM hearth.messages
        WHERE id = ANY (ARRAY(SELECT id FROM own WHERE kind IN (0, 3)))
    )
    SELECT array_agg(o.id), array_agg(o.queue) FILTER (WHERE leaves_group),
           array_agg(o.customer) FILTER (WHERE leaves_group),
           array_agg(o.group_key) FILTER (WHERE leaves_group),
           array_agg(o.place) FILTER (WHERE leaves_group)
    INTO ended, queues, customers, groups, places
    FROM (SELECT *, group_key IS NOT NULL AND kind IN (0, 3) AS leaves_group FROM own) o;
    IF queues IS NOT NULL THEN
        PERFORM hearth.forward_messages(queues, customers, groups, places);
    END IF;
    RETURN QUERY SELECT unnest(ended);
END
$$;

-- Drops messages that nobody received in time: those due before `before`, which
-- nobody has. At most `rows_max` of each table; answers how many.
CREATE FUNCTION hearth.expire_messages(before timestamptz, rows_max integer) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog SET plan_cache_mode = force_generic_plan
    SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
DECLARE
    each_queue text COLLATE "C" := '';
    old uuid[];
    dropped bigint := 0;
BEGIN
    LOOP
        SELECT min(first.queue) INTO each_queue FROM (
            (SELECT r.queue FROM hearth.ready r WHERE r.queue > each_queue
             ORDER BY r.queue LIMIT 1)
            UNION ALL
            (SELECT d.queue FROM hearth.delayed d WHERE d.queue > each_queue
             ORDER BY d.queue LIMIT 1)) first;
        EXIT WHEN each_queue IS NULL;
        -- They are in the order in which they became ready, so the oldest come first.
        WITH gone AS (
            DELETE FROM hearth.ready WHERE ctid = ANY (ARRAY(
                SELECT r.ctid FROM (
                    SELECT r.ctid, r.due_at FROM hearth.ready r WHERE r.queue || '' = each_queue
                    ORDER BY r.xid LIMIT rows_max FOR UPDATE SKIP LOCKED) r
                WHERE r.due_at < before))
            RETURNING id)
        SELECT array_agg(g.id) INTO old FROM gone g;
        dropped := dropped + hearth.erase_messages(old);
        WITH gone AS (
            DELETE FROM hearth.delayed WHERE ctid = ANY (ARRAY(
                SELECT d.ctid FROM hearth.delayed d
                WHERE d.queue = each_queue AND d.due_at < before
                ORDER BY d.due_at LIMIT rows_max FOR UPDATE SKIP LOCKED))
            RETURNING id)
        SELECT array_agg(g.id) INTO old FROM gone g;
        dropped := dropped + hearth.erase_messages(old);
    END LOOP;
    WITH gone AS (
        DELETE FROM hearth.blocked WHERE ctid = ANY (ARRAY(
            SELECT b.ctid FROM hearth.blocked b WHERE b.due_at < before
            ORDER BY b.due_at LIMIT rows_max FOR UPDATE SKIP LOCKED))
        RETURNING id)
    SELECT array_agg(g.id) INTO old FROM gone g;
    RETURN dropped + hearth.erase_messages(old);
END
$$;

-- Deletes messages that are in none of the tables of their states any more, and
-- brings forward what was behind them; answers how many there were.
CREATE FUNCTION hearth.erase_messages(gone uuid[]) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog SET plan_cache_mode = force_generic_plan
    SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
DECLARE
    queues text[];
    customers text[];
    groups text[];
    places bigint[];
    erased integer;
BEGIN
    WITH erased AS (DELETE FROM hearth.messages WHERE id = ANY (gone) RETURNING *)
    SELECT count(*), array_agg(e.queue) FILTER (WHERE e.group_key IS NOT NULL),
           array_agg(e.customer) FILTER (WHERE e.group_key IS NOT NULL),
           array_agg(e.group_key) FILTER (WHERE e.group_key IS NOT NULL),
           array_agg(e.place) FILTER (WHERE e.group_key IS NOT NULL)
    INTO erased, queues, customers, groups, places FROM erased e;
    IF queues IS NOT NULL THEN
        PERFORM hearth.forward_messages(queues, customers, groups, places);
    END IF;
    RETURN erased;
END
$$;

-- What follows is for hosts of the version before, which may still run while the fleet
-- is renewed, and for people who look: all messages in one view, under the old name.
-- An old host sends, receives, settles, extends and counts as before; its sweep fails
-- and says so, and ours does its work.
CREATE VIEW hearth.outbox AS
SELECT m.id, m.message, m.place, m.queue, m.plugin, m.customer, m.group_key, m.body, m.attributes,
       m.sent_at, s.state, s.due_at, s.lease, s.attempts
FROM hearth.messages m JOIN (
    SELECT id, 0::smallint AS state, due_at, NULL::uuid AS lease, attempts FROM hearth.ready
    UNION ALL
    SELECT id, 1::smallint, due_at, NULL, attempts FROM hearth.delayed
    UNION ALL
    SELECT id, 1::smallint, due_at, lease, attempts FROM hearth.leases
    UNION ALL
    SELECT id, 2::smallint, due_at, NULL, attempts FROM hearth.blocked) s ON s.id = m.id;

CREATE FUNCTION hearth.change_outbox() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
    moment timestamptz := clock_timestamp();
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM hearth.add_messages(
            ARRAY[NEW.id], ARRAY[NEW.message], ARRAY[NEW.queue], ARRAY[NEW.plugin],
            ARRAY[NEW.customer], ARRAY[NEW.group_key], ARRAY[NEW.body], ARRAY[NEW.attributes],
            ARRAY[coalesce(NEW.attempts, 0)], ARRAY[NEW.sent_at],
            ARRAY[CASE WHEN NEW.state = 1
                       THEN ceil(extract(epoch FROM NEW.due_at - moment) * 1000)::bigint
                       ELSE 0 END], 0);
        RETURN NEW;
    ELSIF TG_OP = 'UPDATE' THEN
        UPDATE hearth.leases SET due_at = NEW.due_at, xid = pg_current_xact_id()
        WHERE id = OLD.id AND lease = OLD.lease;
        RETURN CASE WHEN FOUND THEN NEW END;
    END IF;
    DELETE FROM hearth.ready
    WHERE queue = OLD.queue AND customer = OLD.customer AND id = OLD.id;
    DELETE FROM hearth.delayed WHERE queue = OLD.queue AND due_at = OLD.due_at AND id = OLD.id;
    DELETE FROM hearth.leases WHERE id = OLD.id;
    DELETE FROM hearth.blocked WHERE id = OLD.id;
    RETURN CASE WHEN hearth.erase_messages(ARRAY[OLD.id]) > 0 THEN OLD END;
END
$$;
CREATE TRIGGER change_outbox INSTEAD OF INSERT OR UPDATE OR DELETE ON hearth.outbox
    FOR EACH ROW EXECUTE FUNCTION hearth.change_outbox();

CREATE OR REPLACE FUNCTION hearth.receive_messages(
    wanted text, after_customer text, messages_max integer, visibility_ms bigint,
    offset_ms bigint, new_lease uuid, counted boolean
) RETURNS TABLE (
    id uuid, message uuid, place bigint, plugin text, customer text, group_key text, body bytea,
    attributes text, attempts integer, sent_at timestamptz, due_at timestamptz
)
LANGUAGE sql SET search_path = pg_catalog AS $$
    SELECT id, message, place, plugin, customer, group_key, body, attributes, attempts, sent_at,
           due_at
    FROM hearth.lease_messages(wanted, NULL, '{}', '{}', after_customer, messages_max,
                               visibility_ms, offset_ms, new_lease, counted)
$$;
DROP FUNCTION hearth.remove_messages(uuid[]);

REVOKE ALL ON hearth.messages, hearth.ready, hearth.delayed, hearth.leases, hearth.blocked,
    hearth.queue_horizons, hearth.outbox FROM PUBLIC;
REVOKE ALL ON SEQUENCE hearth.message_places FROM PUBLIC;
REVOKE ALL ON FUNCTION hearth.add_messages, hearth.lease_messages, hearth.meet_messages,
    hearth.meet_grouped, hearth.ready_customers,
    hearth.ready_due, hearth.due_times, hearth.free_heads, hearth.block_messages,
    hearth.forward_messages, hearth.expire_messages, hearth.erase_messages, hearth.change_outbox
    FROM PUBLIC;

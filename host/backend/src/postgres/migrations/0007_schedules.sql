-- The schedules of the plugins' manifests, as they were first seen.
CREATE TABLE hearth.schedules (
    plugin text NOT NULL,
    name text NOT NULL,
    -- Cron expression and time zone. Other ones are another schedule.
    times text NOT NULL,
    -- Nothing before this is due: by the hosts' clock, as everything that is due.
    since timestamptz NOT NULL,
    PRIMARY KEY (plugin, name)
);

-- What was due, and how far it has got. Whoever inserts the row sends; whoever
-- finds it unfinished and held by nobody goes on. The last one of a schedule stays.
CREATE TABLE hearth.schedule_occurrences (
    plugin text NOT NULL,
    name text NOT NULL,
    due_at timestamptz NOT NULL,
    holder uuid NOT NULL,
    -- By Postgres's own clock.
    held_until timestamptz NOT NULL,
    -- Customers up to this one, in the order of their ids, have their message.
    last_customer text,
    done boolean NOT NULL DEFAULT false,
    PRIMARY KEY (plugin, name, due_at)
);

CREATE INDEX schedule_occurrences_unfinished ON hearth.schedule_occurrences (held_until)
    WHERE NOT done;

REVOKE ALL ON hearth.schedules, hearth.schedule_occurrences FROM PUBLIC;

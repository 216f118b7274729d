-- SLA policies, the calendars they count by, and the clocks of tickets. They are
-- the customer's own; where it has none the plugin's built-in ones hold.

CREATE TABLE sla_calendars (
    customer_id text NOT NULL,
    id text COLLATE "C" NOT NULL,
    name text NOT NULL,
    -- Of the IANA database, which the plugin has in itself.
    time_zone text NOT NULL,
    -- For each weekday the intervals, see sla/hours.rs.
    hours jsonb NOT NULL,
    -- Dates as text, in order.
    holidays text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (customer_id, id)
);

CREATE TABLE sla_policies (
    customer_id text NOT NULL,
    id text COLLATE "C" NOT NULL,
    name text NOT NULL,
    -- NULL: the built-in calendar.
    calendar_id text COLLATE "C",
    -- Business minutes for each priority, see sla/policy.rs.
    targets jsonb NOT NULL,
    warn_before jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (customer_id, id),
    -- It keeps a calendar that is in use, and refuses one that is not there.
    CONSTRAINT sla_policies_calendar
        FOREIGN KEY (customer_id, calendar_id) REFERENCES sla_calendars (customer_id, id)
);
CREATE INDEX sla_policies_calendar_id ON sla_policies (customer_id, calendar_id);

-- The policy that a tier refers to.
CREATE TABLE sla_tiers (
    customer_id text NOT NULL,
    tier text COLLATE "C" NOT NULL,
    policy_id text COLLATE "C" NOT NULL,
    CONSTRAINT sla_tiers_tier PRIMARY KEY (customer_id, tier),
    CONSTRAINT sla_tiers_policy
        FOREIGN KEY (customer_id, policy_id) REFERENCES sla_policies (customer_id, id)
        ON DELETE CASCADE
);
CREATE INDEX sla_tiers_policy_id ON sla_tiers (customer_id, policy_id);

-- The clocks of each ticket, as of its last change of status or priority or its
-- first public answer by an agent; sla/clock.rs says how they go on from there. A
-- table of its own, for a ticket's row is written more often.
CREATE TABLE ticket_clocks (
    customer_id text NOT NULL,
    ticket_id text COLLATE "C" NOT NULL,
    started_at timestamptz NOT NULL,
    -- NULL: they stand still.
    running_since timestamptz,
    -- Business time until they began to run, or stopped.
    elapsed_micros bigint NOT NULL,
    first_response_target_minutes bigint,
    first_response_due_at timestamptz,
    first_response_warn_at timestamptz,
    first_response_met_at timestamptz,
    resolution_target_minutes bigint,
    resolution_due_at timestamptz,
    resolution_warn_at timestamptz,
    resolution_met_at timestamptz,
    PRIMARY KEY (customer_id, ticket_id),
    FOREIGN KEY (customer_id, ticket_id) REFERENCES tickets (customer_id, id) ON DELETE CASCADE
);

-- For a ticket of before, the time since it was made counts where it is new or
-- open. Of one that is pending or on hold nobody knows how long it was not: there
-- the clocks begin when it is opened again. What was answered or solved was so in
-- time, for nothing was promised then.
INSERT INTO ticket_clocks (customer_id, ticket_id, started_at, running_since, elapsed_micros,
    first_response_met_at, resolution_met_at)
SELECT tickets.customer_id, tickets.id, tickets.created_at,
    CASE WHEN tickets.status IN ('new', 'open') THEN tickets.created_at END, 0,
    (SELECT min(ticket_comments.created_at) FROM ticket_comments
        WHERE ticket_comments.customer_id = tickets.customer_id
            AND ticket_comments.ticket_id = tickets.id
            AND ticket_comments.public AND ticket_comments.by_agent),
    CASE WHEN tickets.status IN ('solved', 'closed')
        THEN coalesce(tickets.solved_at, tickets.updated_at) END
FROM tickets;

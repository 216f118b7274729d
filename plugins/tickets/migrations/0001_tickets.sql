-- Support tickets. The host adds to every table the policy on customer_id, and
-- its default, the caller's customer; so no insert names it. Every key begins
-- with customer_id: the policy's condition on it is what an index begins with.

CREATE TABLE tickets (
    customer_id text NOT NULL,
    -- 'tkt_' and a UUID of version 7: sorting by id is sorting by creation.
    id text COLLATE "C" NOT NULL,
    -- Counts the changes; the ETag.
    version bigint NOT NULL DEFAULT 1,
    status text NOT NULL DEFAULT 'new'
        CONSTRAINT tickets_status
        CHECK (status IN ('new', 'open', 'pending', 'hold', 'solved', 'closed')),
    priority text NOT NULL DEFAULT 'normal'
        CONSTRAINT tickets_priority CHECK (priority IN ('low', 'normal', 'high', 'urgent')),
    type text,
    subject text NOT NULL,
    description text NOT NULL,
    assignee text,
    external_id text,
    tags text[] NOT NULL DEFAULT '{}',
    custom_fields jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    solved_at timestamptz,
    -- What `q` searches. An index on it would never be used: `@@` is not
    -- leakproof, so row-level security is checked first. It saves parsing the
    -- text of every row that a search looks at.
    search tsvector GENERATED ALWAYS AS
        (to_tsvector('simple'::regconfig, subject || ' ' || description)) STORED,
    PRIMARY KEY (customer_id, id)
);

-- One index for each way that a list finds and orders its rows (sql/lists.rs);
-- the order of creation without a filter is the primary key's. Measured with
-- row-level security on 400,000 tickets, 200,000 of them the caller's, a page of
-- 101, and the one plan for all parameters that Postgres falls back to: all of
-- them, by creation or by update, 0.1 to 0.7 ms; of one status (44,000) 0.3 to
-- 1.2 ms; of one tag (800) 1 to 1.5 ms, by update 4 to 9 ms, for those are
-- sorted; of one assignee (330) 0.5 ms, by update 1 to 3 ms, sorted too; the
-- first page by number the same, but 10 to 70 ms for one of a tag. The policy's
-- condition is an index condition in each, as are those on status, assignee, tag,
-- times and ids, whose operators are leakproof.
-- `q` alone looks at every ticket of the customer: 350 to 400 ms for 200,000, so
-- 2 ms for 1,000.
CREATE INDEX tickets_updated ON tickets (customer_id, updated_at, id);
CREATE INDEX tickets_status_created ON tickets (customer_id, status, id);
CREATE INDEX tickets_status_updated ON tickets (customer_id, status, updated_at, id);
CREATE INDEX tickets_assignee ON tickets (customer_id, assignee, id) WHERE assignee IS NOT NULL;

-- The tags of tickets.tags once more, to find tickets by them: `@>` on an array
-- is not leakproof either, equality of text is. Both are written in one
-- transaction.
CREATE TABLE ticket_tags (
    customer_id text NOT NULL,
    tag text COLLATE "C" NOT NULL,
    ticket_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (customer_id, tag, ticket_id),
    FOREIGN KEY (customer_id, ticket_id) REFERENCES tickets (customer_id, id) ON DELETE CASCADE
);
CREATE INDEX ticket_tags_ticket ON ticket_tags (customer_id, ticket_id);

CREATE TABLE ticket_comments (
    customer_id text NOT NULL,
    id text COLLATE "C" NOT NULL,
    ticket_id text COLLATE "C" NOT NULL,
    -- False: internal, for agents alone.
    public boolean NOT NULL,
    body text NOT NULL,
    -- The public id of the API key that wrote it, and whether it was an agent's.
    author text NOT NULL,
    by_agent boolean NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (customer_id, id),
    FOREIGN KEY (customer_id, ticket_id) REFERENCES tickets (customer_id, id) ON DELETE CASCADE
);
CREATE INDEX ticket_comments_ticket ON ticket_comments (customer_id, ticket_id, id);

CREATE TABLE ticket_audits (
    customer_id text NOT NULL,
    id text COLLATE "C" NOT NULL,
    ticket_id text COLLATE "C" NOT NULL,
    -- False: tells of something internal, so it is for agents alone.
    public boolean NOT NULL,
    -- A list of what happened, see audits.rs.
    events jsonb NOT NULL,
    author text NOT NULL,
    by_agent boolean NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (customer_id, id),
    FOREIGN KEY (customer_id, ticket_id) REFERENCES tickets (customer_id, id) ON DELETE CASCADE
);
CREATE INDEX ticket_audits_ticket ON ticket_audits (customer_id, ticket_id, id);

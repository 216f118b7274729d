-- Loads that come in parts, the day that a record is charged for, and three more columns
-- of FOCUS by which costs are grouped.

ALTER TABLE cost_records
    -- Days since 1970; NULL of what was loaded before days were kept: any load of its
    -- billing period replaces it.
    ADD COLUMN charge_day bigint,
    ADD COLUMN provider text NOT NULL DEFAULT '',
    ADD COLUMN region text NOT NULL DEFAULT '',
    ADD COLUMN charge_category text NOT NULL DEFAULT '',
    -- The load in parts that brought it, and with which part. As long as that load is
    -- not finished the record counts for nothing.
    ADD COLUMN load_id text COLLATE "C",
    ADD COLUMN part bigint;
CREATE INDEX cost_records_load ON cost_records (customer_id, load_id, part)
    WHERE load_id IS NOT NULL;

ALTER TABLE cost_months
    ADD COLUMN provider text NOT NULL DEFAULT '',
    ADD COLUMN region text NOT NULL DEFAULT '',
    ADD COLUMN charge_category text NOT NULL DEFAULT '';

-- Loads in parts. A finished one is kept for a day, so that its last part may be sent
-- again; of the others there are few.
CREATE TABLE cost_loads (
    customer_id text NOT NULL,
    id text COLLATE "C" NOT NULL,
    source text COLLATE "C" NOT NULL,
    -- The client's own, one of its source.
    name text COLLATE "C" NOT NULL,
    touched_at timestamptz NOT NULL DEFAULT now(),
    -- What its last part was answered; NULL: it is not finished.
    answer jsonb,
    PRIMARY KEY (customer_id, id),
    CONSTRAINT cost_loads_name UNIQUE (customer_id, source, name)
);
CREATE INDEX cost_loads_unfinished ON cost_loads (customer_id, touched_at, id)
    WHERE answer IS NULL;
CREATE INDEX cost_loads_finished ON cost_loads (customer_id, touched_at)
    WHERE answer IS NOT NULL;

CREATE TABLE cost_load_parts (
    customer_id text NOT NULL,
    load_id text COLLATE "C" NOT NULL,
    part bigint NOT NULL,
    records bigint NOT NULL,
    PRIMARY KEY (customer_id, load_id, part),
    FOREIGN KEY (customer_id, load_id) REFERENCES cost_loads (customer_id, id) ON DELETE CASCADE
);

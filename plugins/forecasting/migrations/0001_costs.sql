-- Costs. The host adds to every table the policy on customer_id, and its default,
-- the caller's customer; so no insert names it. Every key begins with customer_id:
-- the policy's condition on it is what an index begins with.
-- A month is a number: twelve times its year, and 0 for January to 11 for December.

-- One row a customer: loads of one customer come one after the other, by the lock on
-- it, and every load counts. So the version is the name of the last data point.
CREATE TABLE cost_ledger (
    customer_id text NOT NULL,
    version bigint NOT NULL DEFAULT 1,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (customer_id)
);

-- What was loaded, a FOCUS row each.
CREATE TABLE cost_records (
    customer_id text NOT NULL,
    source text COLLATE "C" NOT NULL,
    -- The client's x_RowId; else one of the load that brought it.
    row_id text COLLATE "C" NOT NULL,
    has_own_id boolean NOT NULL,
    billing_month bigint NOT NULL,
    month bigint NOT NULL,
    currency text COLLATE "C" NOT NULL,
    service text NOT NULL,
    account text NOT NULL,
    tags jsonb NOT NULL,
    billed numeric NOT NULL,
    effective numeric NOT NULL,
    list numeric NOT NULL,
    contracted numeric NOT NULL,
    -- The end of what it charges for, if it says so.
    charged_until timestamptz,
    PRIMARY KEY (customer_id, source, row_id)
);
-- What a load replaces, and what a month is summed from.
CREATE INDEX cost_records_period ON cost_records (customer_id, source, billing_month)
    WHERE NOT has_own_id;
CREATE INDEX cost_records_month ON cost_records (customer_id, month);

-- The same, summed by month: made anew for the months of a load, in its transaction.
-- Days and resources are gone, so it has a small part of the rows.
CREATE TABLE cost_months (
    customer_id text NOT NULL,
    month bigint NOT NULL,
    currency text COLLATE "C" NOT NULL,
    service text NOT NULL,
    account text NOT NULL,
    tags jsonb NOT NULL,
    billed numeric NOT NULL,
    effective numeric NOT NULL,
    list numeric NOT NULL,
    contracted numeric NOT NULL,
    charged_until timestamptz
);
CREATE INDEX cost_months_month ON cost_months (customer_id, month);

CREATE TABLE budgets (
    customer_id text NOT NULL,
    id text COLLATE "C" NOT NULL,
    version bigint NOT NULL DEFAULT 1,
    name text NOT NULL,
    amount numeric NOT NULL CONSTRAINT budgets_amount CHECK (amount > 0),
    currency text COLLATE "C" NOT NULL,
    metric text NOT NULL,
    period text NOT NULL
        CONSTRAINT budgets_period CHECK (period IN ('monthly', 'quarterly', 'annually')),
    -- What it is about; NULL: everything.
    service text,
    account text,
    tag_key text,
    tag_value text,
    -- Percent of the amount.
    alert_actual bigint[] NOT NULL,
    alert_forecast bigint[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (customer_id, id)
);

-- Alerts that were sent. The key is what makes each of them one.
CREATE TABLE budget_alerts (
    customer_id text NOT NULL,
    budget_id text COLLATE "C" NOT NULL,
    period_start bigint NOT NULL,
    kind text NOT NULL CONSTRAINT budget_alerts_kind CHECK (kind IN ('actual', 'forecast')),
    threshold bigint NOT NULL,
    amount numeric NOT NULL,
    sent_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (customer_id, budget_id, period_start, kind, threshold),
    FOREIGN KEY (customer_id, budget_id) REFERENCES budgets (customer_id, id) ON DELETE CASCADE
);

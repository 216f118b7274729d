CREATE TABLE hearth.customers (
    id text PRIMARY KEY,
    name text NOT NULL UNIQUE CHECK (char_length(name) BETWEEN 1 AND 255),
    tier text NOT NULL CHECK (tier IN ('free', 'standard', 'premium', 'unlimited')),
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE hearth.keys (
    id text PRIMARY KEY,
    customer_id text NOT NULL REFERENCES hearth.customers (id) ON DELETE CASCADE,
    -- The visible beginning of the key, by which people tell keys apart.
    prefix text NOT NULL,
    hmac bytea NOT NULL UNIQUE CHECK (octet_length(hmac) = 32),
    -- Which version of the root secret made the HMAC.
    hmac_version integer NOT NULL,
    scopes text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    revoked_at timestamptz
);

CREATE INDEX keys_customer_id ON hearth.keys (customer_id, created_at);

-- What a plugin may know of its caller's customer. The view reads the table
-- with its owner's rights and filters itself; the barrier keeps a plugin's own
-- conditions from being run on other customers' rows first.
CREATE VIEW hearth.customer WITH (security_barrier = true) AS
SELECT id, tier
FROM hearth.customers
WHERE id = nullif(current_setting('hearth.customer_id', true), '');

REVOKE ALL ON hearth.customers, hearth.keys, hearth.migrations FROM PUBLIC;
GRANT SELECT ON hearth.customer TO PUBLIC;

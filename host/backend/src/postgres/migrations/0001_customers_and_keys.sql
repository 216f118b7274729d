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

-- Counts every change that can make a key worth less or other than it was. A
-- host that remembers keys reads this one row to know that nothing it remembers
-- has changed. New keys do not count, for nobody can remember them yet.
CREATE TABLE hearth.key_changes (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    version bigint NOT NULL
);
INSERT INTO hearth.key_changes (version) VALUES (1);

CREATE FUNCTION hearth.count_key_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    UPDATE hearth.key_changes SET version = version + 1;
    RETURN NULL;
END
$$;

CREATE TRIGGER count_key_change
AFTER DELETE OR TRUNCATE OR UPDATE OF customer_id, scopes, expires_at, revoked_at ON hearth.keys
FOR EACH STATEMENT EXECUTE FUNCTION hearth.count_key_change();

CREATE TRIGGER count_key_change
AFTER DELETE OR TRUNCATE OR UPDATE OF id, tier ON hearth.customers
FOR EACH STATEMENT EXECUTE FUNCTION hearth.count_key_change();

-- What a plugin may know of its caller's customer. The view reads the table
-- with its owner's rights and filters itself; the barrier keeps a plugin's own
-- conditions from being run on other customers' rows first.
CREATE VIEW hearth.customer WITH (security_barrier = true) AS
SELECT id, tier
FROM hearth.customers
WHERE id = nullif(current_setting('hearth.customer_id', true), '');

REVOKE ALL ON hearth.customers, hearth.keys, hearth.key_changes, hearth.migrations FROM PUBLIC;
GRANT SELECT ON hearth.customer TO PUBLIC;

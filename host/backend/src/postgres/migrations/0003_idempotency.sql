-- The hosts that serve, each while its process lives. A process that was killed
-- stops moving its row, and what it held may be taken over.
CREATE TABLE hearth.hosts (
    id uuid PRIMARY KEY,
    seen_at timestamptz NOT NULL DEFAULT now()
);

-- One row for each Idempotency-Key that was used. It is written before the plugin
-- runs, marked as applied within the plugin's own first transaction that writes,
-- and gets the answer before the client does.
CREATE TABLE hearth.idempotency (
    customer_id text NOT NULL REFERENCES hearth.customers (id) ON DELETE CASCADE,
    plugin text NOT NULL,
    key text NOT NULL,
    -- SHA-256 of what was asked: method, path, query, content type, body.
    fingerprint bytea NOT NULL CHECK (octet_length(fingerprint) = 32),
    -- Which of the requests with this key runs, or ran.
    claim uuid NOT NULL UNIQUE,
    holder uuid NOT NULL,
    -- Past this the request's own deadline is over: nobody works on it any more.
    held_until timestamptz NOT NULL,
    applied boolean NOT NULL DEFAULT false,
    -- Encrypted, for it may hold a secret that is shown once.
    answer bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (customer_id, plugin, key)
);

CREATE INDEX idempotency_created_at ON hearth.idempotency (created_at);

REVOKE ALL ON hearth.hosts, hearth.idempotency FROM PUBLIC;

-- Marks a claim as applied, within the transaction whose effect it stands for.
-- The host alone calls it: no declared statement may name a function that is not
-- on the gate's list, and a claim's id is never shown to a guest. The row stays
-- locked until the transaction ends, so nobody can take the claim over between
-- the mark and the commit.
CREATE FUNCTION hearth.apply_claim(claimed uuid) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
BEGIN
    UPDATE hearth.idempotency SET applied = true WHERE claim = claimed;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the claim was taken over' USING ERRCODE = 'HE001';
    END IF;
END
$$;

-- The scopes of the API key that asked, as a sorted set: an answer may hold what a key
-- with others must not be told. NULL is what an older host wrote, which nobody gets an
-- answer from.
ALTER TABLE hearth.idempotency ADD COLUMN scopes text[];

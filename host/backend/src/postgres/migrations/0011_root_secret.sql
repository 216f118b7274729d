-- Which root secret this database was written with: a key derived from its newest
-- version for this alone, from which nothing else can be told. A host whose file does
-- not hold that version refuses to start, for it would recognise no API key and open
-- nothing that is sealed.
CREATE TABLE hearth.root_secret (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    version bigint NOT NULL,
    fingerprint bytea NOT NULL CHECK (octet_length(fingerprint) = 32)
);

REVOKE ALL ON hearth.root_secret FROM PUBLIC;

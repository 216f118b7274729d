CREATE TABLE deliveries (
    customer_id text NOT NULL,
    place bigint GENERATED ALWAYS AS IDENTITY,
    id text NOT NULL,
    number bigint NOT NULL,
    attempt bigint NOT NULL,
    version text NOT NULL,
    PRIMARY KEY (customer_id, place)
);
CREATE INDEX deliveries_id ON deliveries (customer_id, id);

CREATE TABLE effects (
    customer_id text NOT NULL,
    id text NOT NULL,
    number bigint NOT NULL,
    PRIMARY KEY (customer_id, id)
);

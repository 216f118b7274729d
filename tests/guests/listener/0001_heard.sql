CREATE TABLE heard (
    customer_id text NOT NULL,
    place bigint GENERATED ALWAYS AS IDENTITY,
    queue text NOT NULL,
    body jsonb NOT NULL,
    PRIMARY KEY (customer_id, place)
);

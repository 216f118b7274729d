CREATE TABLE rows (
    customer_id text NOT NULL,
    id text NOT NULL,
    PRIMARY KEY (customer_id, id)
);

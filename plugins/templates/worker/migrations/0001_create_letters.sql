-- Every table has a customer_id, with which its keys begin: the host fills it in, and shows
-- each customer its own rows and no others. No statement has to name it.
CREATE TABLE letters (
    customer_id text NOT NULL,
    -- The message's id: the same when it is delivered again.
    id text NOT NULL,
    text text NOT NULL,
    PRIMARY KEY (customer_id, id)
);

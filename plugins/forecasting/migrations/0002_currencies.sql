-- no-transaction
-- The few currencies of a customer, each looked up after the one before it; and the last
-- months of one.
CREATE INDEX CONCURRENTLY cost_months_currency ON cost_months (customer_id, currency, month);

-- The month of the record that a record has replaced, by its id, when it was put there.
ALTER TABLE cost_records ADD COLUMN month_before bigint;

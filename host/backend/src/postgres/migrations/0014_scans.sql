-- Statements that read all rows of a customer, as an operator approved them: their name
-- and the digest of their text. What was deployed before was never asked for it.
ALTER TABLE hearth.deployments ADD COLUMN scans text[] NOT NULL DEFAULT '{}';

-- A ledger had no id then.
SELECT gen_random_uuid()

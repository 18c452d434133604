-- The one row; a dump takes it along.
INSERT INTO keyledger.ledger (ledger_id) VALUES (gen_random_uuid())

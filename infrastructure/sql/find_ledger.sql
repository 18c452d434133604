-- Which ledger this is.
SELECT ledger_id FROM keyledger.ledger

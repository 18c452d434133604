-- Which ledger this is, so that what a process left on a disk is stored where it belongs.
CREATE TABLE keyledger.ledger (
    ledger_id uuid PRIMARY KEY
)

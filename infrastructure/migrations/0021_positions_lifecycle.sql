-- The lifecycle events after a position, past any number of uses.
CREATE INDEX positions_lifecycle ON keyledger.positions (position) WHERE topic <> 'KeyUsed'

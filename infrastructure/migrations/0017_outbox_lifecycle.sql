-- The lifecycle events that have no position yet, however many uses wait beside them.
CREATE INDEX outbox_lifecycle ON keyledger.outbox (originator_id) WHERE topic <> 'KeyUsed'

-- A command loads a key's few lifecycle events past any number of uses.
CREATE INDEX events_lifecycle ON keyledger.events (originator_id, originator_version) WHERE topic <> 'KeyUsed'

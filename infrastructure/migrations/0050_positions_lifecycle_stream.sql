-- A key's lifecycle events with their positions, past any number of uses.
CREATE INDEX positions_lifecycle_stream ON keyledger.positions (originator_id, originator_version)
INCLUDE (position, recorded_at) WHERE topic <> 'KeyUsed'

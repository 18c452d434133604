-- A stream's version at any position.
CREATE UNIQUE INDEX positions_stream ON keyledger.positions (originator_id, position) INCLUDE (originator_version)

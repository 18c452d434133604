-- How far each read model has come.
SELECT name, version, position, failed_position, failed_at, failure FROM keyledger.projections ORDER BY name

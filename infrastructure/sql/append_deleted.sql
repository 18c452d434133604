-- Append a KeyDeleted at the stream's head, if the key is there; it is in no list and found by no id from then on.
WITH head AS (
    SELECT originator_version + 1 AS version, last_used_at, lateness FROM keyledger.events
    WHERE originator_id = %(id)s ORDER BY originator_version DESC LIMIT 1
), control AS (
    DELETE FROM keyledger.api_keys AS k USING head WHERE k.id = %(id)s
    RETURNING k.id, head.version, head.last_used_at, head.lateness
), event AS (
    INSERT INTO keyledger.events (originator_id, originator_version, topic, state, last_used_at, lateness)
    SELECT id, version, %(topic)s, %(state)s, last_used_at, lateness FROM control
), queued AS (
    INSERT INTO keyledger.outbox (originator_id, originator_version, topic)
    SELECT id, version, %(topic)s FROM control
)
SELECT id FROM control

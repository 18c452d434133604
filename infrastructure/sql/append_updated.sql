-- Append a KeyUpdated at the stream's head, if the key is still as the decision saw it.
WITH head AS (
    SELECT originator_version + 1 AS version, last_used_at, lateness FROM keyledger.events
    WHERE originator_id = %(id)s ORDER BY originator_version DESC LIMIT 1
), control AS (
    UPDATE keyledger.api_keys AS k
    SET version = head.version, subject = %(subject)s, description = %(description)s, claims = %(claims)s,
        scopes = %(scopes)s, expiration = %(expiration)s, updated_at = %(updated_at)s
    FROM head WHERE k.id = %(id)s AND k.version = %(version)s
    RETURNING k.*, head.last_used_at, head.lateness
), event AS (
    INSERT INTO keyledger.events (
        originator_id, originator_version, topic, state, subject, expiration, last_used_at, lateness
    )
    SELECT id, version, %(topic)s, %(state)s, %(new_subject)s, %(new_expiration)s, last_used_at, lateness FROM control
), queued AS (
    INSERT INTO keyledger.outbox (originator_id, originator_version, topic)
    SELECT id, version, %(topic)s FROM control
)
SELECT
    k.id, k.type, k.name, k.subject, k.description, k.claims, k.scopes, k.created_at, k.created_by, k.updated_at,
    k.expiration, k.revoked_at, k.revocation_reason, coalesce(k.expiration <= statement_timestamp(), false) AS expired,
    u.last_used_at
FROM control AS k LEFT JOIN keyledger.key_usage AS u ON u.id = k.id

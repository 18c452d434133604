-- Append a KeyCreated with its control row and its place in the outbox.
WITH event AS (
    INSERT INTO keyledger.events (originator_id, originator_version, topic, state)
    VALUES (%(id)s, %(version)s, %(topic)s, %(state)s)
), queued AS (
    INSERT INTO keyledger.outbox (originator_id, originator_version) VALUES (%(id)s, %(version)s)
)
INSERT INTO keyledger.api_keys (
    id, version, type, name, name_search, subject, description, claims, scopes, created_at, created_by,
    updated_at, expiration, revoked_at, revocation_reason, digest_algorithm, digest_kid, digest
)
VALUES (
    %(id)s, %(version)s, %(type)s, %(name)s, %(name_search)s, %(subject)s, %(description)s, %(claims)s, %(scopes)s,
    %(created_at)s, %(created_by)s, %(updated_at)s, %(expiration)s, %(revoked_at)s, %(revocation_reason)s,
    %(digest_algorithm)s, %(digest_kid)s, %(digest)s
)

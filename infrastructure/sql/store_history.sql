-- Add rows to the history.
COPY keyledger.history (
    position, originator_id, originator_version, topic, subject, user_id, organization_id, ip_address, request_id,
    credential_id, first_at, last_at, high_at, stray, entries, revoked
) FROM STDIN (FORMAT BINARY)

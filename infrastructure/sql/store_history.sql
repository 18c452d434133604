-- Add rows to the history.
INSERT INTO keyledger.history (
    position, originator_id, originator_version, topic, subject, user_id, organization_id, ip_address, request_id,
    first_at, last_at, high_at, stray, entries, revoked
)
SELECT * FROM unnest(
    %(position)b::bigint[], %(originator_id)b::uuid[], %(originator_version)b::bigint[], %(topic)b::text[],
    %(subject)b::text[], %(user_id)b::text[], %(organization_id)b::text[], %(ip_address)b::text[],
    %(request_id)b::text[], %(first_at)b::timestamptz[], %(last_at)b::timestamptz[], %(high_at)b::timestamptz[],
    %(stray)b::boolean[], %(entries)b::integer[], %(revoked)b::boolean[]
)

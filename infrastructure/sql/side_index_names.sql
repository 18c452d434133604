-- The indexes of a table that was made like another one, each with the name that its equal has there. No other
-- table's are looked at: one that another session is dropping has no definition any more.
WITH found AS (
    SELECT
        c.relname::text AS name, i.indrelid::regclass AS owner, i.indisprimary, i.indisunique,
        regexp_replace(pg_get_indexdef(i.indexrelid), '^.*? USING ', '') AS definition,
        row_number() OVER (
            PARTITION BY i.indrelid, i.indisprimary, i.indisunique,
                regexp_replace(pg_get_indexdef(i.indexrelid), '^.*? USING ', '')
            ORDER BY i.indexrelid
        ) AS place
    FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
    WHERE i.indrelid IN (
        ('keyledger.' || quote_ident(%(side)s))::regclass, ('keyledger.' || quote_ident(%(table)s))::regclass
    )
)
SELECT side.name, old.name
FROM found AS side JOIN found AS old USING (indisprimary, indisunique, definition, place)
WHERE side.owner = ('keyledger.' || quote_ident(%(side)s))::regclass
    AND old.owner = ('keyledger.' || quote_ident(%(table)s))::regclass

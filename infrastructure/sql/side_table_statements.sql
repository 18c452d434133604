-- What makes a table that is like another one its equal: its owner, options and privileges, as statements.
WITH old AS (
    SELECT * FROM pg_class WHERE oid = ('keyledger.' || quote_ident(%(table)s))::regclass
), made AS (
    SELECT a.grantee, c.relowner FROM pg_class AS c, aclexplode(c.relacl) AS a
    WHERE c.oid = ('keyledger.' || quote_ident(%(side)s))::regclass
), privileges AS (
    SELECT a.*, ''::text AS columns FROM old, aclexplode(old.relacl) AS a
    UNION ALL
    SELECT a.*, format(' (%%I)', c.attname) FROM old
    JOIN pg_attribute AS c ON c.attrelid = old.oid AND NOT c.attisdropped CROSS JOIN aclexplode(c.attacl) AS a
)
SELECT format('ALTER TABLE keyledger.%%I OWNER TO %%I', %(side)s::text, pg_get_userbyid(relowner)) FROM old
UNION ALL
SELECT format('ALTER TABLE keyledger.%%I SET (%%s)', %(side)s::text, array_to_string(reloptions, ', '))
FROM old WHERE reloptions IS NOT NULL
UNION ALL
-- What ALTER DEFAULT PRIVILEGES gave to the new table alone.
SELECT DISTINCT format(
    'REVOKE ALL ON keyledger.%%I FROM %%s', %(side)s::text,
    CASE WHEN made.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(made.grantee)) END
)
FROM made WHERE made.grantee <> made.relowner
UNION ALL
SELECT format(
    'GRANT %%s%%s ON keyledger.%%I TO %%s%%s', privilege_type, columns, %(side)s::text,
    CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
    CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
)
FROM privileges

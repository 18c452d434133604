-- The first table of a read model that this role could not replace, if there is one; NULL where it is the schema.
SELECT c.relname::text FROM pg_class AS c
RIGHT JOIN (SELECT 'keyledger'::regnamespace AS oid) AS n ON c.relnamespace = n.oid AND c.relname = ANY(%(tables)s)
WHERE NOT pg_has_role(c.relowner, 'USAGE') OR NOT has_schema_privilege(n.oid, 'CREATE')
LIMIT 1

-- The columns of a table's primary key, in their order.
SELECT a.attname::text
FROM pg_index AS i
CROSS JOIN LATERAL unnest(i.indkey::smallint[]) WITH ORDINALITY AS k (number, place)
JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.number
WHERE i.indrelid = ('keyledger.' || quote_ident(%(table)s))::regclass AND i.indisprimary
ORDER BY k.place

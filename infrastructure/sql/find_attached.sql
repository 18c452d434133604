-- What others attached to these tables, and would go with them when they are replaced: the first of it.
SELECT found.name FROM (
    SELECT format('the view %%s', r.ev_class::regclass) AS name, d.refobjid AS of
    FROM pg_depend AS d JOIN pg_rewrite AS r ON r.oid = d.objid
    WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
    UNION ALL
    SELECT format('the trigger %%I', tgname), tgrelid FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL
    SELECT format('the policy %%I', polname), polrelid FROM pg_policy
    UNION ALL
    SELECT format('the publication %%I', p.pubname), r.prrelid
    FROM pg_publication_rel AS r JOIN pg_publication AS p ON p.oid = r.prpubid
) AS found
JOIN pg_class AS c ON c.oid = found.of
WHERE c.relnamespace = 'keyledger'::regnamespace AND c.relname = ANY(%(tables)s)
ORDER BY found.name LIMIT 1

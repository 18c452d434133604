-- How many events a filter alone leaves of the positions, counted up to a limit; {column} is what it is about.
SELECT count(*) FROM (
    SELECT FROM unnest(%(topics)s::text[]) AS t (topic)
    CROSS JOIN LATERAL (
        SELECT FROM keyledger.history AS h
        WHERE h.{column} IS NOT NULL
            AND (h.{column}, h.topic, h.position) >= ((SELECT %({column})s), t.topic, %(first)s::bigint)
            AND (h.{column}, h.topic, h.position) <= ((SELECT %({column})s), t.topic, %(last)s::bigint)
        ORDER BY h.{column}, h.topic, h.position LIMIT %(limit)s
    ) AS h
    LIMIT %(limit)s
) AS found

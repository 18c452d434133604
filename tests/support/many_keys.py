"""Very many keys of one subject, and few of each of many others, written and counted by plain SQL; no events."""

from typing import Any

import psycopg

from keyledger.infrastructure.read_models.listing import ListingModel
from keyledger.projections.listing import BOTTOM, LEAF_KEYS, STEP, TOP

LARGE, MIDDLE, SMALL = "org_large", "org_middle", "small_7"
MIDDLE_KEYS = 2_000
SMALL_SUBJECTS = 1_000
RARE = "世界"
"""A text that some twenty names hold; all of them hold "export"."""

_KEYS = """
INSERT INTO keyledger.api_keys
SELECT
    md5('key' || n)::uuid, 1, 'api_key', name, name, subject, NULL, NULL, '{}', at, NULL, at,
    CASE WHEN n %% 10 = 0 THEN now() + interval '1 year' END,
    CASE WHEN n %% 3 = 0 AND at < now() - interval '30 days' THEN at END, NULL, 'hmac-sha256-v1', 'none', '\\x00'
FROM generate_series(1, %(keys)s) AS n
CROSS JOIN LATERAL (
    SELECT
        CASE WHEN n %% 25 = 0 THEN 'small_' || n / 25 %% %(small)s WHEN n %% 25 = 1 AND n < 25 * %(middle)s
            THEN 'org_middle' ELSE 'org_large' END,
        'nightly export ' || substr(md5(n::text), 1, 8)
            || CASE WHEN n %% (%(keys)s / 20) = 2 THEN ' 世界' ELSE '' END,
        now() - make_interval(secs => 30 * (%(keys)s - n)) + make_interval(secs => n %% 7)
) AS made (subject, name, at)
"""
_LISTED = """
INSERT INTO keyledger.listed_keys
SELECT id, subject, created_at, expiration, revoked_at IS NOT NULL, true FROM keyledger.api_keys
"""
_COUNTS = """
INSERT INTO keyledger.key_counts
SELECT
    subject, %(shift)s, (extract(epoch FROM created_at) * 1000000)::bigint >> %(shift)s AS bucket,
    count(*), count(*), count(*) FILTER (WHERE NOT revoked)
FROM keyledger.listed_keys AS l
WHERE %(shift)s = %(top)s OR EXISTS (
    SELECT FROM keyledger.key_counts AS c
    WHERE c.subject = l.subject AND c.shift = %(shift)s + %(step)s AND c.entered > %(leaf_keys)s
        AND c.bucket = (extract(epoch FROM l.created_at) * 1000000)::bigint >> (%(shift)s + %(step)s)
)
GROUP BY subject, bucket
"""


def fill(connection: psycopg.Connection[Any], keys: int) -> None:
    """So many keys in all, counted, in tables that the planner knows."""
    connection.execute("DROP INDEX keyledger.api_keys_grams")
    connection.execute(_KEYS, {"keys": keys, "small": SMALL_SUBJECTS, "middle": MIDDLE_KEYS})
    connection.execute(
        "CREATE INDEX api_keys_grams ON keyledger.api_keys USING gin (keyledger.grams(name_search))"
        " WITH (fastupdate = off)"
    )
    connection.execute(_LISTED)
    tree = {"top": TOP, "step": STEP, "leaf_keys": LEAF_KEYS}
    for shift in range(TOP, BOTTOM - 1, -STEP):
        connection.execute(_COUNTS, {"shift": shift, **tree})
    connection.execute(
        "UPDATE keyledger.projections SET state = convert_to(now()::text, 'UTF8') WHERE name = %s",
        [ListingModel.name],
    )
    connection.execute("VACUUM (ANALYZE) keyledger.api_keys, keyledger.listed_keys, keyledger.key_counts")

-- The peppers that live keys were made with and that this process lacks. No key is read where it has all that are known.
SELECT p.kid FROM keyledger.peppers AS p
WHERE p.kid <> ALL(%(given)s::text[]) AND EXISTS (
    SELECT FROM keyledger.api_keys AS k
    WHERE k.digest_kid = p.kid AND k.revoked_at IS NULL
        AND (k.expiration IS NULL OR k.expiration > statement_timestamp())
)
ORDER BY p.kid

-- Whether another live key of a subject has a name; where the subject has very many keys, by the index for searches.
SELECT EXISTS (
    SELECT FROM keyledger.api_keys AS k
    WHERE k.subject = %(subject)s AND k.name = %(name)s AND k.id <> %(id)s AND k.revoked_at IS NULL
        AND (k.expiration IS NULL OR k.expiration > statement_timestamp())
        AND keyledger.grams(k.name_search) @> %(grams)s::bigint[]
)

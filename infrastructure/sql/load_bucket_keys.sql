-- The keys that ever entered a bucket of a subject's.
SELECT id, subject, created_at, expiration, revoked, present FROM keyledger.listed_keys
WHERE subject = %(subject)s AND created_at BETWEEN %(first)s AND %(last)s

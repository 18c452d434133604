-- Take an idempotency key for a new key; waits for whoever is taking it, and returns nothing once it is taken.
INSERT INTO keyledger.idempotency_keys (idempotency_key, fingerprint, originator_id)
VALUES (%(idempotency_key)s, %(fingerprint)s, %(id)s) ON CONFLICT DO NOTHING RETURNING originator_id

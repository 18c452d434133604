-- The key that an idempotency key made, and the fingerprint of its arguments.
SELECT originator_id, fingerprint FROM keyledger.idempotency_keys WHERE idempotency_key = %(idempotency_key)s

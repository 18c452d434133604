-- Tell every verifier that keys have changed, so that it need not wait until it asks.
SELECT pg_notify('keyledger_control', changed) FROM unnest(%(changes)s::text[]) AS changed

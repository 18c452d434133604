-- The fingerprints of the peppers that have been used here.
SELECT kid, fingerprint FROM keyledger.peppers

-- How many verifiers have not acknowledged a barrier yet, and the longest of their leases.
SELECT count(*), coalesce(extract(epoch FROM max(lease)), 0)::float8 FROM keyledger.verifiers
WHERE acknowledged < %(barrier)s AND expires_at > clock_timestamp()

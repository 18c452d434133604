-- Raise a barrier, wake every verifier, and forget barriers that nobody waits for any more. The number is taken after
-- all that it stands for was committed, so who sees it, or a later one, sees that.
WITH gone AS (
    DELETE FROM keyledger.barriers WHERE raised_at < clock_timestamp() - interval '1 hour'
), raised AS (
    INSERT INTO keyledger.barriers DEFAULT VALUES RETURNING number
)
SELECT number, pg_notify('keyledger_control', '') FROM raised

-- Forget sources of uses that are long done with. Of others the progress must stay, however old a file of theirs is.
DELETE FROM keyledger.flushes WHERE progress IS NULL AND flushed_at < clock_timestamp() - interval '30 days'

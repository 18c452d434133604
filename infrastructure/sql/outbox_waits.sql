-- Whether an event waits for its position; with an arrival: whether one that had arrived by then does.
SELECT EXISTS (
    SELECT FROM keyledger.outbox WHERE %(arrival)s::bigint IS NULL OR arrival <= %(arrival)s::bigint
)

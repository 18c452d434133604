-- What a request did; the requests of uses are no actor's.
CREATE INDEX history_request ON keyledger.history (request_id, topic, position) WHERE request_id IS NOT NULL

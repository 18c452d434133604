-- The latest arrival in the outbox (eventsourcing's max_notification_id).
SELECT max(arrival) FROM keyledger.outbox

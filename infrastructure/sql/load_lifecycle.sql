-- The lifecycle events of one key: everything that is decided on, past any number of uses.
SELECT originator_version, topic, state FROM keyledger.events
WHERE originator_id = %(id)s AND topic <> 'KeyUsed' ORDER BY originator_version

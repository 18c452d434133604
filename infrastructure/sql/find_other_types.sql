-- Whether a subject has keys of another type than the usual one.
SELECT EXISTS (SELECT FROM keyledger.api_keys WHERE subject = %(subject)s AND type <> 'api_key')

-- Room for a row's next version on its page: then a revocation or an update enters it into no index.
ALTER TABLE keyledger.api_keys SET (fillfactor = 90)

-- Searches by a part of the name. With no list of pending entries, which every search would have to read through.
CREATE INDEX api_keys_grams ON keyledger.api_keys USING gin (keyledger.grams(name_search)) WITH (fastupdate = off)

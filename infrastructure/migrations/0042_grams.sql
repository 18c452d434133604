-- What searches look names up by: every character of a text, and every two and three that stand together, each as a
-- number. Ours and not pg_trgm's: that one has none for terms of one and two characters, none with punctuation in
-- it, and none for letters that the database's locale does not know.
CREATE FUNCTION keyledger.grams(text) RETURNS bigint[] LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    letter text;
    one bigint;
    pair bigint;
    last bigint;
    last_pair bigint;
    found bigint[] := '{}';
BEGIN
    FOREACH letter IN ARRAY string_to_array($1, NULL) LOOP
        one := ascii(letter);
        pair := last << 21 | one;
        found := found || one;
        IF pair IS NOT NULL THEN
            found := found || pair;
        END IF;
        IF last_pair IS NOT NULL THEN
            found := found || (last_pair << 21 | one);
        END IF;
        last := one;
        last_pair := pair;
    END LOOP;
    RETURN found;
END
$$

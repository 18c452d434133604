-- The insert-only law, for the triggers on keyledger.events.
CREATE FUNCTION keyledger.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'keyledger.events is insert-only: % is refused', TG_OP USING ERRCODE = 'restrict_violation';
END
$$

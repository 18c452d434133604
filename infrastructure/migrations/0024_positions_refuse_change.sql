-- A position is never changed or taken back.
CREATE TRIGGER positions_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON keyledger.positions
FOR EACH STATEMENT EXECUTE FUNCTION keyledger.refuse_change()

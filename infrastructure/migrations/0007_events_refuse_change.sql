-- No event is ever changed or deleted; a statement that would touch none is refused as well.
CREATE TRIGGER events_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON keyledger.events
FOR EACH STATEMENT EXECUTE FUNCTION keyledger.refuse_change()

-- What was done for an organization; uses have no actor.
CREATE INDEX history_organization ON keyledger.history (organization_id, topic, position)
WHERE organization_id IS NOT NULL

-- Take keys that were deleted out of the control read model.
DELETE FROM keyledger.api_keys WHERE id = ANY(%(ids)b::uuid[])

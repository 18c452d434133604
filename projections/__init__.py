"""Read models as pure folds: events in, rows out; no SQL, no driver, no clock."""

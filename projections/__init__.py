"""Read models and the past as pure folds: events in, rows or entries out; no SQL, no driver, no clock."""

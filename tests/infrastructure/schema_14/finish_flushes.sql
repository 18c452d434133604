-- A flush was done with at once.
SELECT 1

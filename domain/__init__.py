"""What a key is and what may happen to it: importable and testable with neither database nor driver."""
